"""Runs a container's command as in a pod: with a read-only root file system, volumes and the launcher's folders."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

CODE = Path(__file__).parents[2]
_SCRIPT = Path(__file__).with_name("pod.sh")
# Environment variables of the image; tests/kubeflow/test_image.py compares them with the Dockerfile.
ENVIRONMENT = {"HOME": "/tmp", "TF_USE_LEGACY_KERAS": "0", "PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


@functools.cache
def why_not() -> str:
    """Why pods cannot be emulated on this machine; empty if they can."""
    try:
        subprocess.run(["unshare", "-rm", "true"], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        return "pods are emulated with unshare, which this machine does not have"
    except subprocess.CalledProcessError as error:
        return f"this machine allows no mount namespaces: {error.stderr.strip()}"
    return ""


def run(
    command: Sequence[str],
    mounts: Mapping[str, Path],
    environment: Mapping[str, str],
    log: Path,
    kill_when: Callable[[], bool] | None = None,
) -> int:
    """Runs a command in a pod.

    Args:
      command: of the container; `python` is that of the virtual environment that runs the tests.
      mounts: absolute path in the pod to the folder on this machine that is mounted there, writable.
      environment: in addition to the image's.
      log: the command's output is appended to it.
      kill_when: the pod is killed as soon as this is true.

    Returns:
      the exit code; negative if it was killed by a signal.
    """
    variables = {
        **ENVIRONMENT,
        "PYTHONPATH": str(CODE),
        "PATH": f"{sysconfig.get_path('scripts')}:/usr/bin:/bin:/usr/sbin",
        **environment,
    }
    with tempfile.TemporaryDirectory(prefix="pod-") as root, log.open("ab") as output:
        process = subprocess.Popen(
            inside(root, mounts, command),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=variables,
            start_new_session=True,
        )
        ended = threading.Event()
        if kill_when:
            threading.Thread(target=_kill, args=(process, kill_when, ended), daemon=True).start()
        try:
            return process.wait()
        finally:
            ended.set()


def inside(root: str, mounts: Mapping[str, Path], command: Sequence[str]) -> list[str]:
    """The command on this machine that runs a command in a pod.

    Args:
      root: an empty folder.
      mounts, command: see `run`.
    """
    pairs = [argument for place, folder in mounts.items() for argument in (str(folder), place)]
    arguments = [root, str(CODE), sys.prefix, *pairs, "--", *command]
    return ["unshare", "-rm", "--propagation", "private", "sh", str(_SCRIPT), *arguments]


def _kill(process: subprocess.Popen, when: Callable[[], bool], ended: threading.Event) -> None:
    while not ended.wait(0.05):
        if when():
            os.killpg(process.pid, signal.SIGKILL)
            return
