"""Beam's job server for Spark with a Spark of its own (`local[2]`), for as long as a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import beam_services

from config.beam import BeamConfig

# Beside what Flink opens: what Spark's own launcher does, for as much as a Beam batch job needs.
_JAVA_MODULES = (
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/sun.security.action=ALL-UNNAMED",
)
_DRIVER = "org.apache.beam.runners.spark.SparkJobServerDriver"


@contextlib.contextmanager
def running(scratch: Path) -> Iterator[BeamConfig]:
    """Starts a server, yields the section of a configuration that has the Beam stages run on it, and stops it.

    Args:
      scratch: for logs and what Beam stages; made if need be, and not removed.

    Raises:
      ClusterError: if it ends or does not answer in time.
    """
    (scratch / "log").mkdir(parents=True)
    job, artifact = beam_services.free_ports(2)
    words = [*beam_services.job_server_options(job, artifact, scratch), "--spark-master-url", "local[2]"]
    modules = [*beam_services.JAVA_MODULES, *_JAVA_MODULES]
    jar = beam_services.job_server("spark")
    command = ["java", *beam_services.memory("768m"), *modules, "-cp", str(jar), _DRIVER, *words]
    with beam_services.process(command, scratch / "log" / "server.log") as server:
        beam_services.wait("Beam's job server", [server], lambda: beam_services.listens(job), scratch / "log")
        yield BeamConfig(
            runner="spark",
            job_endpoint=f"localhost:{job}",
            artifact_endpoint=f"localhost:{artifact}",
            worker_command=str(beam_services.worker_command(scratch, None)),
        )
