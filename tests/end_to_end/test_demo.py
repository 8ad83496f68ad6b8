"""The demo on its real photos, with fewer epochs."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import deletion
import pytest
import tensorflow as tf
import yaml

pytestmark = pytest.mark.slow


def masked(line: str) -> str:
    """A line of a terminal without its numbers, its paths, and the width of its table."""
    without_paths = re.sub(r"\S*/[^\s;]+", "PATH", re.sub(r"(epoch )[\d/]+", r"\1#", line))
    return re.sub(r"[ ─]+", " ", re.sub(r"\d[\d.,]*", "#", without_paths)).strip()


ROOT = Path(__file__).parents[2]


def test_real_photos_of_traffic_lights_are_told_apart(workspace, tmp_path):
    photos = tmp_path / "traffic_lights"
    runpy.run_path(str(ROOT / "data/prepare_traffic_lights.py"))["prepare"](photos)
    demo = yaml.safe_load((ROOT / "data/traffic_lights.yaml").read_text())
    demo["data"]["path"] = str(photos)
    demo["training"] |= {"head": {"epochs": 3}, "fine_tune": {"epochs": 2}}
    config = tmp_path / "demo.yaml"
    config.write_text(yaml.safe_dump(demo))
    run = workspace.run(config)
    assert run.exit_code == 0, run.output
    summary = run.summary
    assert summary["data"]["found"] == 1484
    assert summary["test"]["accuracy"] >= 0.98
    assert {name: row["recall"] >= 0.9 for name, row in summary["test"]["per_class"].items() if name != "yellow"} == {
        "green": True,
        "red": True,
    }

    page = (ROOT / "docs/output.md").read_text(encoding="utf-8")
    (documented,) = re.findall(r"```\n1484 photos copied[^\n]*\n(.*?)```", page, re.DOTALL)
    printed = {masked(line) for line in run.output.splitlines()}
    documented_lines = {masked(line) for line in documented.splitlines()} - {"…"}
    assert documented_lines - printed == set(), "docs/output.md shows what is no longer printed"

    examples = run.folder.glob("artifacts/ImageExampleGen/examples/*/Split-test/*")
    records = tf.data.TFRecordDataset([str(path) for path in examples], "GZIP").as_numpy_iterator()
    encoded = [
        tf.train.Example.FromString(one).features.feature["image/encoded"].bytes_list.value[0] for one in records
    ]
    assert deletion.measure(run.folder / "serving" / "1", encoded).passed >= 0.9

    asked = [photo for name in ("green", "red", "yellow") for photo in sorted((photos / name).iterdir())[:5]]
    answers = subprocess.run(
        [sys.executable, "-m", "regraft", "predict", str(run.folder / "serving"), *map(str, asked)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    right = sum(f'"label": "{photo.parent.name}"' in answer for photo, answer in zip(asked, answers, strict=True))
    assert right >= 14
