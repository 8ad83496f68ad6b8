"""The section `beam`: what runs the stages that are Beam pipelines."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from config.section import Section


def _address(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[-A-Za-z0-9._]+", host) or not re.fullmatch(r"\d{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError("host:port is expected, such as flink-jobs:8099")
    return address


# Options that fields of the section stand for, or that the entrypoint of Kubeflow's containers takes itself.
_NOT_OPTIONS = (
    *("runner", "direct_num_workers", "job_endpoint", "artifact_endpoint", "environment_type", "environment_config"),
    *("shared_folder", "executor_class_path", "json_serialized_invocation_args", "json_serialized_inputs_spec_args"),
)


def _option(option: str) -> str:
    if not re.match(r"--\w+", option):
        raise ValueError("--name=value is expected")
    if option.removeprefix("--").partition("=")[0] in _NOT_OPTIONS:
        raise ValueError("a field of the section beam or kubeflow sets this option; use that field")
    return option


Address = Annotated[str, pydantic.AfterValidator(_address)]

_FOR_WORKERS = (
    # Workers have this package. Without an image's name TFX would pack an sdist of itself for them in each stage.
    "--sdk_container_image=has-this-package",
    # Workers import TFX first; pipeline/pipeline.py says why.
    "--beam_plugin=tfx",
)
# How long a worker waits for more work. Starting one takes as long, since it imports TensorFlow.
_KEPT_MILLISECONDS = 10_000
_OF_CLUSTERS = ("job_endpoint", "artifact_endpoint", "worker_command", "worker_pool")


class BeamConfig(Section):
    """What runs the stages that are Beam pipelines.

    They are ImageExampleGen, StatisticsGen, Transform, TrunkFeatures and Evaluator.
    """

    runner: Literal["local", "flink", "spark"] = "local"
    """`local` (default): Beam on this machine. `flink`, `spark`: a cluster, through Beam's job server for it. Its
    workers must have this package and see the same files at the same paths."""
    workers: int | None = Field(None, ge=1, le=1024)
    """local: number of processes that work at once, each with 1.5 GB of memory or more. 1 is the stage's own process,
    which decodes in one thread per core. flink: number of slots of the cluster. 1 to 1024; null (default): 1, but
    ImageExampleGen of a run on this machine takes one process per core, as far as memory allows, from 10,000 images
    on."""
    job_endpoint: Address | None = None
    """flink, spark: host:port of Beam's job server."""
    artifact_endpoint: Address | None = None
    """flink, spark: host:port of the job server's artifact service; default: the one that the job server names."""
    worker_command: str | None = Field(None, pattern=r"^/\S+$")
    """flink, spark: path of `regraft-beam-worker` on the cluster's machines, in the environment where this package is
    installed. They start a Python process for each slot with it. This or `worker_pool`."""
    worker_pool: Address | None = None
    """flink, spark: host:port at which each machine of the cluster finds its own pool of Python workers (`python -m
    apache_beam.runners.worker.worker_pool_main`), usually in a sidecar: localhost:50000."""
    options: list[Annotated[str, pydantic.AfterValidator(_option)]] = []
    """Further options of Beam, each as `--name=value`; they win. Beam ignores options that it does not know."""

    def unused_fields(self) -> dict[str, str]:
        """The fields of clusters, with runner local."""
        if self.runner != "local":
            return {}
        return dict.fromkeys(_OF_CLUSTERS, "is an option of runner flink and spark. Received: runner='local'")

    @pydantic.model_validator(mode="after")
    def _fields_of_this_runner(self) -> BeamConfig:
        if self.runner == "local":
            return self
        if self.runner == "spark" and self.workers is not None:
            raise ValueError(
                "workers: null is allowed with runner spark; set spark.default.parallelism in Spark. "
                f"Received: {self.workers}"
            )
        if self.job_endpoint is None:
            raise ValueError(f"runner {self.runner} needs job_endpoint. Received: none")
        if (self.worker_command is None) == (self.worker_pool is None):
            found = "both" if self.worker_pool else "none"
            raise ValueError(f"runner {self.runner} needs one of worker_command and worker_pool. Received: {found}")
        return self

    def arguments(self) -> tuple[str, ...]:
        """The section as options of Beam's command line."""
        runner = self._local() if self.runner == "local" else self._portable()
        return (*runner, *_FOR_WORKERS, *self.options)

    def _local(self) -> list[str]:
        runner = "--runner=pipeline.beam_runner.ProcessRunner"  # Beam's own would first try to download a Prism binary
        return [runner, f"--direct_num_workers={self.workers or 0}"]  # 0: ImageExampleGen chooses, other stages take 1

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
