"""A Flink session cluster, Beam's job server and their Python workers, all on this machine, for as long as a block.

    with flink_cluster.running(scratch) as cluster:
        executor.Executor(context with cluster.beam.arguments())

Everything is a child of this process: Flink's own shell scripts, which leave daemons behind, are not used.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import beam_services

from config.beam import BeamConfig

_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %-60c %x - %m%n
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers.

    Attributes:
      rest: address of Flink's REST API, such as http://localhost:41234.
      beam: the section of a configuration that has the Beam stages run on it.
    """

    rest: str
    beam: BeamConfig

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
def running(scratch: Path, workers: int = 2, volumes: Mapping[str, Path] | None = None) -> Iterator[Cluster]:
    """Starts a cluster, yields it once all its task slots are offered, and stops it whatever happens.

    Each worker is a task manager of one slot with a Python process of its own. Slots of one task manager would share
    its Python processes, which Beam hands out in turn: two slots may be given the same one and leave the other idle.

    Args:
      scratch: for configuration, logs and what Flink spills and stages; made if need be, and not removed.
      workers: how many work at a time.
      volumes: if given, each Python worker is in a pod (see pod.py) with these mounts.

    Raises:
      ClusterError: if one of the processes ends or does not answer in time.
    """
    libraries, jar = _libraries(), beam_services.job_server("flink")
    scratch = scratch.resolve()
    ports = _Ports(*beam_services.free_ports(4))
    conf = _write_conf(scratch, ports)
    command = beam_services.worker_command(scratch, volumes)
    logs = scratch / "log"
    with contextlib.ExitStack() as stack:

        def start(name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
            return stack.enter_context(beam_services.process(command, logs / f"{name}.log"))

        flink = _flink_classpath(libraries, jar)
        job_manager = start("jobmanager", _flink(flink, conf, _JOB_MANAGER, "256m"))
        task_managers = [
            start(f"taskmanager-{index}", _flink(flink, conf, _TASK_MANAGER, "448m")) for index in range(workers)
        ]
        job_server = start("jobserver", _job_server(jar, ports, scratch))
        rest = f"http://localhost:{ports.rest}"
        beam_services.wait("Flink", [job_manager, *task_managers], lambda: _offered_slots(rest) >= workers, logs)
        beam_services.wait("Beam's job server", [job_server], lambda: beam_services.listens(ports.job), logs)
        yield Cluster(rest, _options(ports, workers, command))


def _libraries() -> Path:
    """Flink's jars; downloaded, or the test skipped, if they aren't there."""
    folder = beam_services.BUILT / "flink"
    libraries = folder / "lib"
    if not libraries.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        pinned = beam_services.SOURCE / "requirements.txt"
        beam_services.fetch([*download, "--require-hashes", "-r", str(pinned), "-d", str(folder)])
        (archive,) = folder.glob("apache*flink*.tar.gz")
        _unpack(archive, libraries)
        archive.unlink()
    return libraries


def _unpack(archive: Path, libraries: Path) -> None:
    unfinished = libraries.with_suffix(".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    with tarfile.open(archive) as content:
        for member in content:
            name = Path(member.name)
            if name.match("deps/lib/flink-dist-*.jar") or name.match("deps/lib/log4j-*.jar"):
                member.name = name.name
                content.extract(member, unfinished, filter="data")
    unfinished.rename(libraries)


def _options(ports: _Ports, workers: int, command: Path) -> BeamConfig:
    return BeamConfig(
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
        raise beam_services.ClusterError(f"{libraries} has no flink-dist-*.jar")
    return os.pathsep.join(map(str, [*jars, job_server_jar.resolve()]))


def _flink(classpath: str, conf: Path, main: str, heap: str) -> list[str]:
    logging = f"-Dlog4j.configurationFile={conf / 'log4j.properties'}"
    return [
        "java",
        *beam_services.memory(heap),
        *beam_services.JAVA_MODULES,
        logging,
        "-cp",
        classpath,
        main,
        "--configDir",
        str(conf),
    ]


def _job_server(jar: Path, ports: _Ports, scratch: Path) -> list[str]:
    words = beam_services.job_server_options(ports.job, ports.artifact, scratch)
    words += ["--flink-master", f"localhost:{ports.rest}"]
    # Its default, INFO, prints every metric of every job.
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [
        "java",
        *beam_services.memory("192m"),
        quiet,
        *beam_services.JAVA_MODULES,
        "-jar",
        str(jar.resolve()),
        *words,
    ]


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


def _offered_slots(rest: str) -> int:
    try:
        return int(_get_json(f"{rest}/overview")["slots-total"])
    except (urllib.error.URLError, OSError):
        return 0


def _get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)
