"""The demo's runs on a real Kubernetes with a real Kubeflow Pipelines, as their owner sees them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import cluster_demo
import cluster_node
import pytest
import yaml
from cluster_demo import Demo, Process
from real_cluster import RealCluster
from waiting import becomes_true

from config.errors import ExitCode

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
OTHER_EPOCHS = ("--parameter", "head_epochs=6", "--parameter", "fine_tune_epochs=1")
GPU = "nvidia.com/gpu"
_TRAINER = "components.trainer."


def set_gpus(cluster: RealCluster, count: int) -> None:
    """Gives the node GPUs, as a device plugin does; they are only a number."""
    numbers = {GPU: str(count)}
    patch = json.dumps({"status": {"capacity": numbers, "allocatable": numbers}})
    cluster.kubectl("patch", "node", cluster_node.NAME, "--subresource=status", "--type=merge", f"--patch={patch}")


def stage_pods(cluster: RealCluster, phase: str, run: str = "") -> Iterator[dict[str, Any]]:
    """The stages' pods, without those of drivers and of the whole run.

    Args:
      cluster: where.
      phase: such as Running.
      run: the id of a run; empty: of all.
    """
    label = f"pipeline/runid={run}" if run else "pipeline/runid"
    for one in cluster.get("pods", f"--selector={label}")["items"]:
        images = {container["image"] for container in one["spec"]["containers"]}
        if one["status"]["phase"] == phase and cluster_demo.image() in images:
            yield one


def executor(one: dict[str, Any]) -> str:
    """The import path of the class that a stage's pod runs; empty for tasks that are not TFX components."""
    arguments = [argument for container in one["spec"]["containers"] for argument in container.get("args", [])]
    paths = [value for name, value in itertools.pairwise(arguments) if name == "--executor_class_path"]
    return paths[0] if paths else ""


def waits_for_gpu(cluster: RealCluster) -> list[str]:
    """Why pods wait that ask for a GPU."""
    return [
        condition["message"]
        for one in stage_pods(cluster, "Pending")
        if any(GPU in container["resources"].get("limits", {}) for container in one["spec"]["containers"])
        for condition in one["status"].get("conditions", [])
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]


def training_pod(cluster: RealCluster) -> str:
    """The name of Trainer's running pod; empty if there is none."""
    names = [one["metadata"]["name"] for one in stage_pods(cluster, "Running") if _TRAINER in executor(one)]
    return names[0] if names else ""


def ask(cluster: RealCluster, path: str, method: str = "GET") -> dict[str, Any]:
    """Asks Kubeflow Pipelines itself."""
    request = urllib.request.Request(f"{cluster.kfp_url}/apis/v2beta1/{path}", method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def newest_run(cluster: RealCluster) -> dict[str, Any]:
    return ask(cluster, "runs?sort_by=created_at%20desc&page_size=1").get("runs", [{}])[0]


@pytest.fixture(scope="module")
def first(cluster: RealCluster, first_run: Process) -> tuple[Process, list[str]]:
    """The first run, to its end; and why its first pod with a GPU waited, before the node had one."""
    reasons: list[str] = []

    def waits() -> bool:
        reasons[:] = waits_for_gpu(cluster)
        return bool(reasons) or first_run.has_ended()

    becomes_true(waits, seconds=900, every=2)
    set_gpus(cluster, 1)
    first_run.wait()
    return first_run, reasons


def test_a_first_run_pushes_version_one(first, demo):
    process, _ = first
    assert process.code == ExitCode.OK, process.output
    assert demo.serving.versions() == [1]
    manifest = demo.serving.manifest(1)
    assert manifest["config"]["training"]["head"]["epochs"] == 2
    assert manifest["test"]["accuracy"] > 0.95


def test_a_stage_that_needs_a_gpu_waits_until_a_node_has_one(first):
    _, reasons = first
    assert reasons and all(f"Insufficient {GPU}" in reason for reason in reasons)


def test_a_run_that_misses_its_gate_exits_with_3_and_pushes_nothing(first, cluster, demo, tmp_path):
    content = yaml.safe_load(demo.config.read_text(encoding="utf-8"))
    content["gate"]["min_test_examples"] = 100_000  # out of reach
    (tmp_path / "strict.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    process = dataclasses.replace(demo, config=tmp_path / "strict.yaml").run("run", *cluster_demo.FEW_EPOCHS)
    assert process.code == ExitCode.NOT_BLESSED, process.output
    assert "not blessed, nothing was pushed" in process.output
    assert demo.serving.versions() == [1]
    ran = {executor(one) for one in stage_pods(cluster, "Succeeded", newest_run(cluster)["run_id"])}
    assert any("evaluator" in path for path in ran)
    assert not any(_TRAINER in path or "image_example_gen" in path for path in ran)  # the cache answered


@pytest.fixture(scope="module")
def drained(first, cluster: RealCluster, demo: Demo) -> Process:
    """A run whose node was drained while Trainer ran, after its first epochs."""
    process = demo.start("run", *OTHER_EPOCHS)
    saved = demo.cluster.volume / "training"

    def trains() -> bool:
        return (bool(training_pod(cluster)) and any(saved.rglob("state.npz"))) or process.has_ended()

    assert becomes_true(trains, seconds=600, every=1)
    pods = "--pod-selector=workflows.argoproj.io/workflow"
    cluster.kubectl("drain", cluster_node.NAME, pods, "--force", "--delete-emptydir-data", "--disable-eviction")
    process.wait()
    cluster.kubectl("uncordon", cluster_node.NAME)
    return process


def test_a_run_whose_node_is_drained_fails_at_the_stage_that_ran(drained, demo):
    assert drained.code == ExitCode.FAILED, drained.output
    assert "the run failed at Trainer" in drained.output
    assert demo.serving.versions() == [1]


@pytest.fixture(scope="module")
def terminated(drained, cluster: RealCluster, demo: Demo) -> tuple[Process, str]:
    """The same run again, terminated on the server while Trainer ran; and what Trainer's pod had printed."""
    process = demo.start("run", *OTHER_EPOCHS)
    printed = ""

    def continues() -> bool:
        nonlocal printed
        if name := training_pod(cluster):
            printed = cluster.log(name)
        return "continuing after" in printed or process.has_ended()

    assert becomes_true(continues, seconds=600, every=1)
    ask(cluster, f"runs/{newest_run(cluster)['run_id']}:terminate", "POST")
    process.wait()
    return process, printed


def test_a_new_run_continues_a_training_that_was_cut_off(terminated):
    _, printed = terminated
    assert "continuing after head epoch" in printed


def test_a_terminated_run_has_failed_and_came_to_no_verdict(terminated, cluster):
    process, _ = terminated
    assert process.code == ExitCode.FAILED
    assert "the run was terminated on the server before its end; it came to no verdict" in process.output
    assert "not blessed" not in process.output
    assert newest_run(cluster)["state"] == "FAILED"


def test_a_schedule_starts_runs_until_it_is_removed(terminated, cluster, demo):
    before = newest_run(cluster)["run_id"]
    assert (done := demo.run("schedule")).code == ExitCode.OK, done.output
    assert becomes_true(lambda: newest_run(cluster)["run_id"] != before, seconds=150, every=2)
    run = newest_run(cluster)["run_id"]
    assert (done := demo.run("unschedule")).code == ExitCode.OK, done.output
    status = json.loads(demo.run("status", "--json").output)
    (recurring,) = status["recurring_runs"]
    assert not recurring["enabled"]  # it is only disabled, since deleting it would end its run
    (started,) = [one for one in status["runs"] if one["id"] == run]
    assert started["recurring_run"] == recurring["id"]
    assert started["state"] in ("PENDING", "RUNNING")
    ask(cluster, f"runs/{run}:terminate", "POST")
    assert becomes_true(lambda: ask(cluster, f"runs/{run}")["state"] == "FAILED")
    assert demo.run("unschedule").code == ExitCode.OK
    assert json.loads(demo.run("status", "--json").output)["recurring_runs"] == []
