"""The section `kubeflow`: how the stages run on Kubeflow Pipelines."""

from __future__ import annotations

import datetime
import itertools
import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from config.cron import check_cron
from config.pods import (
    ContainerPath,
    PodConfig,
    ResourceName,
    Secret,
    VariableName,
    Volume,
    absolute,
    is_label_key,
    normal,
)
from config.section import Section
from config.stages import (
    BASELINE_MODEL,
    EXAMPLE_VALIDATOR,
    EXTERNAL_STATE,
    IMAGE_EXAMPLE_GEN,
    PUSHER,
    STAGES,
    TRAINER,
    StageName,
)

# Environment variables: the number of GPUs that a stage was given, and the GPUs that it may use.
GPUS, VISIBLE_GPUS = "REGRAFT_GPUS", "CUDA_VISIBLE_DEVICES"
# Node labels that only nodes with GPUs have, as vendors and clouds set them.
_GPU_LABELS = ("gke-accelerator", "nvidia.com/gpu", "amd.com/gpu", "eks.amazonaws.com/accelerator", "accelerator")
_ROOT_SCHEMES = ("gs", "s3", "minio")


def _absolute_or_uri(path: str) -> str:
    filled = path.replace("{SPAN}", "0").replace("{VERSION}", "0")
    if filled.startswith(("gs://", "s3://")):
        if re.search(r"[{}\x00-\x1f]", filled):
            raise ValueError("a URI without braces is expected; only {SPAN} and {VERSION} are allowed")
        return path
    absolute(filled)
    return normal(path)


DataPath = Annotated[str, pydantic.AfterValidator(_absolute_or_uri)]


class Schedule(Section):
    """When the pipeline runs. `regraft kubeflow schedule` creates the schedule on the server."""

    cron: str | None = None
    """Five fields as in crontab, in UTC: minute, hour, day of month, month, day of week, such as `0 3 * * MON`."""
    interval_minutes: int | None = Field(None, ge=1)
    """Minutes between two runs; either this or `cron`."""
    max_concurrency: int = Field(1, ge=1, le=10)
    """Most runs at the same time; 1 to 10; default: 1."""
    start: datetime.datetime | None = Field(None, strict=False)
    """No run before this time, ISO 8601 with a time zone; default: no limit."""
    end: datetime.datetime | None = Field(None, strict=False)
    """No run after this time; default: no limit."""

    @pydantic.field_validator("cron")
    @classmethod
    def _legal_cron(cls, cron: str | None) -> str | None:
        if cron is not None:
            check_cron(cron)
        return cron

    @pydantic.field_validator("start", "end", mode="before")
    @classmethod
    def _no_number(cls, time: Any) -> Any:
        if isinstance(time, int | float):
            raise ValueError("a time in ISO 8601 is expected, such as 2026-12-01T03:00:00Z")
        return time

    @pydantic.field_validator("start", "end")
    @classmethod
    def _with_zone(cls, time: datetime.datetime | None) -> datetime.datetime | None:
        if time is not None and time.tzinfo is None:
            raise ValueError("a time zone is required, such as in 2026-12-01T03:00:00Z")
        return time

    @pydantic.model_validator(mode="after")
    def _fields_agree(self) -> Schedule:
        if (self.cron is None) == (self.interval_minutes is None):
            found = "none" if self.cron is None else "both"
            raise ValueError(f"exactly one of cron and interval_minutes is required. Received: {found}")
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"start must be before end. Received: {self.start} and {self.end}")
        return self


class KubeflowConfig(Section):
    """How the stages run on Kubeflow Pipelines; see docs/kubeflow.md. Runs on this machine ignore it."""

    image: str = Field(pattern=r"^[a-z0-9][-a-z0-9._/:]*[a-z0-9](:[\w.-]+)?(@sha256:[0-9a-f]{64})?$")
    """The container image, built from kubeflow/Dockerfile. It needs a digest, or a tag that never moves, since
    Kubeflow's cache knows the code only by the image's name."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """Kubernetes' image pull policy; default: that of the cluster."""
    image_pull_secrets: list[ResourceName] = []
    """Names of the secrets for the registry; default: none."""
    pipeline_root: str | None = None
    """Where artifacts are stored: `gs://`, `s3://` or `minio://` with bucket and path; default: the server's own
    place."""
    data_path: DataPath
    """The data, instead of `data.path`: an absolute path in the container, in a mounted volume, or `gs://` or `s3://`
    with bucket and path; may contain `{SPAN}` and `{VERSION}`."""
    push_directory: ContainerPath
    """Where blessed models are pushed, instead of `push.directory`: an absolute path in the container, in a mounted
    volume."""
    state_directory: ContainerPath | None = None
    """Where Trainer and Tuner save the state of an unfinished training or search, so that a retry continues there: an
    absolute path in the container, in a mounted volume; default: none, a retry starts again."""
    shared_folder: ContainerPath | None = None
    """With `beam.runner` flink or spark, which require it: the folder through which the artifacts of Beam stages reach
    the cluster's workers, an absolute path in a volume that the workers mount at the same path; default: none."""
    service_account: ResourceName | None = None
    """The service account of the pods; default: that of the server."""
    labels: dict[str, str] = {}
    """Labels of every pod, for example to tell costs apart; default: none."""
    annotations: dict[str, str] = {}
    """Annotations of every pod, such as `sidecar.istio.io/inject: "false"`; default: none."""
    env: dict[VariableName, str] = {}
    """Environment variables of every stage, by name; default: none."""
    secrets: list[Secret] = []
    """Secrets that stages get as environment variables; default: none."""
    volumes: list[Volume] = []
    """Volumes that are mounted into the stages; default: none."""
    every_stage: PodConfig = PodConfig()
    """Settings of every stage's pod."""
    stages: dict[StageName, PodConfig] = {}
    """Settings of single stages' pods, by stage: `OutsideState`, `ImageExampleGen`, `StatisticsGen`, `SchemaGen`,
    `ExampleValidator`, `Transform`, `TrunkFeatures`, `LabelCheck`, `Tuner`, `Trainer`, `Export`, `BaselineModel`,
    `Evaluator`, `ServingCheck`, `Pusher`, `Report` or `Verdict`."""
    schedule: Schedule | None = None
    """When the pipeline runs; default: no schedule."""

    @pydantic.field_validator("image")
    @classmethod
    def _never_moves(cls, image: str) -> str:
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@" not in image and tag in ("", "latest"):
            raise ValueError("a digest, or a tag that never moves, is required: Kubeflow's cache knows the code by it")
        return image

    @pydantic.field_validator("labels", "annotations")
    @classmethod
    def _legal_keys(cls, texts: dict[str, str]) -> dict[str, str]:
        for key in texts:
            if not is_label_key(key):
                raise ValueError(f"a key such as team or example.com/team is expected. Received: {key!r}")
        return texts

    @pydantic.field_validator("pipeline_root")
    @classmethod
    def _legal_root(cls, root: str | None) -> str | None:
        pattern = rf"({'|'.join(_ROOT_SCHEMES)})://[a-z0-9][-a-z0-9._]+(/.*)?"
        if root is not None and not re.fullmatch(pattern, root):
            raise ValueError("gs://, s3:// or minio:// with a bucket is expected")
        return root.rstrip("/") if root else root

    @pydantic.model_validator(mode="after")
    def _volumes_agree(self) -> KubeflowConfig:
        mounts: dict[str, int] = {}
        for number, volume in enumerate(self.volumes):
            if volume.mount in mounts:
                raise ValueError(
                    f"volumes.{number}.mount: each path is used once. Received: {volume.mount!r}, as in "
                    f"volumes.{mounts[volume.mount]}"
                )
            mounts[volume.mount] = number
        for stage in STAGES:
            claims = [volume.claim for volume in self.volumes_of(stage)]
            for claim in claims:
                if claims.count(claim) > 1:
                    raise ValueError(f"volumes: a stage mounts each claim once. Received: {claim!r} twice in {stage}")
        return self

    @pydantic.model_validator(mode="after")
    def _paths_are_mounted(self) -> KubeflowConfig:
        for field, stages in (
            ("data_path", (EXTERNAL_STATE, IMAGE_EXAMPLE_GEN)),
            ("push_directory", (EXAMPLE_VALIDATOR, BASELINE_MODEL, PUSHER)),
            ("state_directory", (TRAINER,)),
        ):
            path = getattr(self, field)
            if path and "://" not in path:
                for stage in stages:
                    self.check_mounted(field, path, stage)
        return self

    @pydantic.model_validator(mode="after")
    def _folders_are_apart(self) -> KubeflowConfig:
        fields = ("data_path", "push_directory", "state_directory", "shared_folder")
        paths = [
            (field, PurePosixPath(path)) for field in fields if (path := getattr(self, field)) and "://" not in path
        ]
        for (one, path), (other, second) in itertools.combinations(paths, 2):
            if path.is_relative_to(second) or second.is_relative_to(path):
                raise ValueError(f"{other}: must not overlap with {one}. Received: {second} and {path}")
        return self

    @pydantic.model_validator(mode="after")
    def _stages_fit(self) -> KubeflowConfig:
        for name in STAGES:
            try:
                self.stage(name)
            except pydantic.ValidationError as error:
                message = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise ValueError(f"stages.{name}: together with every_stage: {message}") from None
        return self

    @pydantic.model_validator(mode="after")
    def _variables_are_set_once(self) -> KubeflowConfig:
        for name in (*self.env, *(secret.env for secret in self.secrets)):
            if name in (GPUS, VISIBLE_GPUS):
                raise ValueError(f"env and secrets: must not set {VISIBLE_GPUS} and {GPUS}. Received: {name}")
        names = list(self.env)
        for number, secret in enumerate(self.secrets):
            if secret.env in names:
                raise ValueError(f"secrets.{number}.env: each variable is set once. Received: {secret.env!r} again")
            names.append(secret.env)
        return self

    @pydantic.model_validator(mode="after")
    def _gpu_nodes_are_for_gpus(self) -> KubeflowConfig:
        for name in STAGES:
            settings = self.stage(name)
            for label in settings.node_selector or {}:
                if not settings.gpu and any(part in label for part in _GPU_LABELS):
                    own = self.stages.get(name, PodConfig()).node_selector
                    where = f"stages.{name}" if own else "every_stage"
                    raise ValueError(
                        f"{where}.node_selector: {label!r} selects nodes with GPUs, but {name} uses no GPU; set its "
                        "gpu to 1 or more, or move the label to the stages that use one"
                    )
        return self

    def check_mounted(self, field: str, path: str, stage: str) -> None:
        """Refuses a path that a stage would not see.

        Raises:
          ValueError: naming the field.
        """
        mounts = [volume.mount for volume in self.volumes_of(stage)]
        if not any(PurePosixPath(path).is_relative_to(mount) for mount in mounts):
            found = ", ".join(mounts) or "none"
            raise ValueError(f"{field}: {path!r} is in no volume that {stage} mounts. Found: {found}")

    def stage(self, name: str) -> PodConfig:
        """The settings of one stage, with defaults."""
        chosen = self.stages.get(name, PodConfig()).over(self.every_stage)
        defaults = PodConfig(gpu=STAGES[name].default_gpus, retries=1, retry_after_seconds=30, cache=True)
        return chosen.over(defaults)

    def volumes_of(self, stage: str) -> list[Volume]:
        """The volumes that are mounted into a stage."""
        return [volume for volume in self.volumes if volume.stages is None or stage in volume.stages]

    def secrets_of(self, stage: str) -> list[Secret]:
        """The secrets that a stage gets."""
        return [secret for secret in self.secrets if secret.stages is None or stage in secret.stages]
