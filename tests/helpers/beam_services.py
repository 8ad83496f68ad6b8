"""What clusters for Beam have in common: job servers from Maven Central, their processes, Python workers."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pod
import pytest

TOOLS = ("java", "mvn", "setpriv")
SOURCE = Path(__file__).parents[1] / "beam"
BUILT = Path(__file__).parents[2] / "build" / "beam"  # hundreds of megabytes, kept for the next time

_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.1

# util-linux: has the kernel end a process when the one that started it is gone, even killed.
_DYING_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")

# What Flink's own conf/config.yaml opens for Java 17, as far as a Beam batch job on this cluster needs it.
JAVA_MODULES = (
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.net=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/java.text=ALL-UNNAMED",
    "--add-opens=java.base/java.time=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED",
)


class ClusterError(Exception):
    """The cluster, or something beside it, did not come up."""


def why_not() -> str:
    """Why there can be no clusters on this machine; empty if they can."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"needs {', '.join(missing)}" if missing else ""


def job_server(runner: str) -> Path:
    """The jar of Beam's job server for flink or spark; built, or the test skipped, if it isn't there."""
    folder = BUILT / runner
    jar = folder / "target" / f"{runner}-job-server.jar"
    if not jar.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / "pom.xml", folder / "pom.xml")
        fetch(["mvn", "--batch-mode", "--quiet", "-P", runner, "--file", str(folder / "pom.xml"), "package"])
    return jar


def job_server_options(job_port: int, artifact_port: int, scratch: Path) -> list[str]:
    """What every job server is told, whatever it hands jobs to."""
    options = {
        "--job-host": "localhost",
        "--job-port": job_port,
        "--artifact-port": artifact_port,
        "--expansion-port": 0,
        "--artifacts-dir": scratch / "artifacts",
    }
    return [str(word) for option in options.items() for word in option]


def fetch(command: Sequence[str]) -> None:
    """Runs a command that needs the network; skips the test if it can't be had."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command[0]} failed: {(done.stdout + done.stderr).strip()[-300:]}")


def memory(heap: str) -> tuple[str, ...]:
    return (f"-Xmx{heap}", "-XX:MaxMetaspaceSize=192m", "-XX:ReservedCodeCacheSize=64m", "-XX:+UseSerialGC")


def worker_command(scratch: Path, volumes: Mapping[str, Path] | None) -> Path:
    """Writes the command that task managers start Python workers with: one path, with no room for arguments.

    Workers import from where this process does.
    """
    command = scratch / "worker"
    words = [sys.executable, "-m", "pipeline.beam_worker"]
    if volumes is not None:
        (root := scratch / "root").mkdir()  # each pod puts a file system of its own over it
        words = pod.inside(str(root), volumes, words)
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    log = shlex.quote(str(scratch / "log"))
    script = f'#!/bin/sh\nPYTHONPATH={shlex.quote(path)} exec {shlex.join(words)} "$@" > {log}/worker-$$.log 2>&1\n'
    command.write_text(script, encoding="utf-8")
    command.chmod(0o755)
    return command


@contextlib.contextmanager
def process(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*_DYING_WITH_US, *command],
            env={**os.environ, "JAVA_TOOL_OPTIONS": f"-Djava.io.tmpdir={log.parent}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stops a process with all that it started, which is in a process group of its own."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)


def wait(what: str, processes: Sequence[subprocess.Popen[bytes]], answers: Callable[[], bool], logs: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while not answers():
        ended = [process.returncode for process in processes if process.poll() is not None]
        if ended:
            raise ClusterError(f"{what} ended with {ended[0]} while starting; its logs are in {logs}")
        if time.monotonic() > end:
            raise ClusterError(f"{what} did not answer within {_START_SECONDS:g} s; its logs are in {logs}")
        time.sleep(_POLL_SECONDS)


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("localhost", port), timeout=1):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that nobody holds now, all different; held together so that none is given twice."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("localhost", 0))
        return [held.getsockname()[1] for held in sockets]
