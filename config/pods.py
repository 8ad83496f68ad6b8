"""Parts of the section `kubeflow` about pods: resources, nodes, volumes and secrets."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from config.section import Section
from config.stages import StageName

# A name of Kubernetes, https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(r"(\d+(\.\d*)?|\.\d+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?\d+))?")
_LABEL_KEY = re.compile(rf"({_SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
# Folders that the launcher and the stages themselves need.
_RESERVED = (
    *("/bin", "/dev", "/etc", "/lib", "/lib64", "/opt/venv", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp"),  # noqa: S108
    *("/usr", "/var", "/gcs", "/s3", "/minio", "/kfp-launcher", "/.local", "/.cache", "/.config"),
)
TEMPORARY, SHARED_MEMORY = "temporary", "shared-memory"  # volumes that every pod has
_LEAST_CPU, _MOST_CPU = 0.001, 512
_LEAST_MEMORY = 16 * 2**20  # a smaller number is one without its unit


def amount(quantity: str) -> float:
    """A Kubernetes quantity as a number: CPUs or bytes."""
    from kubernetes.utils.quantity import parse_quantity  # takes a second, which only this section costs

    return float(parse_quantity(quantity))


def is_label_key(key: str) -> bool:
    """Whether Kubernetes accepts a text as the key of a label or an annotation."""
    return _LABEL_KEY.fullmatch(key) is not None


def absolute(path: str) -> str:
    """An absolute path in a container, in its normal form.

    Raises:
      ValueError: if it is another kind of path, or has `..`, a brace or a colon.
    """
    if not path.startswith("/") or _has_odd_parts(path):
        raise ValueError("an absolute path in the container is expected, without '..', braces or colons")
    return normal(path)


def normal(path: str) -> str:
    """A path without repeated slashes and without one at its end."""
    return re.sub("/+", "/", path).rstrip("/") or "/"


def _has_odd_parts(path: str) -> bool:
    return ".." in PurePosixPath(path).parts or re.search(r"[{}:\x00-\x1f]", path) is not None


def _as_text(value: Any) -> Any:
    """A number, as YAML has it in cpu: 4, is a quantity as well."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _cpu(value: str) -> str:
    if not _QUANTITY.fullmatch(value) or not _LEAST_CPU <= amount(value) <= _MOST_CPU:
        raise ValueError("CPUs as a Kubernetes quantity, from 1m to 512, are expected, such as 4 or 500m")
    return value


def _memory(value: str) -> str:
    if not _QUANTITY.fullmatch(value) or amount(value) < _LEAST_MEMORY:
        raise ValueError("bytes as a Kubernetes quantity, 16Mi or more, are expected, such as 16Gi or 1.5T")
    return value


def _inside(path: str) -> str:
    if not path or path.startswith("/") or _has_odd_parts(path):
        raise ValueError("a path inside the claim is expected, without '..', braces or colons, such as team/photos")
    return path


def _volume_name(claim: str) -> str:
    if not re.fullmatch(_DNS_LABEL, claim):
        raise ValueError("at most 63 lower-case letters, digits and hyphens are expected, such as regraft-data")
    if claim in (TEMPORARY, SHARED_MEMORY):
        raise ValueError(f"any name but {TEMPORARY} and {SHARED_MEMORY} is allowed: every pod has volumes of that name")
    return claim


Cpu = Annotated[str, pydantic.BeforeValidator(_as_text), pydantic.AfterValidator(_cpu)]
Memory = Annotated[str, pydantic.BeforeValidator(_as_text), pydantic.AfterValidator(_memory)]
ContainerPath = Annotated[str, pydantic.AfterValidator(absolute)]
ResourceName = Annotated[str, Field(pattern=rf"^{_SUBDOMAIN}$", max_length=253)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Toleration(Section):
    """A toleration of Kubernetes: it lets a pod run on a node with a matching taint."""

    key: str | None = None
    """The taint's key; default: every key, with operator Exists."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """`Equal` (default): the taint must have the key and the value; `Exists`: it must have the key."""
    value: str | None = None
    """The taint's value, with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; default: every effect."""
    seconds: int | None = Field(None, ge=0)
    """With effect NoExecute: how long the pod may stay on the node; seconds; default: without a limit."""

    @pydantic.model_validator(mode="after")
    def _parts_agree(self) -> Toleration:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError(f"operator Exists takes no value. Received: {self.value!r}")
        if self.operator == "Equal" and not (self.key and self.value is not None):
            raise ValueError("operator Equal needs key and value. Received: one of them, or none")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError(f"seconds needs effect NoExecute. Received: {self.effect}")
        return self


class PodConfig(Section):
    """The settings of a stage's pod. A field of `kubeflow.stages` replaces the same field of `kubeflow.every_stage`."""

    cpu: Cpu | None = None
    """CPU limit, as a Kubernetes quantity such as 4 or 500m; default: no limit."""
    cpu_request: Cpu | None = None
    """CPU request: what the node reserves for the pod; at most `cpu`; default: `cpu`."""
    memory: Memory | None = None
    """Memory limit, such as 16Gi; default: no limit."""
    memory_request: Memory | None = None
    """Memory request: what the node reserves for the pod; at most `memory`; default: `memory`."""
    gpu: int | None = Field(None, ge=0, le=16)
    """Number of GPUs; 0 to 16; default: 1 for TrunkFeatures, Tuner and Trainer, 0
    for the other stages."""
    gpu_type: Annotated[str, Field(pattern=rf"^{_SUBDOMAIN}/[-a-z0-9.]+$")] | None = None
    """The name of the GPU resource in Kubernetes; default: nvidia.com/gpu."""
    node_selector: dict[str, str] | None = None
    """Labels that the node must have; default: none."""
    tolerations: list[Toleration] | None = None
    """Taints that the node may have; default: none."""
    shared_memory: Memory | None = None
    """Size of /dev/shm, such as 2Gi; it counts as memory of the pod; default: that of the container runtime, usually
    64Mi."""
    retries: int | None = Field(None, ge=0, le=20)
    """Number of retries of a stage that failed; 0 to 20; default: 1. Verdict is never retried. Needs KFP 2.5. A
    stage whose pod was deleted, for instance because its node was drained, may not be retried: this depends on Argo's
    version and on timing."""
    retry_after_seconds: int | None = Field(None, ge=0)
    """Pause before the first retry; it doubles with each further retry; seconds; default: 30."""
    timeout_minutes: int | None = Field(None, ge=1)
    """Longest duration of one try, counted from when the pod is scheduled; minutes; default: no limit."""
    cache: bool | None = None
    """Whether Kubeflow's cache may answer for the stage; default: yes. It never answers for OutsideState,
    ExampleValidator, BaselineModel, Pusher, Report and Verdict, since their results depend on more than their
    inputs."""

    @pydantic.field_validator("node_selector")
    @classmethod
    def _legal_labels(cls, labels: dict[str, str] | None) -> dict[str, str] | None:
        for key in labels or {}:
            if not is_label_key(key):
                raise ValueError(f"a label's key is expected, such as disktype or example.com/pool. Received: {key!r}")
        return labels

    @pydantic.model_validator(mode="after")
    def _requests_fit(self) -> PodConfig:
        for part, whole in (("cpu_request", "cpu"), ("memory_request", "memory"), ("shared_memory", "memory")):
            request, limit = getattr(self, part), getattr(self, whole)
            if request and limit and amount(request) > amount(limit):
                raise ValueError(f"{part}: at most {whole} is allowed. Received: {request} of {limit}")
        return self

    def over(self, general: PodConfig) -> PodConfig:
        """These settings; a field without a value gets that of `general`."""
        return PodConfig(**{**general.model_dump(exclude_none=True), **self.model_dump(exclude_none=True)})


class Volume(Section):
    """A PersistentVolumeClaim that is mounted into pods."""

    claim: Annotated[str, pydantic.AfterValidator(_volume_name)]
    """The claim's name, in the namespace of the run, without dots, since Kubeflow also names the pod's volume after it.
    A stage mounts each claim once."""
    mount: ContainerPath
    """Where the claim is mounted: an absolute path in the container."""
    sub_path: Annotated[str, pydantic.AfterValidator(_inside)] | None = None
    """The folder of the claim that is mounted; default: the whole claim. Kubeflow Pipelines supports it since 2026
    (https://github.com/kubeflow/pipelines/pull/12595); with an older backend, pods do not start."""
    stages: Annotated[list[StageName], Field(min_length=1)] | None = None
    """The stages that mount it; default: every stage."""

    @pydantic.field_validator("mount")
    @classmethod
    def _free(cls, mount: str) -> str:
        if mount == "/" or any(PurePosixPath(mount).is_relative_to(folder) for folder in _RESERVED):
            raise ValueError(
                f"any path but / and paths in {', '.join(_RESERVED)} is allowed: the image or Kubeflow uses these"
            )
        return mount


class Secret(Section):
    """A key of a Kubernetes secret that stages get as an environment variable."""

    name: ResourceName
    """The secret's name, in the namespace of the run."""
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
    """The key in the secret."""
    env: VariableName
    """The environment variable."""
    stages: Annotated[list[StageName], Field(min_length=1)] | None = None
    """The stages that get it; default: every stage."""
