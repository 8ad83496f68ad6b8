"""The section `beam` of the configuration: what runs the stages that are Beam pipelines."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from pipeline.section import Section


def _address(given: str) -> str:
    host, _, port = given.rpartition(":")
    if not re.fullmatch(r"[-A-Za-z0-9._]+", host) or not re.fullmatch(r"\d{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError("host:port is expected, such as flink-jobs:8099")
    return given


# What the fields of the section say, or the entrypoint of Kubeflow's containers is given.
_NOT_OPTIONS = (
    *("runner", "direct_num_workers", "job_endpoint", "artifact_endpoint", "environment_type", "environment_config"),
    *("shared_folder", "executor_class_path", "json_serialized_invocation_args", "json_serialized_inputs_spec_args"),
)


def _option(given: str) -> str:
    if not re.match(r"--\w+", given):
        raise ValueError("--name=value is expected")
    if given.removeprefix("--").partition("=")[0] in _NOT_OPTIONS:
        raise ValueError("an option that no field of beam or kubeflow stands for is expected")
    return given


Address = Annotated[str, pydantic.AfterValidator(_address)]

_FOR_WORKERS = (
    # They have this package: TFX packs an sdist of itself for them in each stage, unless an image is named.
    "--sdk_container_image=has-this-package",
    # They import it first, as pipeline/pipeline.py does, and why.
    "--beam_plugin=tfx",
)
# How long a worker waits for the next stage's work: it takes that long to start one, TensorFlow included.
_KEPT_MILLISECONDS = 10_000


class Beam(Section):
    """What runs the stages that are Beam pipelines.

    They are ImageExampleGen, StatisticsGen, Transform, TrunkFeatures and Evaluator.
    """

    runner: Literal["local", "flink", "spark"] = "local"
    """`local` (default): Beam on this machine. `flink`, `spark`: a cluster, through Beam's job server for it; its
    workers must have this package and see the same files at the same paths."""
    workers: int | None = Field(None, ge=1, le=1024)
    """local: how many processes work at once, each with 1.5 GB or more; 1 is the stage's own, which decodes in as many
    threads as there are cores. flink: how many slots of the cluster. 1 to 1024; null (default): 1, but
    ImageExampleGen of a run here takes as many as there are cores, and memory for, if it has 10,000 images or more."""
    job_endpoint: Address | None = None
    """flink, spark: host:port of Beam's job server."""
    artifact_endpoint: Address | None = None
    """flink, spark: host:port of the job server's artifact service; default: the one that it names itself."""
    worker_command: str | None = Field(None, pattern=r"^/\S+$")
    """flink, spark: path of `regraft-beam-worker` on the cluster's machines, in the environment that this package is
    installed in; they start a Python process for each slot with it. This or `worker_pool`."""
    worker_pool: Address | None = None
    """flink, spark: host:port at which a machine of the cluster finds its own pool of Python workers (`python -m
    apache_beam.runners.worker.worker_pool_main`), mostly a sidecar's: localhost:50000."""
    options: list[Annotated[str, pydantic.AfterValidator(_option)]] = []
    """Further options of Beam, each as `--name=value`; they win. Beam ignores those that it doesn't know."""

    @pydantic.model_validator(mode="after")
    def _fields_of_this_runner(self) -> Beam:
        of_cluster = ("job_endpoint", "artifact_endpoint", "worker_command", "worker_pool")
        if self.runner == "local":
            for name in of_cluster:
                if name in self.model_fields_set:
                    raise ValueError(f"{name} is an option of runner flink and spark. Received: runner={self.runner!r}")
            return self
        if self.runner == "spark" and self.workers is not None:
            raise ValueError(
                "workers: Spark's own spark.default.parallelism says it; null is allowed with runner spark. "
                f"Received: {self.workers}"
            )
        if self.job_endpoint is None:
            raise ValueError(f"runner {self.runner} needs job_endpoint. Received: none")
        if (self.worker_command is None) == (self.worker_pool is None):
            found = "both" if self.worker_pool else "none"
            raise ValueError(f"runner {self.runner} needs one of worker_command and worker_pool. Received: {found}")
        return self

    def arguments(self) -> tuple[str, ...]:
        """The options as Beam's command line has them."""
        runner = self._local() if self.runner == "local" else self._portable()
        return (*runner, *_FOR_WORKERS, *self.options)

    def _local(self) -> list[str]:
        runner = "--runner=pipeline.beam_process.ProcessRunner"  # Beam's own would first try to download a Prism binary
        return [runner, f"--direct_num_workers={self.workers or 0}"]  # 0: ImageExampleGen picks one, the others take 1

    def _portable(self) -> list[str]:
        arguments = ["--runner=PortableRunner", f"--job_endpoint={self.job_endpoint}"]
        if self.artifact_endpoint:
            arguments.append(f"--artifact_endpoint={self.artifact_endpoint}")
        if self.worker_command:
            process = json.dumps({"command": self.worker_command})
            arguments += ["--environment_type=PROCESS", f"--environment_config={process}"]
        else:
            arguments += ["--environment_type=EXTERNAL", f"--environment_config={self.worker_pool}"]
        slots = [f"--parallelism={self.workers or 1}"] if self.runner == "flink" else []
        return [*arguments, *slots, f"--environment_cache_millis={_KEPT_MILLISECONDS}"]
