"""The main job: from a folder of images to a pushed model, or to a reason why not."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

STAGES = [
    *("ImageExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator"),
    *("Transform", "TrunkFeatures", "Trainer", "BaselineModel", "Evaluator", "Pusher"),
]


def test_a_first_run_pushes_version_one_and_tells_what_it_did(first_run):
    summary = first_run.summary
    assert first_run.versions[0] == "1"
    assert set(summary) == {"pipeline", "config", "data", "training", "test", "gate", "pushed", "stages"}
    data = summary["data"]
    assert data["classes"] == ["cyan", "magenta", "yellow"]
    assert data["found"] == 120 == data["train"] + data["eval"] + data["test"]
    assert data["quarantined"] == data["duplicates"] == 0
    assert summary["test"]["examples"] == data["test"]
    assert summary["test"]["accuracy"] == 1.0
    per_class = summary["test"]["per_class"]
    assert {name: row["recall"] for name, row in per_class.items()} == dict.fromkeys(data["classes"], 1.0)
    assert sum(row["examples"] for row in per_class.values()) == data["test"]
    training = summary["training"]
    assert (training["mode"], training["views"], training["dtype"]) == ("cached", 1, "float16")
    assert [(phase["phase"], phase["epochs"]) for phase in training["phases"]] == [("head", 3), ("fine_tune", 1)]
    (check,) = summary["gate"]["checks"]
    assert check == {"metric": "accuracy", "slice": "overall", "value": 1.0, "bound": 0.9, "passed": True}
    assert summary["gate"]["blessed"] is True and summary["gate"]["baseline"] is None
    assert summary["pushed"] == str(first_run.folder / "serving/1")
    assert [stage["id"] for stage in summary["stages"]] == STAGES


def test_the_terminal_shows_a_line_a_stage_and_the_table_and_no_chatter(first_run):
    lines = first_run.output.splitlines()
    assert [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in STAGES] == STAGES
    assert re.search(r"^  magenta +\d+ +\d+ +\d+ +100.00% +100.00%", first_run.output, re.MULTILINE)
    assert lines[-1] == f"pushed: {first_run.folder}/serving/1"
    assert len(lines) < 40 and "WARNING" not in first_run.output
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


def test_another_head_trains_on_the_same_kept_activations(workspace, colours, first_run):
    run = workspace.run(workspace.configure(colours, head={"dropout": 0.2}))
    after = {"Trainer", "BaselineModel", "Evaluator", "Pusher"}
    assert {stage for stage, cached in run.cached.items() if not cached} == after


def test_views_and_pixels_are_two_ways_to_train_on_augmented_images(workspace, colours, first_run):
    training = {"head": {"epochs": 1}, "fine_tune": None}
    views = {"augmentation": {"rotation": 10.0}, "trunk_features": {"views": 2}}
    run = workspace.run(workspace.configure(colours, training=training, **views))
    assert (run.summary["training"]["mode"], run.summary["training"]["views"]) == ("cached", 2)
    assert "2 views an image" in run.output
    run = workspace.run(workspace.configure(colours, training=training, augmentation=views["augmentation"]))
    assert "TrunkFeatures" not in run.cached
    assert run.summary["training"]["mode"] == "pixels"
    assert "trained on images: augmentation (rotation) is on, and trunk_features.views is 1" in run.output


def test_an_unreachable_bound_pushes_nothing_and_says_by_how_much(workspace, colours, first_run):
    versions = first_run.versions
    # At this rate the head learns next to nothing, whatever the images.
    untrained = {"head": {"epochs": 1, "learning_rate": 1e-9}, "fine_tune": None, "seed": 1}
    run = workspace.run(workspace.configure(colours, training=untrained, gate={"min_accuracy": 0.99999}))
    assert run.exit_code == 3
    assert run.versions == versions
    assert run.summary["pushed"] is None and run.summary["gate"]["blessed"] is False
    check = run.summary["gate"]["checks"][0]
    assert (check["metric"], check["bound"], check["passed"]) == ("accuracy", 0.99999, False)
    shortfall = check["bound"] - check["value"]
    assert f"at least 0.99999 wanted: FAILED by {shortfall:.4f}" in run.output
    assert run.output.splitlines()[-1] == "not blessed: nothing was pushed"
    assert run.cached["Transform"] and not run.cached["Trainer"]


def test_a_model_worse_than_production_is_refused_though_it_meets_the_bound(workspace, colours, first_run):
    versions = first_run.versions
    untrained = {"head": {"epochs": 1, "learning_rate": 1e-9}, "fine_tune": None, "seed": 1}
    run = workspace.run(workspace.configure(colours, training=untrained, gate={"min_accuracy": 0.0}))
    assert run.exit_code == 3
    assert run.versions == versions
    bound, change = run.summary["gate"]["checks"]
    assert bound["passed"] is True
    assert change["metric"] == "accuracy_change" and change["passed"] is False
    assert change["value"] == pytest.approx(run.summary["test"]["accuracy"] - 1.0, abs=1e-6)
    assert run.summary["gate"]["baseline"] == int(versions[-1])


def test_another_model_as_good_becomes_the_next_version(workspace, colours, first_run):
    before = first_run.versions
    run = workspace.run(workspace.configure(colours, training={"seed": 7}))
    assert run.exit_code == 0, run.output
    assert run.versions == [*before, str(int(before[-1]) + 1)]
    assert run.summary["gate"]["baseline"] == int(before[-1])
    assert [check["passed"] for check in run.summary["gate"]["checks"]] == [True, True]


def test_a_push_is_never_answered_from_the_cache_once_the_version_is_gone(workspace, colours, first_run, tmp_path):
    elsewhere = {"directory": str(tmp_path / "served")}
    config = workspace.configure(colours, push=elsewhere)
    assert workspace.run(config).exit_code == 0
    (tmp_path / "served" / "1").rename(tmp_path / "gone")
    again = workspace.run(config)
    assert again.exit_code == 0
    assert again.cached["Trainer"] and not again.cached["Pusher"]
    assert (tmp_path / "served" / "2" / "saved_model.pb").is_file()


def test_the_pushed_model_names_the_right_class(first_run, colours, tmp_path):
    images = [str(colours / name / "3.png") for name in ("cyan", "magenta", "yellow")]
    (tmp_path / "notes.jpg").write_text("no image")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pipeline.predict", str(first_run.folder / "serving")),
            *(*images, "gone.png", str(tmp_path / "notes.jpg")),
        ],
        capture_output=True,
        text=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["file"] for answer in answers] == images
    assert [answer["label"] for answer in answers] == ["cyan", "magenta", "yellow"]
    for answer in answers:
        assert answer["probabilities"][answer["label"]] == answer["probability"] > 0.5
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert done.returncode == 2
    told = done.stderr.splitlines()
    assert told[0] == "gone.png: can't be read: No such file or directory"
    assert told[1].startswith(f"{tmp_path}/notes.jpg: can't be decoded: Unknown image file format")
    assert len(told) == 2
