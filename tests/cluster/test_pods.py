"""Pods of stages on a real Kubernetes: with no rights, after a failure, and after a deletion."""

from __future__ import annotations

from typing import Any

import cluster_demo
import pytest
from cluster_demo import Demo
from real_cluster import KUBEFLOW, RealCluster
from waiting import becomes_true

from components.image_example_gen import sources
from config.data import IngestionConfig

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
_ENDS = ("Succeeded", "Failed", "Error")  # phases of a workflow
_RESTRICTED = "restricted"  # a level of Kubernetes' pod security standards


def test_a_stage_runs_in_a_pod_without_rights(cluster: RealCluster, demo: Demo):
    """As on OpenShift: any user number, a read-only root, no capabilities, and seccomp's filter."""
    level = {"pod-security.kubernetes.io/enforce": _RESTRICTED}
    state = "/tmp/state"
    script = (
        "set -e; id -u; grep CapEff /proc/self/status; grep Seccomp: /proc/self/status; "
        "python -c 'import kubeflow.entrypoint, tensorflow; print(\"imported\")'; "
        f"python -m kubeflow.external_state --data-path /data --data-state {state} --files-state /tmp/files; "
        f"cat {state}"
    )
    limited = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "runAsUser": 1_000_680_000,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    mounts = [{"name": "temporary", "mountPath": "/tmp"}, {"name": "photos", "mountPath": "/data", "readOnly": True}]
    container = {
        "name": "stage", "image": cluster_demo.image(), "command": ["sh", "-c", script], "securityContext": limited,
        "volumeMounts": mounts,
    }  # fmt: skip
    photos = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "photos"}}
    photos["spec"] = {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany"], "hostPath": {"path": str(demo.photos)},
        "claimRef": {"namespace": _RESTRICTED, "name": "photos"},
    }  # fmt: skip
    claim = {"storageClassName": "", "accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _RESTRICTED, "labels": level}},
        photos,
        {**_object("v1", "PersistentVolumeClaim", "photos", _RESTRICTED), "spec": claim},
        {
            **_object("v1", "Pod", "stage", _RESTRICTED),
            "spec": {
                "restartPolicy": "Never",
                "containers": [container],
                "volumes": [
                    {"name": "temporary", "emptyDir": {}},
                    {"name": "photos", "persistentVolumeClaim": {"claimName": "photos"}},
                ],
            },
        },
    )
    end = ("Succeeded", "Failed")
    stage = ("pod", "stage", f"--namespace={_RESTRICTED}")
    assert becomes_true(lambda: cluster.get(*stage)["status"]["phase"] in end, seconds=600)
    user, capabilities, seccomp, *more = cluster.kubectl("logs", "stage", f"--namespace={_RESTRICTED}").splitlines()
    assert cluster.get(*stage)["status"]["phase"] == "Succeeded", more
    assert (user, capabilities.split()[1], seccomp.split()[1]) == ("1000680000", "0" * 16, "2")
    assert "imported" in more
    assert more[-1] == sources.open_source(str(demo.photos), IngestionConfig()).state()


def _object(version: str, kind: str, name: str, namespace: str = KUBEFLOW) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def workflow(name: str, script: str) -> dict[str, Any]:
    """A workflow of one pod, with the retries that Kubeflow Pipelines from 2.5 writes for `retries: 1`."""
    volume = [{"name": "regraft-data", "mountPath": "/data"}]
    template = {
        "name": "stage",
        "retryStrategy": {"limit": 1, "backoff": {"duration": "1s"}},
        "container": {"image": cluster_demo.image(), "command": ["sh", "-c", script], "volumeMounts": volume},
    }
    claim = {"name": "regraft-data", "persistentVolumeClaim": {"claimName": "regraft-data"}}
    return {
        **_object("argoproj.io/v1alpha1", "Workflow", name),
        "spec": {
            "entrypoint": "stage", "serviceAccountName": "pipeline-runner", "templates": [template], "volumes": [claim],
        },
    }  # fmt: skip


def pods_of(cluster: RealCluster, name: str) -> list[dict[str, Any]]:
    return cluster.get("pods", f"--selector=workflows.argoproj.io/workflow={name}")["items"]


def phase(cluster: RealCluster, name: str) -> str:
    return cluster.get("workflow", name).get("status", {}).get("phase", "")


def tries(cluster: RealCluster, name: str) -> list[str]:
    """The phases of a stage's tries, the first one first."""
    nodes = cluster.get("workflow", name).get("status", {}).get("nodes", {}).values()
    pods = sorted((node["displayName"], node["phase"]) for node in nodes if node["type"] == "Pod")
    return [phase for _, phase in pods]


def test_a_failed_container_is_tried_again(cluster: RealCluster, demo: Demo):
    once = "test -e /data/tried && exit 0; touch /data/tried; exit 1"  # the demo has made /data writable
    cluster.apply(workflow("fails-once", once))
    assert becomes_true(lambda: phase(cluster, "fails-once") in _ENDS)
    assert phase(cluster, "fails-once") == "Succeeded"
    assert tries(cluster, "fails-once") == ["Failed", "Succeeded"]


@pytest.mark.parametrize("seconds", [1, 30])
def test_a_deleted_pod_has_not_succeeded(cluster: RealCluster, demo: Demo, seconds: int):
    """It depends on timing whether it is tried again: if the controller first sees that the container has failed."""
    name = f"deleted-after-{seconds}"
    # If a pod that has run for less than ten seconds is gone, Argo 3.3 notices it only 20 minutes later.
    cluster.apply(workflow(name, "sleep 15; echo started; sleep 600"))

    def started() -> list[str]:
        names = [one["metadata"]["name"] for one in pods_of(cluster, name) if one["status"]["phase"] == "Running"]
        return [one for one in names if "started" in cluster.log(one)]

    assert becomes_true(started)
    cluster.kubectl("delete", "pod", *started(), f"--grace-period={seconds}")
    assert becomes_true(lambda: phase(cluster, name) in _ENDS or len(tries(cluster, name)) == 2)
    assert tries(cluster, name)[0] in ("Failed", "Error")
    assert phase(cluster, name) != "Succeeded"
    cluster.kubectl("delete", "workflow", name)
