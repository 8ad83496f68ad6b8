"""The main job: from a folder of images to a pushed model, or to a reason why not."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipeline import history

pytestmark = pytest.mark.slow

STAGES = [
    *("ImageExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator"),
    *("Transform", "TrunkFeatures", "LabelCheck", "Trainer", "BaselineModel", "Evaluator", "ServingCheck", "Pusher"),
]


def test_a_first_run_pushes_version_one_and_tells_what_it_did(first_run):
    summary = first_run.summary
    assert first_run.versions[0] == "1"
    assert set(summary) == {
        "calibration",
        "pipeline",
        "config",
        "data",
        "bad_slices",
        "training",
        "test",
        "warnings",
        "label_check",
        "gate",
        "serving_check",
        "pushed",
        "refused_by",
        "novelty",
        "blessed_anyway",
        "stages",
    }
    data = summary["data"]
    assert data["classes"] == ["cyan", "magenta", "yellow"]
    assert data["found"] == 120 == data["train"] + data["eval"] + data["test"]
    assert data["quarantined"] == data["duplicates"] == 0
    assert summary["test"]["examples"] == data["test"]
    found = summary["label_check"]
    assert found["suspects"]["likely wrong"] == {} and found["in_test"] == [] and found["noise"] < 0.01
    assert summary["test"]["accuracy"] == 1.0 and summary["bad_slices"]["slices"] == []
    per_class = summary["test"]["per_class"]
    assert {name: row["recall"] for name, row in per_class.items()} == dict.fromkeys(data["classes"], 1.0)
    assert sum(row["examples"] for row in per_class.values()) == data["test"]
    training = summary["training"]
    assert (training["mode"], training["views"], training["dtype"]) == ("cached", 1, "float16")
    assert [(phase["phase"], phase["epochs"]) for phase in training["phases"]] == [("head", 3), ("fine_tune", 1)]
    assert first_run.check("accuracy") == {
        **{"metric": "accuracy", "slice": "overall", "judged": "value", "value": 1.0},
        **{"wanted": "at least", "bound": 0.9, "passed": True, "reason": ""},
    }
    assert summary["gate"]["blessed"] is True and summary["gate"]["baseline"] is None
    assert summary["gate"]["probe"]["accuracy"] == 1.0 and summary["gate"]["stress"] is None
    assert summary["serving_check"]["refusals"] == []
    measured = summary["serving_check"]["measured"]
    assert 0 < measured["warm_up_seconds"] < measured["load_seconds"] < measured["first_answer_seconds"]
    assert (first_run.folder / "serving/1/assets.extra/tf_serving_warmup_requests").is_file()
    assert 0 < measured["p50_ms"] <= measured["p99_ms"] and measured["images_per_second"] > 1
    assert summary["pushed"] == str(first_run.folder / "serving/1")
    assert [stage["id"] for stage in summary["stages"]] == STAGES


def test_the_terminal_shows_one_line_per_stage_and_the_table_and_nothing_of_the_libraries(first_run):
    lines = first_run.output.splitlines()
    assert [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in STAGES] == STAGES
    assert re.search(r"^  magenta +33.3% +\d+ +\d+ +\d+ +100.00% +100.00%", first_run.output, re.MULTILINE)
    assert lines[-2:] == [f"report: {first_run.folder}/report.html", f"pushed: {first_run.folder}/serving/1"]
    assert len(lines) < 60 and "WARNING" not in first_run.output
    log = re.search(r"details go to (\S+)", lines[0])[1]
    assert "tfx" in Path(log).read_text().lower()


def test_no_pixels_are_written(first_run):
    """Transform's graph travels; a materialised pixel tensor would be 100 KB an image."""
    examples = first_run.folder / "artifacts" / "ImageExampleGen" / "examples"
    size = sum(path.stat().st_size for path in examples.rglob("*.gz"))
    assert 0 < size < 120 * 8000
    assert not list((first_run.folder / "artifacts" / "Transform").rglob("transformed_examples*/*"))


def test_a_second_run_comes_from_the_cache_and_pushes_nothing_new(workspace, colours, first_run):
    versions = first_run.versions
    again = workspace.run(workspace.configure(colours))
    assert again.exit_code == 0
    assert again.cached == dict.fromkeys(STAGES, True)
    assert again.versions == versions
    assert again.output.splitlines()[-1] == f"nothing new to push: this model is {again.folder}/serving/{versions[-1]}"


def test_a_copied_and_damaged_workspace_heals_itself_and_pushes_nothing_new(
    workspace, colours, first_run, tmp_path, regraft
):
    """The copy has lost the test split and a part of the model. Both are made again, and all else is as it was."""
    folder, pushed = tmp_path / "workspace" / "colours", Path(first_run.summary["pushed"]).name
    copy = workspace.copied(first_run, tmp_path, pushed)  # other tests push too
    for examples in (folder / "artifacts/ImageExampleGen/examples").iterdir():
        shutil.rmtree(examples / "Split-test")
    for variables in (folder / "artifacts/Trainer/model").rglob("variables.data*"):
        os.truncate(variables, 1000)

    run = copy.run(copy.configure(colours))
    assert run.exit_code == 0, run.output
    assert "the workspace is in another place now" in run.output
    lines = [line for line in run.output.splitlines() if "the cached result is damaged" in line]
    assert [line.partition(":")[0] for line in lines] == ["ImageExampleGen", "Trainer"]
    again = {"ImageExampleGen", "Trainer", "BaselineModel", "Evaluator", "ServingCheck", "Pusher"}
    assert {stage for stage, cached in run.cached.items() if not cached} == again
    assert run.summary["test"]["examples"] == first_run.summary["test"]["examples"]
    last = run.output.splitlines()[-1]
    assert last == f"nothing new to push: the candidate gives the same answers as version {pushed}"
    assert run.versions == [pushed]
    assert f"nothing new: same answers as version {pushed}" in regraft("history", folder).output

    assert "removed: " in regraft("clean", folder, "--keep-runs", 1).output
    assert regraft("explain", folder).exit_code == 0
    run = copy.run(copy.configure(colours))
    assert run.cached == dict.fromkeys(STAGES, True)


def test_another_head_trains_on_the_same_kept_activations(workspace, colours, first_run):
    run = workspace.run(workspace.configure(colours, head={"dropout": 0.2}))
    after = {"Trainer", "BaselineModel", "Evaluator", "ServingCheck", "Pusher"}
    assert {stage for stage, cached in run.cached.items() if not cached} == after


def test_views_and_pixels_are_two_ways_to_train_on_augmented_images(workspace, colours, first_run):
    training = {"head": {"epochs": 1}, "fine_tune": None}
    views = {"augmentation": {"rotation": 10.0}, "trunk_features": {"views": 2}}
    run = workspace.run(workspace.configure(colours, training=training, **views))
    assert (run.summary["training"]["mode"], run.summary["training"]["views"]) == ("cached", 2)
    assert "2 views of each image" in run.output
    run = workspace.run(workspace.configure(colours, training=training, augmentation=views["augmentation"]))
    assert "TrunkFeatures" not in run.cached
    assert run.summary["training"]["mode"] == "pixels"
    assert "trained on images, because augmentation (rotation) is on, and trunk_features.views is 1" in run.output


def test_an_unreachable_bound_pushes_nothing_and_says_by_how_much(workspace, colours, first_run):
    versions = first_run.versions
    # At this rate the head learns next to nothing, whatever the images.
    untrained = {"head": {"epochs": 1, "learning_rate": 1e-9}, "fine_tune": None, "seed": 1}
    run = workspace.run(workspace.configure(colours, training=untrained, gate={"min_accuracy": 0.99999}))
    assert run.exit_code == 3
    assert run.versions == versions
    assert run.summary["pushed"] is None and run.summary["gate"]["blessed"] is False
    check = run.check("accuracy")
    assert (check["bound"], check["passed"]) == (0.99999, False)
    row = r"accuracy +overall +[\d.]+ +at least 0.99999 +(-[\d.]+) +FAILED"
    assert float(re.search(row, run.output)[1]) == pytest.approx(check["value"] - 0.99999, rel=1e-3)
    last = run.output.splitlines()[-1]
    assert last.startswith("not blessed (gate): nothing was pushed; ") and last.endswith(" is required")
    assert run.cached["Transform"] and not run.cached["Trainer"]


def test_a_model_worse_than_production_is_refused_though_it_meets_the_bound(workspace, colours, first_run):
    versions = first_run.versions
    untrained = {"head": {"epochs": 1, "learning_rate": 1e-9}, "fine_tune": None, "seed": 1}
    run = workspace.run(workspace.configure(colours, training=untrained, gate={"min_accuracy": 0.0}))
    assert run.exit_code == 3
    assert run.versions == versions
    assert run.check("accuracy")["passed"] is True
    check, change = run.check("accuracy_change"), run.summary["gate"]["change"]
    assert (check["judged"], check["passed"], check["value"]) == ("upper", False, change["upper"])
    assert change["value"] == pytest.approx(run.summary["test"]["accuracy"] - 1.0, abs=1e-6)
    assert f"difference to version {versions[-1]}: {change['value']:+.2%} (one-sided 95% bounds " in run.output
    assert run.summary["gate"]["baseline"] == int(versions[-1])


def test_another_model_as_good_becomes_the_next_version(workspace, colours, first_run):
    before = first_run.versions
    run = workspace.run(
        workspace.configure(colours, training={"seed": 7}, gate={"stress": {"images": 20, "max_regression": None}})
    )
    assert run.exit_code == 0, run.output
    assert run.versions == [*before, str(int(before[-1]) + 1)]
    assert run.summary["gate"]["baseline"] == int(before[-1])
    assert all(check["passed"] for check in run.summary["gate"]["checks"])
    assert run.summary["gate"]["change"]["value"] == 0
    tested = run.summary["gate"]["stress"]
    assert tested["images"] == min(20, run.summary["test"]["examples"])
    assert tested["accuracy"] == tested["baseline_accuracy"] == 1.0
    assert "stress test: " in run.output and "motion blur" in run.output


def test_a_model_that_was_rolled_back_is_not_pushed_again_until_it_is_promoted(workspace, colours, first_run, regraft):
    config = workspace.configure(colours, training={"seed": 8})
    pushed = workspace.run(config)
    versions, serving = pushed.versions, str(pushed.folder / "serving")
    version = versions[-1]
    manifest = json.loads((Path(serving) / version / "assets.extra" / "regraft.json").read_text())
    assert manifest["parent"] == pushed.summary["gate"]["baseline"]
    assert manifest["test"]["accuracy"] == pushed.summary["test"]["accuracy"]
    assert manifest["data"]["found"] == 120 and int(manifest["data"]["fingerprint"], 16)
    assert (manifest["config"]["training"]["seed"], manifest["config"]["name"]) == (8, "colours")
    rolled_back = regraft("versions", "rollback", serving)
    back = f"{int(version) + 1}"
    assert f"version {version} is rolled back; the current version is {serving}/{back}" in rolled_back.output
    assert rolled_back.exit_code == 0
    again = workspace.run(config)
    assert (again.exit_code, again.versions) == (3, [*versions, back])
    assert (
        again.output.splitlines()[-1] == f"nothing was pushed: this model is version {version}, which was rolled back"
    )
    assert again.cached["Trainer"] and again.summary["gate"]["baseline"] == int(back)
    assert regraft("versions", "promote", serving, version).exit_code == 0
    promoted = workspace.run(config)
    assert promoted.exit_code == 0
    assert promoted.output.splitlines()[-1] == f"nothing new to push: this model is {serving}/{int(back) + 1}"


def test_a_refused_model_is_pushed_for_a_reason_and_that_is_remembered(
    workspace, colours, first_run, tmp_path, regraft
):
    untrained = {"head": {"epochs": 1, "learning_rate": 1e-9}, "fine_tune": None, "seed": 1}
    workspace = workspace.copied(first_run, tmp_path)  # no version yet; the stages before Trainer are in the cache
    config = workspace.configure(colours, training=untrained, gate={"min_accuracy": 0.999})
    refused = workspace.run(config)
    assert (refused.exit_code, refused.versions, refused.summary["blessed_anyway"]) == (3, [], None)
    forced = workspace.run(config, "--bless-anyway", "the old one burns")
    assert (forced.exit_code, forced.versions) == (0, ["1"])
    assert forced.summary["blessed_anyway"] == "the old one burns" and forced.summary["gate"]["blessed"] is False
    told = f"NOT BLESSED (gate), pushed anyway: {forced.folder}/serving/1 (the old one burns)"
    assert forced.output.splitlines()[-1] == told
    manifest = json.loads((forced.folder / "serving/1/assets.extra/regraft.json").read_text())
    assert manifest["blessed_anyway"]["reason"] == "the old one burns" and manifest["blessed_anyway"]["by"]
    assert "accuracy (overall)" in manifest["blessed_anyway"]["failed"]
    listed = regraft("history", forced.folder)
    assert listed.exit_code == 0 and "NOT BLESSED, pushed as version 1: the old one burns" in listed.output
    assert workspace.run(config).exit_code == 3, "once"


@pytest.mark.skipif(Path("/var/run/docker.sock").exists(), reason="with Docker, TF Serving may well be content")
def test_tf_serving_that_can_not_be_asked_is_said_before_the_first_stage(workspace, colours):
    run = workspace.run(workspace.configure(colours, name="tf-serving", serving_check={"tf_serving": "2.19.0"}))
    assert (run.exit_code, run.versions, run.summary) == (2, [], None)
    assert run.output.startswith(
        "serving_check.tf_serving: Docker does not answer on this machine; start it, or remove the field ("
    )
    assert len(run.output.splitlines()) == 1


def test_tf_serving_is_asked_by_tfxs_infra_validator_and_pusher_heeds_it(workspace, colours, tmp_path):
    from config import loading
    from pipeline import pipeline

    asked = loading.load(workspace.configure(colours, name="tf-serving", serving_check={"tf_serving": "2.19.0"}))
    stages = {stage.id: stage for stage in pipeline.create_pipeline(asked, str(tmp_path), str(tmp_path)).components}
    assert stages["Pusher"].inputs["tf_serving_blessing"].producer_component_id == "InfraValidator"
    assert '"2.19.0"' in stages["InfraValidator"].exec_properties["serving_spec"]


def test_the_gate_alone_judges_any_model_and_changes_nothing(workspace, colours, first_run, tmp_path):
    config = workspace.configure(colours)
    before = workspace.run(config)
    versions = before.versions
    judged = workspace.run(config, "--gate-only", str(first_run.folder / "serving" / "1"))
    assert judged.exit_code == 0
    assert f"{first_run.folder}/serving/1 would be blessed; nothing was pushed" in judged.output
    assert re.search(r"^ImageExampleGen +cached$", judged.output, re.MULTILINE) and "Trainer" not in judged.output
    strict = workspace.configure(colours, gate={"max_calibration_error": 0.0})
    refused = workspace.run(strict, "--gate-only", str(first_run.folder / "serving"))
    assert refused.exit_code == 3
    assert re.search(r"calibration error +overall .* at most 0 .* FAILED", refused.output)
    assert refused.versions == versions
    assert refused.summary == before.summary
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    other = workspace.run(config, "--gate-only", str(tmp_path / "other"))
    assert other.exit_code == 2 and "ImageExampleGen" not in other.output
    assert (
        f"{tmp_path}/other: the model has no signature serving_default and class_names and true_labels" in other.output
    )
    nothing = workspace.run(config, "--gate-only", str(colours))
    assert "loading TFX" not in nothing.output
    assert nothing.exit_code == 2
    assert "a SavedModel or a folder of numbered versions is expected" in nothing.output


def test_past_runs_can_be_listed_and_explained(workspace, colours, first_run, regraft):
    refused = workspace.run(workspace.configure(colours, training={"head": {"epochs": 2}}, gate={"min_accuracy": 1}))
    assert refused.exit_code in (0, 3)
    runs = history.past_runs(first_run.folder)
    assert (runs[0].outcome, runs[0].baseline, runs[0].verdict.accuracy) == ("pushed as version 1", None, 1.0)
    assert runs[-1].verdict.accuracy == refused.summary["test"]["accuracy"]
    listed = regraft("history", first_run.folder)
    assert listed.exit_code == 0
    told = listed.output
    assert re.search(r"^ +1 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +100.00% +– +pushed as version 1", told, re.MULTILINE)
    assert len(re.findall(r"^ +\d+ +\d{4}-", told, re.MULTILINE)) == len(runs)
    explained = regraft("explain", first_run.folder, "--run", "1")
    assert explained.exit_code == 0
    assert re.search(r"accuracy +overall +1 +at least 0.9 +\+0.1 +passed", explained.output)
    explained = regraft("explain", first_run.folder, "--json")
    assert explained.exit_code == 0
    assert json.loads(explained.output)["checks"] == refused.summary["gate"]["checks"]
    refusal = regraft("explain", first_run.folder, "--run", "99")
    assert (refusal.exit_code, "--run: 1 to" in refusal.output) == (2, True)


def test_each_run_keeps_its_report_and_one_that_is_lost_is_made_again(first_run, regraft):
    found = regraft("report", first_run.folder, "--run", "1")
    assert found.exit_code == 0
    report = Path(found.output.strip())
    before = report.read_text(encoding="utf-8")
    assert "<title>Pushed: colours" in before and before.count("<img ") > 20
    report.unlink()
    assert regraft("report", first_run.folder, "--run", "1").exit_code == 0
    again = report.read_text(encoding="utf-8")
    assert again.count("<img ") == before.count("<img ") and again.count("<svg ") == before.count("<svg ")
    refusal = regraft("report", first_run.folder, "--run", "99")
    assert (refusal.exit_code, "--run: 1 to" in refusal.output) == (2, True)


@pytest.fixture(scope="module")
def exported(workspace, colours, first_run, tmp_path_factory):
    """The model of the first run with exports, pushed elsewhere: the run, and the same again without the version."""
    served = tmp_path_factory.mktemp("exported") / "served"
    config = workspace.configure(colours, push={"directory": str(served)}, export={"formats": ["litert-int8"]})
    run = workspace.run(config)
    assert run.exit_code == 0, run.output
    (served / "1").rename(served.parent / "gone")
    return run, workspace.run(config), served


def test_a_push_is_never_answered_from_the_cache_once_the_version_is_gone(exported):
    _, again, served = exported
    assert again.exit_code == 0
    assert again.cached["Trainer"] and again.cached["Export"] and not again.cached["Pusher"]
    assert (served / "2" / "saved_model.pb").is_file()


def test_exports_are_judged_and_pushed_with_the_model(exported, regraft, colours):
    run, _, served = exported
    assert run.cached["Trainer"] and not run.cached["Export"], "the same model, which gets exports"
    checked = {(check["slice"], check["metric"]) for check in run.summary["gate"]["checks"]}
    judged = {"valid", "accuracy", "agreement", "export_accuracy_change"}
    assert {("export=litert-int8", metric) for metric in judged} <= checked
    version = served / "2"
    manifest = json.loads((version / "assets.extra" / "regraft.json").read_text(encoding="utf-8"))
    assert manifest["exports"]["litert-int8"]["file"] == "model_int8.tflite"
    assert "model_int8.tflite" in (version / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    photo = colours / "magenta" / "3.png"
    by_saved_model = json.loads(regraft("predict", version, photo).stdout)
    export = version / "assets.extra" / "exports" / "model_int8.tflite"
    answer = json.loads(regraft("predict", export, photo).stdout)
    assert answer["label"] == "magenta" and by_saved_model.keys() - answer.keys() == {"novelty", "in_scope"}
    assert answer["probabilities"] == pytest.approx(by_saved_model["probabilities"], abs=0.1)


def test_the_pushed_model_names_the_right_class(first_run, colours, tmp_path):
    images = [str(colours / name / "3.png") for name in ("cyan", "magenta", "yellow")]
    noise = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(noise)
    (tmp_path / "notes.jpg").write_text("no image")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "regraft", "predict", str(first_run.folder / "serving")),
            *(*images, str(noise), "gone.png", str(tmp_path / "notes.jpg")),
        ],
        capture_output=True,
        text=True,
    )
    *answers, of_noise = [json.loads(line) for line in done.stdout.splitlines()]
    assert of_noise["answer"].startswith("none of these (nearest: ") and not of_noise["in_scope"]
    assert of_noise["novelty"] > 0.5 >= max(answer["novelty"] for answer in answers)
    assert [answer["file"] for answer in answers] == images
    assert [answer["answer"] for answer in answers] == ["cyan", "magenta", "yellow"]
    assert [answer["label"] for answer in answers] == ["cyan", "magenta", "yellow"]
    for answer in answers:
        assert answer["probabilities"][answer["label"]] == answer["probability"] > 0.5
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert done.returncode == 2
    told = done.stderr.splitlines()
    assert told[0] == "gone.png: cannot be read: No such file or directory"
    assert told[1].startswith(f"{tmp_path}/notes.jpg: the served model cannot decode it (Unknown image file format")
    assert len(told) == 2
