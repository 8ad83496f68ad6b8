"""The section `kubeflow` of the configuration: where and on what the stages run on Kubeflow Pipelines."""

from __future__ import annotations

import datetime
import itertools
import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, get_args

import pydantic
from pydantic import Field

from pipeline.section import Section

StageName = Literal[
    "OutsideState",
    "ImageExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "Transform",
    "TrunkFeatures",
    "Trainer",
    "BaselineModel",
    "Evaluator",
    "ServingCheck",
    "Pusher",
    "Verdict",
]
STAGES: tuple[str, ...] = get_args(StageName)
ON_GPU = ("TrunkFeatures", "Trainer")
BEAM_STAGES = ("ImageExampleGen", "StatisticsGen", "Transform", "TrunkFeatures", "Evaluator")

# A label of Kubernetes, https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(r"(\d+(\.\d*)?|\.\d+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?\d+))?")
_ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_LABEL_KEY = re.compile(rf"({_SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
# Node labels that only nodes with GPUs have, as their vendors and clouds set them.
_GPU_LABELS = ("gke-accelerator", "nvidia.com/gpu", "amd.com/gpu", "eks.amazonaws.com/accelerator", "accelerator")
# What the launcher and the stages themselves need.
_TAKEN = (
    *("/bin", "/dev", "/etc", "/lib", "/lib64", "/opt/venv", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp"),  # noqa: S108
    *("/usr", "/var", "/gcs", "/s3", "/minio", "/kfp-launcher", "/.local", "/.cache", "/.config"),
)
TEMPORARY, SHARED_MEMORY = "temporary", "shared-memory"  # the pods' own volumes
GPUS, VISIBLE_GPUS = "REGRAFT_GPUS", "CUDA_VISIBLE_DEVICES"  # variables: how many GPUs a stage was given, which it sees
_LEAST_CPU, _MOST_CPU = 0.001, 512
_LEAST_MEMORY = 16 * 2**20  # less is a unit that was forgotten
_ROOT_SCHEMES = ("gs", "s3", "minio")


def _written(value: Any) -> Any:
    """A number as YAML has it, such as cpu: 4, is a quantity, too."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _cpu(value: str) -> str:
    if not _QUANTITY.fullmatch(value) or not _LEAST_CPU <= amount(value) <= _MOST_CPU:
        raise ValueError("CPUs as a Kubernetes quantity, from 1m to 512, are expected, such as 4 or 500m")
    return value


def _memory(value: str) -> str:
    if not _QUANTITY.fullmatch(value) or amount(value) < _LEAST_MEMORY:
        raise ValueError("bytes as a Kubernetes quantity, 16Mi or more, are expected, such as 16Gi or 1.5T")
    return value


def amount(quantity: str) -> float:
    """A Kubernetes quantity as a number: CPUs, bytes."""
    from kubernetes.utils.quantity import parse_quantity  # takes a second, which only this section costs

    return float(parse_quantity(quantity))


def _has_odd_parts(path: str) -> bool:
    return ".." in PurePosixPath(path).parts or re.search(r"[{}:\x00-\x1f]", path) is not None


def _absolute(path: str) -> str:
    if not path.startswith("/") or _has_odd_parts(path):
        raise ValueError("an absolute path in the container is expected, without .., braces and colons")
    return _normal(path)


def _normal(path: str) -> str:
    return re.sub("/+", "/", path).rstrip("/") or "/"


def _absolute_or_uri(path: str) -> str:
    filled = path.replace("{SPAN}", "0").replace("{VERSION}", "0")
    if filled.startswith(("gs://", "s3://")):
        if re.search(r"[{}\x00-\x1f]", filled):
            raise ValueError("a URI without braces, but {SPAN} and {VERSION}, is expected")
        return path
    _absolute(filled)
    return _normal(path)


Cpu = Annotated[str, pydantic.BeforeValidator(_written), pydantic.AfterValidator(_cpu)]
Memory = Annotated[str, pydantic.BeforeValidator(_written), pydantic.AfterValidator(_memory)]
ContainerPath = Annotated[str, pydantic.AfterValidator(_absolute)]
DataPath = Annotated[str, pydantic.AfterValidator(_absolute_or_uri)]


def _inside(path: str) -> str:
    if not path or path.startswith("/") or _has_odd_parts(path):
        raise ValueError("a path inside the claim is expected, without .., braces and colons, such as team/photos")
    return path


def _volume_name(claim: str) -> str:
    if not re.fullmatch(_DNS_LABEL, claim):
        raise ValueError("at most 63 small letters, digits and hyphens are expected, such as regraft-data")
    if claim in (TEMPORARY, SHARED_MEMORY):
        raise ValueError(f"anything but {TEMPORARY} and {SHARED_MEMORY}, volumes of each pod's own, is allowed")
    return claim


ResourceName = Annotated[str, Field(pattern=rf"^{_SUBDOMAIN}$", max_length=253)]


class Toleration(Section):
    """What makes a pod acceptable on a tainted node."""

    key: str | None = None
    """Of the taint; default: every taint, with operator Exists."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """`Equal` (default): the taint has the key and the value; `Exists`: it has the key."""
    value: str | None = None
    """Of the taint, with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Of the taint; default: every one."""
    seconds: int | None = Field(None, ge=0)
    """With effect NoExecute: how long the pod stays; seconds; default: for ever."""

    @pydantic.model_validator(mode="after")
    def _parts_agree(self) -> Toleration:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError(f"operator Exists takes no value. Received: {self.value!r}")
        if self.operator == "Equal" and not (self.key and self.value is not None):
            raise ValueError("operator Equal needs key and value. Received: one of them, or none")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError(f"seconds needs effect NoExecute. Received: {self.effect}")
        return self


class Stage(Section):
    """What the pod of a stage gets. A field of `kubeflow.stages` wins over the same one of `kubeflow.every_stage`."""

    cpu: Cpu | None = None
    """CPU limit, as a Kubernetes quantity such as 4 or 500m; default: none."""
    cpu_request: Cpu | None = None
    """CPU that is kept free for it; at most `cpu`; default: `cpu`."""
    memory: Memory | None = None
    """Memory limit, such as 16Gi; default: none."""
    memory_request: Memory | None = None
    """Memory that is kept free for it; at most `memory`; default: `memory`."""
    gpu: int | None = Field(None, ge=0, le=16)
    """Number of GPUs; 0 to 16; default 1 for TrunkFeatures and Trainer, 0 for the others."""
    gpu_type: Annotated[str, Field(pattern=rf"^{_SUBDOMAIN}/[-a-z0-9.]+$")] | None = None
    """The resource's name in Kubernetes; default nvidia.com/gpu."""
    node_selector: dict[str, str] | None = None
    """Labels that the node must have."""
    tolerations: list[Toleration] | None = None
    """Taints that the node may have."""
    shared_memory: Memory | None = None
    """Size of /dev/shm, such as 2Gi, taken from the memory; default: the container runtime's, mostly 64Mi."""
    retries: int | None = Field(None, ge=0, le=20)
    """How often the stage is tried again; 0 to 20; default 1. Verdict never is."""
    retry_after_seconds: int | None = Field(None, ge=0)
    """Pause before the first retry, doubled for each one after; seconds; default 30."""
    timeout_minutes: int | None = Field(None, ge=1)
    """How long it may take, retries not counted; minutes; default: for ever."""
    cache: bool | None = None
    """Whether the stage may be answered from Kubeflow's cache; default yes. OutsideState, ExampleValidator,
    BaselineModel, Pusher and Verdict, which depend on more than their inputs, never are."""

    @pydantic.field_validator("node_selector")
    @classmethod
    def _legal_labels(cls, labels: dict[str, str] | None) -> dict[str, str] | None:
        for key in labels or {}:
            if not _LABEL_KEY.fullmatch(key):
                raise ValueError(f"a label's key is expected, such as disktype or example.com/pool. Received: {key!r}")
        return labels

    @pydantic.model_validator(mode="after")
    def _requests_fit(self) -> Stage:
        for part, whole in (("cpu_request", "cpu"), ("memory_request", "memory"), ("shared_memory", "memory")):
            request, limit = getattr(self, part), getattr(self, whole)
            if request and limit and amount(request) > amount(limit):
                raise ValueError(f"{part}: at most {whole} is allowed. Received: {request} of {limit}")
        return self

    def over(self, general: Stage) -> Stage:
        """These settings, filled up with those of every stage."""
        return Stage(**{**general.model_dump(exclude_none=True), **self.model_dump(exclude_none=True)})


class Volume(Section):
    """A PersistentVolumeClaim, mounted into pods."""

    claim: Annotated[str, pydantic.AfterValidator(_volume_name)]
    """The claim's name, in the run's namespace; Kubeflow names the pod's volume after it, so without dots, and each is
    mounted once into a stage."""
    mount: ContainerPath
    """Where it is mounted: an absolute path in the container."""
    sub_path: Annotated[str, pydantic.AfterValidator(_inside)] | None = None
    """Which folder of the claim is mounted; default: all of it. Kubeflow Pipelines took it up in 2026
    (https://github.com/kubeflow/pipelines/pull/12595); the pods of an older backend don't start with it."""
    stages: Annotated[list[StageName], Field(min_length=1)] | None = None
    """In which stages; default: every one."""

    @pydantic.field_validator("mount")
    @classmethod
    def _free(cls, mount: str) -> str:
        if mount == "/" or any(PurePosixPath(mount).is_relative_to(taken) for taken in _TAKEN):
            raise ValueError(f"the image or Kubeflow needs it; anything but / and below {', '.join(_TAKEN)} is allowed")
        return mount


class Secret(Section):
    """A key of a Kubernetes secret, given to the stages as an environment variable."""

    name: ResourceName
    """The secret's name, in the run's namespace."""
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
    """Which of its keys."""
    env: Annotated[str, Field(pattern=rf"^{_ENV_NAME}$")]
    """The environment variable."""
    stages: Annotated[list[StageName], Field(min_length=1)] | None = None
    """In which stages; default: every one."""


class Schedule(Section):
    """When the pipeline runs by itself; `python -m kubeflow.submit schedule` tells the server."""

    cron: str | None = None
    """As in crontab, in UTC: minute, hour, day of month, month, day of week, such as `0 3 * * MON`."""
    interval_minutes: int | None = Field(None, ge=1)
    """Every so many minutes; this or `cron`."""
    max_concurrency: int = Field(1, ge=1, le=10)
    """How many runs there may be at once; 1 to 10; default 1."""
    start: datetime.datetime | None = Field(None, strict=False)
    """Not before then, ISO 8601 with a time zone; default: at once."""
    end: datetime.datetime | None = Field(None, strict=False)
    """Not after then; default: for ever."""

    @pydantic.field_validator("cron")
    @classmethod
    def _legal_cron(cls, cron: str | None) -> str | None:
        if cron is not None:
            check_cron(cron)
        return cron

    @pydantic.field_validator("start", "end", mode="before")
    @classmethod
    def _a_moment(cls, moment: Any) -> Any:
        if isinstance(moment, int | float):
            raise ValueError("a moment in ISO 8601 is expected, such as 2026-12-01T03:00:00Z")
        return moment

    @pydantic.field_validator("start", "end")
    @classmethod
    def _with_zone(cls, moment: datetime.datetime | None) -> datetime.datetime | None:
        if moment is not None and moment.tzinfo is None:
            raise ValueError("a time zone is wanted, such as 2026-12-01T03:00:00Z")
        return moment

    @pydantic.model_validator(mode="after")
    def _one_rhythm(self) -> Schedule:
        if (self.cron is None) == (self.interval_minutes is None):
            found = "none" if self.cron is None else "both"
            raise ValueError(f"one of cron and interval_minutes is wanted. Received: {found}")
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"start must be before end. Received: {self.start} and {self.end}")
        return self


_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_CRON_ORDER = {name: str(n) for n, name in enumerate(_DAYS)} | {name: str(n) for n, name in enumerate(_MONTHS, 1)}


def check_cron(cron: str) -> None:
    """Refuses what Kubeflow's scheduler wouldn't understand, or would understand otherwise.

    Raises:
      ValueError: if it isn't five fields, or one of them is none that crontab knows.
    """
    import croniter

    # Its scheduler (robfig/cron) takes a sixth field, the seconds, first, and knows no L, W, # or random values, nor
    # ranges that begin after their end.
    legal = len(cron.split()) == 5 and re.fullmatch(r"[-0-9A-Za-z*,/ ]+", cron) and not re.search(r"\b[LWHR]\b", cron)
    if not (legal and croniter.croniter.is_valid(cron)):
        raise ValueError("five fields as in crontab are expected, such as 0 3 * * MON")
    for first, last in re.findall(r"(\w+)-(\w+)", cron.upper()):
        if _CRON_ORDER.get(first, first).zfill(2) > _CRON_ORDER.get(last, last).zfill(2):
            raise ValueError(f"a range ends after it begins; {first}-{last} is written as two, with a comma")
    for field, size in zip(cron.split(), (60, 24, 31, 12, 7), strict=True):
        if any(int(step) > size for step in re.findall(r"/(\d+)", field)):
            raise ValueError(f"a step is at most the field's {size} values. Received: {field}")
    try:
        croniter.croniter(cron).get_next()
    except croniter.CroniterBadDateError:
        raise ValueError("a day that comes is expected") from None


class Kubeflow(Section):
    """Where and on what the stages run on Kubeflow Pipelines; docs/kubeflow.md. Not used by a run on this machine."""

    image: str = Field(pattern=r"^[a-z0-9][-a-z0-9._/:]*[a-z0-9](:[\w.-]+)?(@sha256:[0-9a-f]{64})?$")
    """The container image, as kubeflow/Dockerfile makes it; with a digest or a tag that never moves, since it is what
    Kubeflow's cache knows the code by."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """Of Kubernetes; default: the cluster's."""
    image_pull_secrets: list[ResourceName] = []
    """Names of secrets that the registry asks for; default: none."""
    pipeline_root: str | None = None
    """Where artifacts go: `gs://`, `s3://` or `minio://`, bucket, path; default: the server's own."""
    data_path: DataPath
    """The data, instead of `data.path`: an absolute path in the container, below a volume's mount, or `gs://` or `s3://`
    with bucket and path; may have `{SPAN}` and `{VERSION}`."""
    push_directory: ContainerPath
    """Where blessed models go, instead of `push.directory`: an absolute path in the container, below a volume's
    mount."""
    state_directory: ContainerPath | None = None
    """Where the state of an unfinished training is kept, so that a Trainer that was evicted goes on: an absolute path
    in the container, below a volume's mount; default: nowhere, it starts over."""
    shared_folder: ContainerPath | None = None
    """With `beam.runner` flink or spark: the folder that the artifacts of Beam stages pass through, an absolute path
    below the mount of a volume that the cluster's workers mount at the same place; default: none, which is an error
    with those."""
    service_account: ResourceName | None = None
    """What the pods run as; default: the server's own."""
    labels: dict[str, str] = {}
    """Labels of every pod, such as those that costs are told apart by."""
    annotations: dict[str, str] = {}
    """Annotations of every pod, such as `sidecar.istio.io/inject: "false"`."""
    env: dict[Annotated[str, Field(pattern=rf"^{_ENV_NAME}$")], str] = {}
    """Environment variables of every stage, by name."""
    secrets: list[Secret] = []
    """Secrets that the stages get as environment variables."""
    volumes: list[Volume] = []
    """Volumes that are mounted into the stages."""
    every_stage: Stage = Stage()
    """What each stage gets."""
    stages: dict[StageName, Stage] = {}
    """What single stages get, by name."""
    schedule: Schedule | None = None
    """When it runs by itself; default: when it is told to."""

    @pydantic.field_validator("image")
    @classmethod
    def _never_moves(cls, image: str) -> str:
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@" not in image and tag in ("", "latest"):
            raise ValueError("a digest, or a tag that never moves, is wanted: Kubeflow's cache knows the code by it")
        return image

    @pydantic.field_validator("labels", "annotations")
    @classmethod
    def _legal_keys(cls, given: dict[str, str]) -> dict[str, str]:
        for key in given:
            if not _LABEL_KEY.fullmatch(key):
                raise ValueError(f"a key such as team or example.com/team is expected. Received: {key!r}")
        return given

    @pydantic.field_validator("pipeline_root")
    @classmethod
    def _legal_root(cls, root: str | None) -> str | None:
        pattern = rf"({'|'.join(_ROOT_SCHEMES)})://[a-z0-9][-a-z0-9._]+(/.*)?"
        if root is not None and not re.fullmatch(pattern, root):
            raise ValueError("gs://, s3:// or minio:// with a bucket is expected")
        return root.rstrip("/") if root else root

    @pydantic.model_validator(mode="after")
    def _volumes_agree(self) -> Kubeflow:
        mounts: dict[str, int] = {}
        for number, volume in enumerate(self.volumes):
            if volume.mount in mounts:
                raise ValueError(
                    f"volumes.{number}.mount: each is mounted once. Received: {volume.mount!r}, as in "
                    f"volumes.{mounts[volume.mount]}"
                )
            mounts[volume.mount] = number
        for stage in STAGES:
            claims = [volume.claim for volume in self.volumes_of(stage)]
            for claim in claims:
                if claims.count(claim) > 1:
                    raise ValueError(
                        f"volumes: each claim is mounted once into a stage. Received: {claim!r} twice into {stage}"
                    )
        for field, readers in (
            ("data_path", ("OutsideState", "ImageExampleGen")),
            ("push_directory", ("ExampleValidator", "BaselineModel", "Pusher")),
            ("state_directory", ("Trainer",)),
        ):
            path = getattr(self, field)
            if path and "://" not in path:
                for stage in readers:
                    self.check_mounted(field, path, stage)
        return self

    @pydantic.model_validator(mode="after")
    def _folders_are_apart(self) -> Kubeflow:
        fields = ("data_path", "push_directory", "state_directory", "shared_folder")
        given = [
            (field, PurePosixPath(path)) for field in fields if (path := getattr(self, field)) and "://" not in path
        ]
        for (one, path), (other, second) in itertools.combinations(given, 2):
            if path.is_relative_to(second) or second.is_relative_to(path):
                raise ValueError(f"{other}: a folder apart from {one} is expected. Received: {second} and {path}")
        return self

    @pydantic.model_validator(mode="after")
    def _stages_fit(self) -> Kubeflow:
        for name in STAGES:
            try:
                self.stage(name)
            except pydantic.ValidationError as error:
                told = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise ValueError(f"stages.{name}: with every_stage's settings: {told}") from None
        return self

    def check_mounted(self, field: str, path: str, stage: str) -> None:
        """Refuses a path that a stage would not see.

        Raises:
          ValueError: naming the field.
        """
        mounted = [volume.mount for volume in self.volumes_of(stage)]
        if not any(PurePosixPath(path).is_relative_to(mount) for mount in mounted):
            found = ", ".join(mounted) or "none"
            raise ValueError(f"{field}: {path!r} is below no volume that is mounted into {stage}. Found: {found}")

    @pydantic.model_validator(mode="after")
    def _names_of_environment_differ(self) -> Kubeflow:
        for name in (*self.env, *(secret.env for secret in self.secrets)):
            if name in (GPUS, VISIBLE_GPUS):
                raise ValueError(
                    f"env and secrets: anything but {VISIBLE_GPUS} and {GPUS} is allowed. Received: {name}"
                )
        names = list(self.env)
        for number, secret in enumerate(self.secrets):
            if secret.env in names:
                raise ValueError(f"secrets.{number}.env: each variable is set once. Received: {secret.env!r} again")
            names.append(secret.env)
        return self

    @pydantic.model_validator(mode="after")
    def _gpu_nodes_are_for_gpus(self) -> Kubeflow:
        for name in STAGES:
            settings = self.stage(name)
            for label in settings.node_selector or {}:
                if not settings.gpu and any(part in label for part in _GPU_LABELS):
                    own = self.stages.get(name, Stage()).node_selector  # type: ignore[call-overload]
                    where = f"stages.{name}" if own else "every_stage"
                    raise ValueError(
                        f"{where}.node_selector: {label!r} asks for nodes with GPUs, but {name} gets none; set its gpu "
                        "to 1 or more, or leave the label to the stages that have one"
                    )
        return self

    def stage(self, name: str) -> Stage:
        """The settings of one stage, defaults filled in."""
        chosen = self.stages.get(name, Stage()).over(self.every_stage)  # type: ignore[call-overload]
        defaults = Stage(gpu=int(name in ON_GPU), retries=1, retry_after_seconds=30, cache=True)
        return chosen.over(defaults)

    def volumes_of(self, stage: str) -> list[Volume]:
        """The volumes that are mounted into a stage."""
        return [volume for volume in self.volumes if volume.stages is None or stage in volume.stages]

    def secrets_of(self, stage: str) -> list[Secret]:
        """The secrets that a stage gets."""
        return [secret for secret in self.secrets if secret.stages is None or stage in secret.stages]
