"""Kubeflow Pipelines' own server, compiler and driver read a package. They are built from their Go module."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import packages
import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.pods, pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")]

SOURCE = Path(__file__).parent / "backend"
BUILT = Path(__file__).parents[2] / "build" / "kubeflow-backend"
GO = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}

Json = dict[str, Any]
Backend = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def backend() -> Backend:
    """Runs it on a package. The Go modules are downloaded (1.4 GB) unless they are on this machine."""
    modules = subprocess.run(["go", "mod", "download"], cwd=SOURCE, env=GO, capture_output=True, text=True)
    if modules.returncode:
        pytest.skip(f"the Go module proxy does not have Kubeflow's module: {modules.stderr.strip()[-300:]}")
    subprocess.run(["go", "build", "-o", str(BUILT), "."], cwd=SOURCE, env=GO, check=True)
    return lambda path: subprocess.run([str(BUILT), str(path)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def made(backend, tmp_path_factory) -> Json:
    """The result for a package with many settings."""
    kubeflow = {
        "volumes": [{"claim": "photos", "mount": "/data"}, {"claim": "w", "mount": "/w", "stages": ["Trainer"]}],
        "secrets": [{"name": "s3", "key": "access", "env": "AWS_ACCESS_KEY_ID", "stages": ["ImageExampleGen"]}],
        "every_stage": {"cpu": "500m", "memory": "2Gi"},
        "stages": {
            "TrunkFeatures": {"gpu": 0},
            "Trainer": {
                "cpu": "4",
                "cpu_request": "2",
                "gpu": 2,
                "node_selector": {"cloud.google.com/gke-accelerator": "nvidia-l4"},
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
                "shared_memory": "1Gi",
            },
        },
    }
    folder = tmp_path_factory.mktemp("package")
    packages.compiled(folder, kubeflow)
    done = backend(folder / "package.yaml")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def container(made: Json, stage: str) -> Json:
    (one,) = made["pods"][stage]["containers"]
    return one


def test_the_package_becomes_an_argo_workflow_with_a_driver_and_a_pod_for_each_task(made, tmp_path):
    workflow = made["workflow"]
    assert (workflow["kind"], workflow["spec"]["entrypoint"]) == ("Workflow", "entrypoint")
    (dag,) = (template["dag"] for template in workflow["spec"]["templates"] if template["name"] == "root")
    tasks = set(packages.compiled(tmp_path).tasks)
    assert {task["name"] for task in dag["tasks"]} == tasks | {f"{name}-driver" for name in tasks}
    (trainer,) = (task for task in dag["tasks"] if task["name"] == "Trainer-driver")
    assert "Transform.Succeeded" in trainer["depends"]


def test_a_pod_runs_the_entrypoint_in_the_image(made):
    trainer = container(made, "Trainer")
    assert trainer["image"] == packages.KUBEFLOW["image"]
    command = trainer["args"]
    assert command[:3] == ["python", "-m", "kubeflow.entrypoint"]
    assert {"name": "REGRAFT_GPUS", "value": "2"} in trainer["env"]


def test_pods_get_the_resources_of_their_stage(made):
    resources = container(made, "Trainer")["resources"]
    assert resources["limits"] == {"cpu": "4", "memory": "2.147483648G", "nvidia.com/gpu": "2"}  # 2Gi
    assert resources["requests"] == {"cpu": "2", "memory": "2.147483648G"}
    others = [container(made, name)["resources"]["limits"] for name in made["pods"] if name != "Trainer"]
    assert all(limits["cpu"] == "500m" and "nvidia.com/gpu" not in limits for limits in others)


def test_volumes_secrets_and_nodes_are_those_of_the_stage(made):
    mounted = {
        name: {mount["name"]: mount["mountPath"] for mount in container(made, name)["volumeMounts"]}
        for name in made["pods"]
    }
    assert mounted.pop("Trainer") == {"photos": "/data", "w": "/w"}
    assert set(map(tuple, map(dict.items, mounted.values()))) == {(("photos", "/data"),)}
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in made["pods"]["Trainer"]["volumes"]]
    assert claims == ["photos", "w"]
    secret = {"name": "s3", "key": "access"}
    variable = {"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": secret}}
    assert [name for name in made["pods"] if variable in container(made, name)["env"]] == ["ImageExampleGen"]
    selectors = {name: pod.get("nodeSelector") for name, pod in made["pods"].items() if pod.get("nodeSelector")}
    assert selectors == {"Trainer": {"cloud.google.com/gke-accelerator": "nvidia-l4"}}


def test_settings_of_later_drivers_are_passed_on(made):
    """The driver of this version accepts tolerations and emptyDirs, and ignores them."""
    settings = json.loads(made["workflow"]["metadata"]["annotations"]["pipelines.kubeflow.org/kubernetes-Trainer"])
    assert settings["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert {mount["mountPath"] for mount in settings["emptyDirMounts"]} == {"/tmp", "/dev/shm"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda spec, _: spec.update(schemaVersion="2.0.0"), "refused on upload.*2.1.0"),
        (lambda spec, _: spec["root"].update(surprise=1), "refused on upload.*pipeline spec is invalid"),
        (
            lambda spec, _: spec["root"]["dag"]["tasks"]["Trainer"]["componentRef"].update(name="comp-x"),
            "refused on run",
        ),
        (
            lambda _, executors: executors["Trainer_executor"]["pvcMount"][0].update(surprise=1),
            "refused by the driver.*surprise",
        ),
    ],
)
def test_it_refuses_a_wrong_package(backend, tmp_path, spoil, message):
    package = packages.compiled(tmp_path)
    spoil(package.spec, package.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"])
    (tmp_path / "spoiled.yaml").write_text(yaml.safe_dump_all([package.spec, package.platform]))
    done = backend(tmp_path / "spoiled.yaml")
    assert done.returncode == 1
    assert re.search(message, done.stderr, re.DOTALL)
