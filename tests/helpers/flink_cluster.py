"""A Flink session cluster, Beam's job server and their Python workers, all on this machine, for as long as a block.

    with flink_cluster.running(libraries, job_server_jar, scratch) as cluster:
        executor.Executor(context with cluster.beam.arguments())

Everything is a child of this process: Flink's own shell scripts, which leave daemons behind, are not used. Nothing is
downloaded. Java 17 must be on the PATH.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pod

from pipeline.beam_section import Beam

_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.1

_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

# util-linux: has the kernel end a process when the one that started it is gone, even killed.
_DYING_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")

# What Flink's own conf/config.yaml opens for Java 17, as far as a Beam batch job on this cluster needs it.
_JAVA_MODULES = (
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

_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %-60c %x - %m%n
"""


class ClusterError(Exception):
    """The cluster, or something beside it, did not come up."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers.

    Attributes:
      rest: address of Flink's REST API, such as http://localhost:41234.
      beam: the section of a configuration that has the Beam stages run on it.
    """

    rest: str
    beam: Beam

    def get(self, path: str) -> Any:
        """Answers what Flink's REST API does to a path such as jobs/overview."""
        return _get_json(f"{self.rest}/{path}")


@dataclass(frozen=True)
class _Ports:
    rest: int
    rpc: int
    job: int
    artifact: int


@contextlib.contextmanager
def running(
    libraries: Path,
    job_server_jar: Path,
    scratch: Path,
    workers: int = 2,
    volumes: Mapping[str, Path] | None = None,
) -> Iterator[Cluster]:
    """Starts a cluster, yields it once all its task slots are offered, and stops it whatever happens.

    Each worker is a task manager of one slot with a Python process of its own. Slots of one task manager would share
    its Python processes, which Beam hands out in turn: two slots may be given the same one and leave the other idle.

    Args:
      libraries: folder of Flink's jars (pyflink/lib of the apache-flink-libraries package).
      job_server_jar: Beam's job server for the same minor version of Flink.
      scratch: for configuration, logs and what Flink spills and stages; made if need be, and not removed.
      workers: how many work at a time.
      volumes: if given, each Python worker is in a pod (see pod.py) with these mounts.

    Raises:
      ClusterError: if one of the processes ends or does not answer in time.
    """
    scratch = scratch.resolve()
    ports = _Ports(*_free_ports(4))
    conf = _write_conf(scratch, ports)
    command = _worker_command(scratch, volumes)
    logs = scratch / "log"
    with contextlib.ExitStack() as stack:

        def start(name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
            return stack.enter_context(_process(command, logs / f"{name}.log"))

        flink = _flink_classpath(libraries, job_server_jar)
        job_manager = start("jobmanager", _flink(flink, conf, _JOB_MANAGER, "256m"))
        task_managers = [
            start(f"taskmanager-{index}", _flink(flink, conf, _TASK_MANAGER, "448m")) for index in range(workers)
        ]
        job_server = start("jobserver", _job_server(job_server_jar, ports, scratch))
        rest = f"http://localhost:{ports.rest}"
        _wait("Flink", [job_manager, *task_managers], lambda: _offered_slots(rest) >= workers, logs)
        _wait("Beam's job server", [job_server], lambda: _listens(ports.job), logs)
        yield Cluster(rest, _options(ports, workers, command))


def _options(ports: _Ports, workers: int, command: Path) -> Beam:
    return Beam(
        runner="flink",
        workers=workers,
        job_endpoint=f"localhost:{ports.job}",
        artifact_endpoint=f"localhost:{ports.artifact}",
        worker_command=str(command),
        # Flink has Beam on its class path already. An empty list would mean all of that; any file will do.
        options=[f"--files_to_stage={__file__}"],
    )


def _flink_classpath(libraries: Path, job_server_jar: Path) -> str:
    """Flink and its logging, then Beam: a worker outlives a stage only if Beam isn't loaded for the job alone."""
    jars = sorted([*libraries.glob("flink-dist-*.jar"), *libraries.glob("log4j-*.jar")])
    if not jars:
        raise ClusterError(f"{libraries} has no flink-dist-*.jar")
    return os.pathsep.join(map(str, [*jars, job_server_jar.resolve()]))


def _flink(classpath: str, conf: Path, main: str, heap: str) -> list[str]:
    logging = f"-Dlog4j.configurationFile={conf / 'log4j.properties'}"
    return ["java", *_memory(heap), *_JAVA_MODULES, logging, "-cp", classpath, main, "--configDir", str(conf)]


def _job_server(jar: Path, ports: _Ports, scratch: Path) -> list[str]:
    options = {
        "--job-host": "localhost",
        "--job-port": ports.job,
        "--artifact-port": ports.artifact,
        "--expansion-port": 0,
        "--flink-master": f"localhost:{ports.rest}",
        "--artifacts-dir": scratch / "artifacts",
    }
    words = [str(word) for option in options.items() for word in option]
    # Its default, INFO, prints every metric of every job.
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", *_memory("192m"), quiet, *_JAVA_MODULES, "-jar", str(jar.resolve()), *words]


def _memory(heap: str) -> tuple[str, ...]:
    return (f"-Xmx{heap}", "-XX:MaxMetaspaceSize=192m", "-XX:ReservedCodeCacheSize=64m", "-XX:+UseSerialGC")


def _worker_command(scratch: Path, volumes: Mapping[str, Path] | None) -> Path:
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


def _write_conf(scratch: Path, ports: _Ports) -> Path:
    """Writes the two files that a Flink process reads from its configuration folder."""
    conf = scratch / "conf"
    for folder in (conf, scratch / "log", scratch / "tmp", scratch / "artifacts"):
        folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "jobmanager.rpc.address": "localhost",
        "jobmanager.rpc.port": ports.rpc,
        "jobmanager.bind-host": "localhost",
        "taskmanager.host": "localhost",
        "taskmanager.bind-host": "localhost",
        "rest.address": "localhost",
        "rest.bind-address": "localhost",
        "rest.bind-port": ports.rest,
        "rest.port": ports.rest,
        "web.submit.enable": "false",
        "classloader.resolve-order": "parent-first",
        "io.tmp.dirs": scratch / "tmp",
        # Flink's scripts work these out of one total; started without them, a task manager must be told each.
        "taskmanager.numberOfTaskSlots": 1,
        "taskmanager.cpu.cores": 1,
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.framework.off-heap.size": "128m",
        "taskmanager.memory.jvm-metaspace.size": "192m",
        "taskmanager.memory.jvm-overhead.min": "128m",
        "taskmanager.memory.jvm-overhead.max": "128m",
        "taskmanager.memory.task.heap.size": "320m",
        "taskmanager.memory.task.off-heap.size": "0m",
        "taskmanager.memory.managed.size": "128m",
        "taskmanager.memory.network.min": "192m",
        "taskmanager.memory.network.max": "192m",
        # Of 32 kB each, for every shuffle of a job at once; by default 512, which is 16 MB a shuffle.
        "taskmanager.network.sort-shuffle.min-buffers": 32,
    }
    lines = [f"{name}: {value}\n" for name, value in settings.items()]
    (conf / "config.yaml").write_text("".join(lines), encoding="utf-8")
    (conf / "log4j.properties").write_text(_LOGGING, encoding="utf-8")
    return conf


@contextlib.contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*_DYING_WITH_US, *command],
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


def _wait(what: str, processes: Sequence[subprocess.Popen[bytes]], answers: Callable[[], bool], logs: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while not answers():
        ended = [process.returncode for process in processes if process.poll() is not None]
        if ended:
            raise ClusterError(f"{what} ended with {ended[0]} while starting; its logs are in {logs}")
        if time.monotonic() > end:
            raise ClusterError(f"{what} did not answer within {_START_SECONDS:g} s; its logs are in {logs}")
        time.sleep(_POLL_SECONDS)


def _offered_slots(rest: str) -> int:
    try:
        return int(_get_json(f"{rest}/overview")["slots-total"])
    except (urllib.error.URLError, OSError):
        return 0


def _get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("localhost", port), timeout=1):
            return True
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    """Ports that nobody holds now, all different; held together so that none is given twice."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("localhost", 0))
        return [held.getsockname()[1] for held in sockets]
