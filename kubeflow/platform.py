"""Puts the settings of the section `kubeflow` into each task: resources, retries, nodes, volumes and secrets."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig

from config.kubeflow import GPUS, VISIBLE_GPUS, KubeflowConfig
from config.pods import SHARED_MEMORY, TEMPORARY, PodConfig, amount
from config.stages import STAGES, VERDICT
from kubeflow.package import Package

_GPU = "nvidia.com/gpu"
_NO_GPU = {VISIBLE_GPUS: "-1"}


def apply(package: Package, settings: KubeflowConfig) -> Package:
    """A package whose tasks have these settings.

    Args:
      package: from TFX's compiler; its spec is changed in place.
      settings: of the configuration.
    """
    executors = {}
    for name, task in package.tasks.items():
        stage = settings.stage(name)
        container = package.container(name)
        if resources := _resources(stage):
            container["resources"] = resources
        environment = {**({GPUS: str(stage.gpu)} if stage.gpu else _NO_GPU), **settings.env}
        container["env"] = [{"name": key, "value": value} for key, value in environment.items()]
        _set_caching(name, task, stage)
        _set_retries(name, task, stage)
        executors[package.component(name)["executorLabel"]] = json_format.MessageToDict(
            _executor(name, stage, settings)
        )
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    return Package(package.spec, platform)


def _resources(stage: PodConfig) -> dict[str, Any]:
    """Limits and requests, as Kubeflow's SDK writes them: as text, and again as numbers for older servers."""
    resources: dict[str, Any] = {}
    for kind, unit, limit, request in (
        ("Cpu", 1, stage.cpu, stage.cpu_request),
        ("Memory", 1e9, stage.memory, stage.memory_request),
    ):
        for bound, value in (("Limit", limit), ("Request", request or limit)):
            if value:
                resources[f"resource{kind}{bound}"] = value
                resources[f"{kind.lower()}{bound}"] = amount(value) / unit
    if stage.gpu:
        kind, count = stage.gpu_type or _GPU, str(stage.gpu)
        resources["accelerator"] = {"resourceType": kind, "resourceCount": count, "type": kind, "count": count}
    return resources


def _set_caching(name: str, task: dict[str, Any], stage: PodConfig) -> None:
    if stage.cache and STAGES[name].cacheable:
        task["cachingOptions"] = {"enableCache": True}
    else:
        task.pop("cachingOptions", None)


def _set_retries(name: str, task: dict[str, Any], stage: PodConfig) -> None:
    if stage.retries and name != VERDICT:  # a retry would give the same verdict
        task["retryPolicy"] = {
            "maxRetryCount": stage.retries,
            "backoffDuration": f"{stage.retry_after_seconds}s",
            "backoffFactor": 2.0,
        }


def _executor(name: str, stage: PodConfig, settings: KubeflowConfig) -> KubernetesExecutorConfig:
    config = KubernetesExecutorConfig()
    config.node_selector.labels.update(stage.node_selector or {})
    for toleration in stage.tolerations or []:
        fields = toleration.model_dump(exclude_none=True)
        if (seconds := fields.pop("seconds", None)) is not None:
            fields["toleration_seconds"] = seconds
        config.tolerations.add(**fields)
    for volume in settings.volumes_of(name):
        config.pvc_mount.add(constant=volume.claim, mount_path=volume.mount, sub_path=volume.sub_path or "")
    for secret in settings.secrets_of(name):
        added = config.secret_as_env.add(secret_name=secret.name)
        added.key_to_env.add(secret_key=secret.key, env_var=secret.env)
    for pull_secret in settings.image_pull_secrets:
        config.image_pull_secret.add(secret_name=pull_secret)
    config.pod_metadata.labels.update(settings.labels)
    config.pod_metadata.annotations.update(settings.annotations)
    if settings.image_pull_policy:
        config.image_pull_policy = settings.image_pull_policy
    # The stages write to no other folder of the image, so its file system may be read-only.
    config.empty_dir_mounts.add(volume_name=TEMPORARY, mount_path="/tmp")  # noqa: S108
    if stage.shared_memory:
        config.empty_dir_mounts.add(
            volume_name=SHARED_MEMORY,
            mount_path="/dev/shm",  # noqa: S108
            medium="Memory",
            size_limit=stage.shared_memory,
        )
    if stage.timeout_minutes:
        config.active_deadline_seconds = 60 * stage.timeout_minutes
    return config
