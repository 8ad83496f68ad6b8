"""The demo in emulated pods of open-source Kubeflow Pipelines: four runs of the compiled package."""

from __future__ import annotations

import runpy
import shutil
from dataclasses import dataclass

import pod
import pytest
from emulated_cluster import CACHED, FAILED, SKIPPED, SUCCEEDED, Cluster, Task

from components.serving_directory import ServingDirectory
from kubeflow import compile as compiler
from modules.serving import reference_predictions

pytestmark = [pytest.mark.slow, pytest.mark.pods, pytest.mark.skipif(bool(pod.why_not()), reason=pod.why_not())]
DEMO = pod.CODE / "data" / "traffic_lights.yaml"
FEW_EPOCHS = {"head_epochs": 2, "fine_tune_epochs": 1}
KILLED = -9
# One task of each module that containers run: in the third run their pods start as Kubeflow starts them, and import by
# themselves what they need. The others are forks. Trainer is one of them because its result is compared with a fork's.
COLD = ("OutsideState", "Trainer", "Report", "Verdict")
AFTER_TRAINING = ("BaselineModel", "Evaluator", "ServingCheck", "Pusher", "Report", "Verdict")


@dataclass
class Runs:
    """Four runs of one pipeline, one after the other.

    Attributes:
      cluster: where they ran.
      serving: the push directory.
      first: two of its pods are killed, once each.
      second: has another learning rate; the first run's model is in production.
      third: requires more test images than there are; Trainer is as in the first run, but neither cached nor killed.
      fourth: the same image has two labels.
    """

    cluster: Cluster
    serving: ServingDirectory
    first: dict[str, Task]
    second: dict[str, Task]
    third: dict[str, Task]
    fourth: dict[str, Task]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("cluster")
    volume = folder / "volume"
    volume.mkdir()
    photos = volume / "traffic_lights"
    runpy.run_path(str(DEMO.with_name("prepare_traffic_lights.py")))["prepare"](photos)
    demo = compiler.load(str(DEMO))
    package = compiler.build(demo)
    cluster = Cluster(folder, {"regraft-data": volume}, warm=True)
    output = folder / "pods" / "run-1-ImageExampleGen-0" / "s3"
    first = cluster.run(
        package,
        FEW_EPOCHS,
        kill={
            "ImageExampleGen": lambda: any(output.rglob("examples")),  # it has started to write
            "Trainer": lambda: any((volume / "training").rglob("state.npz")),  # an epoch was saved
        },
    )
    second = cluster.run(package, {**FEW_EPOCHS, "head_learning_rate": 2e-3})
    strict = demo.model_copy(update={"gate": demo.gate.model_copy(update={"min_test_examples": 1000})})
    strict_package = compiler.build(strict)
    del strict_package.tasks["Trainer"]["cachingOptions"]
    third = cluster.run(strict_package, FEW_EPOCHS, cold=COLD)
    shutil.copy(next((photos / "green").iterdir()), photos / "yellow" / "twin.jpg")
    fourth = cluster.run(package)
    return Runs(cluster, ServingDirectory(volume / "models" / "traffic-lights"), first, second, third, fourth)


def states(tasks: dict[str, Task]) -> dict[str, str]:
    return {name: task.state for name, task in tasks.items()}


def answers(cluster: Cluster, tasks: dict[str, Task]) -> str:
    folder = cluster.stored(tasks["Trainer"].artifacts["model_run"]["uri"])
    return (folder / reference_predictions.FILE).read_text(encoding="utf-8")


def test_a_first_run_pushes_version_one(runs):
    failed = {name: task.output[-2000:] for name, task in runs.first.items() if task.state != SUCCEEDED}
    assert not failed
    manifest = runs.serving.manifest(1)
    assert manifest["parent"] is None
    assert manifest["config"]["training"]["head"]["epochs"] == FEW_EPOCHS["head_epochs"]
    assert manifest["config"]["data"]["path"] == "/data/traffic_lights"
    assert manifest["test"]["accuracy"] > 0.95
    assert "pushed: /data/models/traffic-lights/1" in runs.first["Verdict"].output


def test_a_pod_that_was_killed_is_retried_with_the_same_result(runs):
    assert runs.first["ImageExampleGen"].exit_codes == [KILLED, 0]
    assert runs.first["Trainer"].exit_codes == [KILLED, 0]
    assert runs.third["Trainer"].exit_codes == [0]
    assert "continuing after head epoch 1" in runs.first["Trainer"].output
    assert answers(runs.cluster, runs.first) == answers(runs.cluster, runs.third)


def test_a_run_with_other_parameters_trains_again_and_is_compared_with_production(runs):
    assert runs.second["Trainer"].state == SUCCEEDED
    again = {"OutsideState", "ExampleValidator", "Trainer", *AFTER_TRAINING}
    assert {name for name, task in runs.second.items() if task.state == SUCCEEDED} == again
    assert {task.state for name, task in runs.second.items() if name not in again} == {CACHED}
    assert "against version 1" in runs.second["Verdict"].output
    manifest = runs.serving.manifest(2)
    assert manifest["parent"] == 1
    assert manifest["config"]["training"]["head"]["learning_rate"] == 2e-3
    assert answers(runs.cluster, runs.second) != answers(runs.cluster, runs.first)


def test_a_refused_model_is_not_pushed_and_fails_the_run_at_its_verdict(runs):
    assert runs.serving.versions() == [1, 2]
    assert {name for name, state in states(runs.third).items() if state == FAILED} == {"Verdict"}
    verdict = runs.third["Verdict"]
    assert verdict.exit_codes == [3]  # a verdict is not retried
    assert "at least 1000" in verdict.output
    assert "not pushed: refused by gate" in verdict.output


def test_every_run_with_a_verdict_has_a_report_with_its_own_figures(runs):
    for tasks, blessed, version in ((runs.first, 1, None), (runs.second, 1, 1), (runs.third, 0, 2)):
        report = tasks["Report"]
        assert report.state == SUCCEEDED
        page = runs.cluster.stored(report.artifacts["page"]["uri"]).read_text(encoding="utf-8")
        assert "No report" not in page, report.output
        assert "data:image" in page and "regraft kubeflow report run-" in page
        figures = report.artifacts["figures"]["metadata"]
        assert figures["blessed"] == blessed
        assert ("accuracy_change" in figures) == (version is not None)
        if blessed:
            pushed = runs.serving.manifest(1 if version is None else 2)
            assert figures["accuracy"] == pushed["test"]["accuracy"]
    learned = f"learning_rate: {runs.serving.manifest(2)['config']['training']['head']['learning_rate']}"
    assert learned in runs.cluster.stored(runs.second["Report"].artifacts["page"]["uri"]).read_text(encoding="utf-8")


def test_the_cache_never_answers_for_changed_data(runs):
    examples = runs.fourth["ImageExampleGen"]
    assert (examples.state, examples.exit_codes) == (FAILED, [2, 2])
    assert "twin.jpg" in examples.output
    assert "Traceback" not in examples.output
    assert set(states(runs.fourth).values()) == {SUCCEEDED, FAILED, SKIPPED}
    assert runs.fourth["Pusher"].state == SKIPPED


def test_the_state_of_the_data_changes_only_with_the_data(runs):
    first, third, fourth = (tasks["OutsideState"].parameters["data"] for tasks in (runs.first, runs.third, runs.fourth))
    assert first == third != fourth


def test_only_models_and_photos_stay_on_the_volume(runs):
    volume = runs.cluster.volumes["regraft-data"]
    assert [path for path in (volume / "training").rglob("*") if path.is_file()] == []
    assert {path.name for path in volume.iterdir()} == {"traffic_lights", "models", "training"}
