"""What Kubeflow Pipelines' API server, version 2.0.5, answers: the requests of Regraft, and many wrong ones.

`check` asks a server all of them in turn, and returns what it answers differently. By hand:

    python tests/helpers/kfp_contract.py http://localhost:8888 [package.yaml]

It deletes what it has made. Runs that it starts are terminated at once.
"""

from __future__ import annotations

import json
import re
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from kfp_requests import ANY, REQUESTS, Among, Request
from kfp_spoilt import PACKAGES

_SECONDS, _PATIENCE = 60, 180.0


class _Asker:
    """Asks one server, and remembers parts of its answers."""

    def __init__(self, url: str, package: str | None) -> None:
        self._base = f"{url.rstrip('/')}/apis/v2beta1/"
        self._session = requests.Session()
        self._packages = {**PACKAGES, "given": package or PACKAGES["good"]}
        self._known = {"mark": uuid.uuid4().hex[:8], "nobody": str(uuid.uuid4())}
        self._made: list[str] = []

    def differences(self, request: Request) -> list[str]:
        """Asks; if the request says so, again and again until the answer is as expected."""
        end = time.monotonic() + (_PATIENCE if request.waits else 0)
        while True:
            found = self._ask(request)
            if not found or time.monotonic() >= end:
                return [f"{request.name}: {difference}" for difference in found]
            time.sleep(0.2)

    def _ask(self, request: Request) -> list[str]:
        try:
            return self._compared(request)
        except requests.RequestException as error:
            return [f"no answer: {type(error).__name__}"]

    def _compared(self, request: Request) -> list[str]:
        try:
            path, has, answer = self._filled(request.path), self._filled(request.has), self._send(request)
        except KeyError as error:
            return [f"not asked, because {error} is unknown"]
        content = _json(answer)
        if answer.status_code != request.status:
            return [f"status {request.status} is expected. Received: {answer.status_code}: {answer.text[:200]!r}"]
        if content is None:
            return [] if request.text else [f"JSON is expected. Received: {answer.text[:200]!r}"]
        if request.text:
            return [f"no JSON is expected. Received: {answer.text[:200]!r}"]
        if answer.ok:
            self._remember(request, path, content)
        said = str(content.get("message") or content.get("error_message") or "")
        missing = [] if request.says in said else [f"{request.says!r} is expected in the message. Received: {said!r}"]
        return missing + _lacks(content, has)

    def _send(self, request: Request) -> requests.Response:
        fields: dict[str, Any] = {"params": self._filled(request.query), "timeout": _SECONDS}
        if request.file:
            fields["files"] = {"uploadfile": ("package.yaml", self._packages[request.file])}
        elif request.method == "POST":
            fields["json"] = self._filled(request.body)
        return self._session.request(request.method, self._base + self._filled(request.path), **fields)

    def _remember(self, request: Request, path: str, content: Mapping[str, Any]) -> None:
        for name, key in request.keep.items():
            self._known[name] = content.get(key, "")
        if request.method == "DELETE":
            self._made = [made for made in self._made if made != path]
        if request.method == "POST" and (key := next((key for key in _IDS if key in content), None)):
            self._made.append(_IDS[key].format(**{**content, "pipeline_id": content.get("pipeline_id")}))
        if path == "pipelines/upload":  # it makes a version, too, and does not say which
            versions_path = f"{self._base}pipelines/{content.get('pipeline_id')}/versions"
            listed = _json(self._session.get(versions_path, timeout=_SECONDS))
            versions = (listed or {}).get("pipeline_versions", [])
            self._made += [_IDS["pipeline_version_id"].format(**version) for version in versions]

    def _filled(self, value: Any) -> Any:
        """Replaces `<name>` by what is known under this name."""
        if isinstance(value, str):
            return re.sub(r"<(\w+)>", lambda found: str(self._known[found[1]]), value)
        if isinstance(value, Mapping):
            return {key: self._filled(one) for key, one in value.items()}
        return [self._filled(one) for one in value] if isinstance(value, list) else value

    def clean(self) -> list[str]:
        """Deletes what was made, the last first; returns what could not be deleted."""
        failed = []
        for path in reversed(self._made):
            try:
                answer = self._session.delete(self._base + path, timeout=_SECONDS)
            except requests.RequestException as error:
                failed.append(f"cleaning: {path}: no answer: {type(error).__name__}")
                continue
            if not answer.ok and answer.status_code != requests.codes.not_found:
                failed.append(f"cleaning: {path}: {answer.status_code}: {answer.text[:200]!r}")
        return failed


# How to delete what an answer describes, by the name of its id; the first that an answer has counts.
_IDS = {
    "recurring_run_id": "recurringruns/{recurring_run_id}",
    "run_id": "runs/{run_id}",
    "pipeline_version_id": "pipelines/{pipeline_id}/versions/{pipeline_version_id}",
    "pipeline_id": "pipelines/{pipeline_id}",
    "experiment_id": "experiments/{experiment_id}",
}


def check(url: str, package: str | None = None) -> list[str]:
    """Asks a server all requests.

    Args:
      url: of the API server, for one user, without /apis.
      package: YAML of a compiled pipeline, which is uploaded; None: a small one.

    Returns:
      what is not as the table of requests says, and what could not be deleted; empty if nothing differs.
    """
    asker = _Asker(url, package)
    found: list[str] = []
    try:
        for request in REQUESTS:
            found += asker.differences(request)
    finally:  # also after Ctrl-C
        found += asker.clean()
    return found


def _json(answer: requests.Response) -> dict[str, Any] | None:
    try:
        content = answer.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _lacks(found: Any, expected: Any, at: str = "") -> list[str]:
    """Where an answer is not as expected; it may have more fields."""
    if expected is ANY:
        return [] if found not in (None, "", [], {}) else [f"{at} is expected"]
    if isinstance(expected, Among):
        if any(not _lacks(one, expected.entry) for one in found or []):
            return []
        return [f"{at}: an entry {expected.entry} is expected. Received: {json.dumps(found)[:200]}"]
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            return [f"{at or 'the answer'}: fields are expected. Received: {json.dumps(found)[:200]}"]
        return [line for key, one in expected.items() for line in _lacks(found.get(key), one, f"{at}.{key}".strip("."))]
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return [f"{at}: {len(expected)} entries are expected. Received: {json.dumps(found)[:200]}"]
        return [line for i, one in enumerate(expected) for line in _lacks(found[i], one, f"{at}[{i}]")]
    return [] if found == expected else [f"{at}: {expected!r} is expected. Received: {found!r}"]


if __name__ == "__main__":
    found = check(sys.argv[1], Path(sys.argv[2]).read_text() if len(sys.argv) > 2 else None)
    print("\n".join([*found, f"{len(REQUESTS)} requests, {len(found)} differences"]))
    sys.exit(bool(found))
