"""Runs a container's command as in a pod: with a read-only root file system, volumes and the launcher's folders."""

from __future__ import annotations

import functools
import json
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import fork_server
import warm_pod

CODE = Path(__file__).parents[2]
_SCRIPT, _MOUNTS = (str(Path(__file__).with_name(name)) for name in ("pod.sh", "pod_mounts.sh"))
# Held while processes of multiprocessing are made or joined: both ask for the exit codes of others, and a code that two
# threads ask for at once is lost.
_CHILDREN = threading.Lock()
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
    warm: bool = False,
) -> int:
    """Runs a command in a pod.

    Args:
      command: of the container; `python` is that of the virtual environment that runs the tests.
      mounts: absolute path in the pod to the folder on this machine that is mounted there, writable.
      environment: in addition to the image's.
      log: the command's output is appended to it.
      kill_when: the pod is killed as soon as this is true.
      warm: the process of a command `python -m …` is forked from one that has TensorFlow and TFX loaded, which saves
        ten seconds of a core. A test of the start, or of what a module itself imports, needs a cold pod. All warm pods
        have one hash seed, and TensorFlow has read its log level before.

    Returns:
      the exit code; negative if it was killed by a signal.
    """
    variables = {
        **ENVIRONMENT,
        "PYTHONPATH": str(CODE),
        "PATH": f"{sysconfig.get_path('scripts')}:/usr/bin:/bin:/usr/sbin",
        **environment,
    }
    start = _fork if warm and list(command[:2]) == ["python", "-m"] else _start
    with tempfile.TemporaryDirectory(prefix="pod-") as root:
        pid, wait = start(root, mounts, command, variables, log)
        ended = threading.Event()
        if kill_when:
            threading.Thread(target=_kill, args=(pid, kill_when, ended), daemon=True).start()
        try:
            return wait()
        finally:
            ended.set()


def inside(root: str, mounts: Mapping[str, Path], command: Sequence[str]) -> list[str]:
    """The command on this machine that runs a command in a pod.

    Args:
      root: an empty folder.
      mounts, command: see `run`.
    """
    return ["unshare", "-rm", "--propagation", "private", "sh", _SCRIPT, *_file_system(root, mounts), *command]


def _file_system(root: str, mounts: Mapping[str, Path]) -> list[str]:
    """The arguments of pod_mounts.sh."""
    pairs = [argument for place, folder in mounts.items() for argument in (str(folder), place)]
    return [root, str(CODE), sys.prefix, *pairs, "--"]


def _start(
    root: str, mounts: Mapping[str, Path], command: Sequence[str], variables: Mapping[str, str], log: Path
) -> tuple[int, Callable[[], int]]:
    """Starts a pod's process; gives its number, and a function that waits for its exit code."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            inside(root, mounts, command),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=variables,
            start_new_session=True,
        )
    return process.pid, process.wait


def _fork(
    root: str, mounts: Mapping[str, Path], command: Sequence[str], variables: Mapping[str, str], log: Path
) -> tuple[int, Callable[[], int]]:
    """Forks a pod's process, for a command `python -m …`; gives what `_start` does."""
    log.touch()
    mount = ["sh", _MOUNTS, *_file_system(root, mounts)]
    process = fork_server.CONTEXT.Process(
        target=warm_pod.main, args=(root, mount, command[2:], *_at_start(variables), log)
    )
    with _CHILDREN:
        process.start()

    def wait() -> int:
        multiprocessing.connection.wait([process.sentinel])
        with _CHILDREN:
            process.join()
            return process.exitcode

    return process.pid, wait


def _at_start(variables: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What a Python that starts with these environment variables makes of them: its variables, and `sys.path`."""
    program = "import json, os, sys; print(json.dumps([dict(os.environ), sys.path[1:]]))"
    done = subprocess.run([sys.executable, "-c", program], env=variables, check=True, capture_output=True)
    environment, path = json.loads(done.stdout)
    return environment, ["/tmp", *path]  # with `-m`, the first entry is the working folder


def _kill(pid: int, when: Callable[[], bool], ended: threading.Event) -> None:
    while not ended.wait(0.05):
        if when() and os.getpgid(pid) == pid:  # a fork is in the group of its parent at first
            os.killpg(pid, signal.SIGKILL)
            return
