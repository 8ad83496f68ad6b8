"""Folders as people have them, and what a run says of them."""

import hashlib
import io
import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from drawing import colour_tree, encode, flat, stripes
from PIL import Image

from components.image_example_gen import splitting

pytestmark = pytest.mark.slow

FEW = {"min_test_examples": 1, "on_missing_class": "warn"}


def examples_of(run) -> dict[str, dict[str, str]]:
    """split to path to label, of every example written by the newest execution."""
    newest = max((run.folder / "artifacts/ImageExampleGen/examples").iterdir(), key=lambda p: int(p.name))
    found: dict[str, dict[str, str]] = {}
    for shard in newest.rglob("*.gz"):
        for record in tf.data.TFRecordDataset(str(shard), "GZIP").as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            path, label = (feature[f"image/{n}"].bytes_list.value[0].decode() for n in ("path", "label"))
            found.setdefault(shard.parent.name.removeprefix("Split-"), {})[path] = label
    return found


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory) -> Path:
    """Odd files among good ones; a class with a space in its name, and one in Hindi."""
    root = colour_tree(tmp_path_factory.mktemp("odd") / "photos", per_class=30)
    (root / "magenta").rename(root / "deep magenta")
    (root / "cyan").rename(root / "नीला")
    folder = root / "yellow"
    animation, wide = io.BytesIO(), io.BytesIO()
    Image.fromarray(flat("yellow")).save(animation, "GIF", save_all=True, append_images=[Image.fromarray(flat("cyan"))])
    Image.fromarray(np.full((30, 30), 0xC0FF, np.uint16)).save(wide, "PNG")
    for name, content in {
        "cmyk.jpg": encode(flat((255, 250, 0), (30, 30)), "JPEG", "CMYK"),
        "grey.png": encode(flat("yellow", (30, 30)), "PNG", "L"),
        "sixteen-bit.png": wide.getvalue(),
        "animated.gif": animation.getvalue(),
        "bitmap.bmp": encode(flat((250, 255, 0), (30, 30)), "BMP"),
        "पीला रंग.png": encode(flat((251, 251, 0), (30, 30))),
        "truncated.jpg": encode(stripes(64), "JPEG")[:700],
        "text.jpg": b"this is no photo",
        "empty.png": b"",
        "scan.tiff": encode(stripes(20), "TIFF"),
    }.items():
        (folder / name).write_bytes(content)
    shutil.copy(folder / "0.png", folder / "copy of 0.png")
    (root / "stray.png").write_bytes(encode(stripes(30)))
    os.mkfifo(folder / "pipe.jpg")
    (root / "Thumbs.db").write_bytes(b"clutter")
    return root


def test_odd_files_are_used_or_reported_and_every_one_is_accounted_for(workspace, odd_folder):
    run = workspace.run(
        workspace.configure(odd_folder, name="odd", data={"max_bad_fraction": 0.1}, gate={"min_accuracy": 0.5, **FEW})
    )
    assert run.exit_code == 0, run.output
    data = run.summary["data"]
    assert data["classes"] == ["deep magenta", "yellow", "नीला"]
    assert data["found"] == 90 + 11 + 1 + 1
    assert (data["quarantined"], data["duplicates"], data["transcoded"]) == (5, 1, 1)
    assert data["reasons"] == {"no-label": 1, "not-an-image": 2, "truncated": 1, "unreadable": 1}
    assert data["found"] == data["train"] + data["eval"] + data["test"] + 6

    (report,) = (run.folder / "artifacts/ImageExampleGen/report").iterdir()
    rows = [json.loads(line) for line in (report / "quarantine.jsonl").read_text().splitlines()]
    assert {row["path"]: row["reason"] for row in rows} == {
        "stray.png": "no-label",
        "yellow/empty.png": "not-an-image",
        "yellow/pipe.jpg": "unreadable",
        "yellow/text.jpg": "not-an-image",
        "yellow/truncated.jpg": "truncated",
    }
    for row in rows:
        assert f"quarantined: {row['path']} ({row['reason']}: {row['detail']})" in run.output
    assert json.loads((report / "duplicates.jsonl").read_text()) == {
        "path": "yellow/copy of 0.png",
        "same_as": "yellow/0.png",
    }
    used = {path: label for split in examples_of(run).values() for path, label in split.items()}
    for name in ("cmyk.jpg", "grey.png", "sixteen-bit.png", "animated.gif", "bitmap.bmp", "scan.tiff", "पीला रंग.png"):
        assert used[f"yellow/{name}"] == "yellow"
    assert used["नीला/0.png"] == "नीला"


def test_too_many_bad_files_stop_the_run_and_are_named(workspace, odd_folder):
    run = workspace.run(workspace.configure(odd_folder, name="strict", data={"max_bad_fraction": 0.01}))
    assert run.exit_code == 2
    assert "5 of 103 files can't be used, more than data.max_bad_fraction 0.01 allows" in run.output
    assert "1 truncated, such as yellow/truncated.jpg: " in run.output
    assert "; all 5 are listed in " in run.output
    kept = [json.loads(line)["path"] for line in (run.folder / "rejected.jsonl").read_text().splitlines()]
    assert "yellow/truncated.jpg" in kept and len(kept) == 5
    assert run.summary is None and run.versions == []


def test_the_same_image_under_two_labels_stops_the_run_and_both_are_named(workspace, tmp_path):
    root = colour_tree(tmp_path / "photos", per_class=10)
    shutil.copy(root / "cyan" / "3.png", root / "yellow" / "sky.png")
    run = workspace.run(workspace.configure(root, name="contradictory"))
    assert run.exit_code == 2
    assert "identical images have different labels: cyan/3.png (cyan) = yellow/sky.png (yellow)" in run.output


def test_a_class_too_small_to_be_trained_on_is_named(workspace, tmp_path):
    root = colour_tree(tmp_path / "photos", per_class=20)
    shares = {"train": 8, "eval": 1, "test": 1}
    drawn = (encode(flat((0, 128, 128), (40, 40), seed)) for seed in itertools.count())
    only = next(image for image in drawn if splitting.split_of(hashlib.sha256(image).hexdigest(), shares) == "test")
    (root / "teal").mkdir()
    (root / "teal" / "only.png").write_bytes(only)
    run = workspace.run(workspace.configure(root, name="lonely", data={"splits": shares, "stratified": False}))
    assert run.exit_code == 2
    assert "no image of ['teal'] is in the training split" in run.output


def test_a_class_without_one_usable_file_does_not_vanish(workspace, tmp_path):
    root = colour_tree(tmp_path / "photos", per_class=30)
    (root / "teal").mkdir()
    (root / "teal" / "broken.jpg").write_bytes(b"")
    run = workspace.run(workspace.configure(root, name="vanishing"))
    assert run.exit_code == 2
    assert "no file of ['teal'] can be used" in run.output


def test_an_anomaly_stops_the_run_in_its_own_words(workspace, colours, first_run, tmp_path):
    schema = tmp_path / "facts.pbtxt"
    schema.write_text(
        """
        feature { name: "image/label" type: BYTES domain: "labels" }
        feature { name: "image/format" type: BYTES }
        feature { name: "image/height" type: INT int_domain { min: 64 } }
        feature { name: "image/width" type: INT }
        string_domain { name: "labels" value: "cyan" value: "magenta" }
        """
    )
    run = workspace.run(workspace.configure(colours, data={"schema": str(schema)}))
    assert run.exit_code == 2
    assert "ExampleValidator failed: data: the images do not match the schema" in run.output
    assert "train split, image/label: Unexpected string values" in run.output and "yellow" in run.output
    assert "image/height: Out-of-range values" in run.output
    assert "Transform" not in run.output
    assert run.summary is None, "no verdict of an earlier run is left standing"


def test_a_corrected_label_is_noticed(workspace, tmp_path):
    root = colour_tree(tmp_path / "photos", per_class=30)
    (root / "cyan" / "4.png").rename(root / "yellow" / "was 4.png")
    training = {"head": {"epochs": 1}, "fine_tune": None}
    config = workspace.configure(root, name="corrected", training=training, gate={"min_accuracy": 0.0, **FEW})
    before = workspace.run(config)
    assert before.exit_code == 0, before.output
    (root / "yellow" / "was 4.png").rename(root / "cyan" / "4.png")
    after = workspace.run(config)
    assert not after.cached["ImageExampleGen"] and not after.cached["Trainer"]
    labels = {path: label for split in examples_of(after).values() for path, label in split.items()}
    assert labels["cyan/4.png"] == "cyan"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: colours\ndata: {path: gone}",
            "one subfolder per class is expected; there is no such folder. Received:",
        ),
        ("name: colours\ndata: {path: gone}\ngate: {min_acc: 1}", "gate.min_acc: no such field"),
    ],
)
def test_what_can_be_refused_is_refused_before_any_stage(workspace, text, message):
    file = workspace.path / "bad.yaml"
    file.write_text(text)
    run = workspace.run(file)
    assert run.exit_code == 2
    assert message in run.output and "loading TFX" not in run.output


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"training": {"fine_tune": {"layers": "nope"}}},
            "training.fine_tune.layers: small_to_block3_relu has no layer",
        ),
        (
            {"training": {"loss": {"class_weights": {"green": 2.0}}}},
            "class_weights: the classes are cyan, magenta",
        ),
        (
            {"training": {"fine_tune": {"layers": "all"}}, "trunk_features": {"mode": "cached"}},
            "trunk_features.mode: cached is not possible: fine-tuning reaches down",
        ),
        ({"training": {"replicas": 9}}, "training.replicas: 9 devices are needed"),
        ({"head": {"kind": "conv", "filters": [8], "kernel": 5}}, "a conv head of kernel 5 needs a feature map of 5x5"),
        ({"backbone": {"name": "MobileNet", "weights": "broken.h5"}}, "backbone.weights: "),
    ],
)
def test_a_model_that_can_not_be_built_is_refused_before_any_stage(workspace, colours, sections, message):
    (workspace.path / "broken.h5").write_bytes(b"nothing of the kind")
    run = workspace.run(workspace.configure(colours, name="refused", **sections))
    assert run.exit_code == 2
    assert message in run.output and ".yaml: " in run.output
    assert "ImageExampleGen" not in run.output and "Traceback" not in run.output
