"""Headless Chromium, driven by its own protocol: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import websocket

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
_LOW_CONTRASTS = """
(() => {
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((one) => one / 255)
      .map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(channels(getComputedStyle(one).backgroundColor));
    let colour = [255, 255, 255];
    for (const layer of layers.reverse()) {
      const alpha = layer[3] === undefined ? 1 : layer[3];
      colour = colour.map((one, index) => one * (1 - alpha) + layer[index] * alpha);
    }
    return colour;
  };
  const low = [];
  for (const element of document.querySelectorAll("body *:not(svg, svg *, script)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    const pair = [channels(getComputedStyle(element).color), behind(element)].map(luminance).sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) low.push([element.tagName, element.className, ratio.toFixed(2), element.textContent.slice(0, 40)]);
  }
  return low;
})()
"""
_PATIENCE = 60.0  # seconds; the machine may be busy


def program() -> str | None:
    """The path of a Chromium; None if there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab.

    Attributes:
      errors: what the console reported, and exceptions.
      requests: addresses that were asked for, without `data:`.
    """

    def __init__(self, connection: websocket.WebSocket):
        self._connection, self._number = connection, 0
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command, and waits for its answer; events that come before it are noted."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv())
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message["method"], message["params"])

    def _note(self, method: str, event: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(event["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.errors.append(event["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not event["request"]["url"].startswith("data:"):
            self.requests.append(event["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loaded = True

    def open(
        self, file: Path, width: int = 1440, height: int = 900, is_dark: bool = False, has_script: bool = True
    ) -> None:
        """Opens a file, and waits until it is loaded."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Emulation.setScriptExecutionDisabled", value=not has_script)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.errors, self.requests, self._loaded = [], [], False
        self.call("Page.navigate", url=file.as_uri())
        deadline = time.monotonic() + _PATIENCE
        while not self._loaded and time.monotonic() < deadline:
            self._connection.settimeout(max(0.1, deadline - time.monotonic()))
            message = json.loads(self._connection.recv())
            if "method" in message:
                self._note(message["method"], message["params"])
        assert self._loaded, f"{file} was not loaded"

    def evaluate(self, script: str) -> Any:
        """The JSON value of a script."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    def low_contrasts(self) -> list[list[str]]:
        """The visible texts with less contrast than WCAG AA demands (4.5): tag, class, contrast and its beginning."""
        found = self.evaluate(_LOW_CONTRASTS)
        assert isinstance(found, list)
        return found

    def screenshot(self, whole: bool = True) -> bytes:
        """A PNG of the page, or of the part that a person sees."""
        content = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(content["data"])


@contextlib.contextmanager
def opened() -> Iterator[Page]:
    """A new browser with one empty tab; nothing of it is left."""
    path = program()
    assert path, "no Chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [path, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )
        try:
            yield Page(_connect(Path(profile, "DevToolsActivePort")))
        finally:
            process.terminate()
            process.wait(timeout=_PATIENCE)


def _connect(port_file: Path) -> websocket.WebSocket:
    deadline = time.monotonic() + _PATIENCE
    while not port_file.is_file() or not port_file.read_text().strip():
        assert time.monotonic() < deadline, "Chromium did not start"
        time.sleep(0.05)
    port = port_file.read_text().split()[0]
    import urllib.request

    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
        if tabs:
            return websocket.create_connection(tabs[0]["webSocketDebuggerUrl"], timeout=_PATIENCE)
        time.sleep(0.05)
    raise AssertionError("Chromium has no tab")
