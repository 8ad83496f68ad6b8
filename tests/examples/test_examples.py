"""Every file in examples/ is tried: it loads, its model can be built, and its header says what a run shows."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from drawing import encode, flat

from components.image_example_gen import sources
from config import loading
from config.run import RunConfig
from kubeflow import compile as compiler
from modules import classifier, preflight

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
ON_KUBEFLOW = ("kubeflow_gpus.yaml",)
LOCAL = (
    "cifar10.yaml",
    "custom_head.yaml",
    "manifest_with_groups.yaml",
    "resnet50_fine_tuned.yaml",
    "saved_model_extractor.yaml",
    "two_classes.yaml",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A copy of examples/ with few drawn photos and an extractor of random weights."""
    copy = tmp_path_factory.mktemp("examples") / "examples"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns("photos", "models", "__pycache__"))
    draw = runpy.run_path(str(EXAMPLES / "draw_photos.py"))
    draw["draw_fruit"](copy / "photos" / "fruit", per_class=4)
    draw["draw_shapes"](copy / "photos" / "shapes.csv", objects_per_class=2)
    for number in range(20):
        photo = copy.parent / "data" / "cifar10" / ("train", "test")[number % 2] / f"class{number // 2}" / "0.png"
        photo.parent.mkdir(parents=True)
        photo.write_bytes(encode(flat((12 * number, 0, 255), (32, 32))))
    runpy.run_path(str(EXAMPLES / "export_extractor.py"))["export"](copy / "models" / "feature_extractor", "none")
    return copy


def load(file: Path) -> RunConfig:
    """The configuration; weights that would have to be downloaded are replaced by random ones."""
    loaded = loading.load(file)
    if loaded.backbone.weights != "imagenet":
        return loaded
    return loaded.model_copy(update={"backbone": loaded.backbone.model_copy(update={"weights": "none"})})


def test_every_example_is_tried_here():
    assert sorted(path.name for path in EXAMPLES.glob("*.yaml")) == sorted((*LOCAL, *ON_KUBEFLOW))


@pytest.mark.parametrize("name", [*LOCAL, *ON_KUBEFLOW])
def test_a_header_has_the_command_and_the_expected_result(name):
    header = re.match(r"(#.*\n)+", (EXAMPLES / name).read_text(encoding="utf-8"))[0]
    assert re.search(rf"^#   .*\bmake (run|kubeflow) CONFIG=examples/{name}\b", header, re.MULTILINE)
    assert re.search(r"^# Expect", header, re.MULTILINE)
    assert not header.startswith("# Expect")


@pytest.mark.parametrize("name", LOCAL)
def test_an_example_loads_and_builds_the_model_that_its_header_names(name, folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)  # PYTHONPATH=examples
    loaded = load(folder / name)
    source = sources.open_source(loaded.data.path, loaded.data.ingestion)
    classes = source.classes()
    assert len(source.items()) == {"manifest_with_groups.yaml": 18, "cifar10.yaml": 20}.get(name, 8)
    loaded.gate.check_classes(classes)
    preflight.check(loaded.classifier, classes)

    built = classifier.build(loaded.classifier, classes)
    said = re.search(r"(\w+) head of ([\d,]+) parameters on (\w+)", (folder / name).read_text(encoding="utf-8"))
    assert said.groups() == (loaded.head.kind, f"{built.head.count_params():,}", built.backbone.name)


def test_groups_of_the_manifest_are_read(folder):
    loaded = load(folder / "manifest_with_groups.yaml")
    items = sources.open_source(loaded.data.path, loaded.data.ingestion).items()
    assert {item.group for item in items} == {
        f"{name}-00{n}" for name in ("circle", "square", "triangle") for n in (0, 1)
    }


@pytest.mark.parametrize("name", ON_KUBEFLOW)
def test_an_example_compiles_for_kubeflow(name):
    loaded = compiler.load(str(EXAMPLES / name))
    package = compiler.build(loaded)
    on_gpu = {stage for stage in package.tasks if loaded.kubeflow.stage(stage).gpu}
    assert on_gpu == {"TrunkFeatures", "Trainer"}
    assert loaded.kubeflow.schedule is not None
    said = f"{loaded.name}.yaml: {len(package.tasks)} tasks; with a GPU: TrunkFeatures, Trainer"
    assert said in (EXAMPLES / name).read_text(encoding="utf-8")


def test_drawn_photos_are_the_same_each_time(tmp_path):
    draw = runpy.run_path(str(EXAMPLES / "draw_photos.py"))
    for copy in ("one", "two"):
        draw["draw_fruit"](tmp_path / copy, per_class=2)
    photos = [[path.read_bytes() for path in sorted((tmp_path / copy).rglob("*.jpg"))] for copy in ("one", "two")]
    assert photos[0] == photos[1]
    assert len(set(photos[0])) == 4


@pytest.mark.slow
def test_a_head_from_a_file_of_ones_own_is_trained_and_served(folder, tmp_path):
    """By the header's command; on flat images of two colours, which need few epochs."""
    shutil.copytree(folder, tmp_path / "examples", ignore=shutil.ignore_patterns("photos", "models"))
    for name, colour in {"apple": "magenta", "lemon": "yellow"}.items():
        photos = tmp_path / "examples" / "photos" / "fruit" / name
        photos.mkdir(parents=True)
        for seed in range(110):
            (photos / f"{seed}.png").write_bytes(encode(flat(colour, (40, 40), seed=seed)))
    run = subprocess.run(
        [sys.executable, "-m", "regraft", "run", "examples/custom_head.yaml"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:examples"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "custom head of 3,843 parameters on efficientnet_lite0" in run.stdout
    summary = json.loads((tmp_path / "workspace" / "custom-head" / "summary.json").read_text())
    assert summary["pushed"] == "workspace/custom-head/serving/1"
    assert summary["serving_check"]["refusals"] == []
