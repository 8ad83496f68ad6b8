"""benchmarks/novelty.py and calibration.py: trainings of a small backbone on drawn images."""

import benchmarking
import pytest

from benchmarks import calibration, novelty, novelty_models
from config.classifier import ClassifierConfig

KINDS = {
    "good": {
        "head": {"kind": "conv", "filters": [8]},
        "training": {"head": {"epochs": 1}, "fine_tune": {"epochs": 1}},
    },
    "fast": {"head": {"kind": "logistic"}, "training": {"fine_tune": None}},
}


@pytest.fixture(autouse=True)
def _small(monkeypatch, small, photos, tmp_path):
    """A small backbone, and drawn images in place of the photos and of CIFAR-10."""
    configs = {name: ClassifierConfig.model_validate({**kind, "backbone": small}) for name, kind in KINDS.items()}
    monkeypatch.setattr(novelty_models, "CONFIGS", configs)
    for part, per_class in (("train", 20), ("test", 4)):
        benchmarking.photos(tmp_path / "cifar10" / part, per_class)
    for module in (novelty, calibration):
        monkeypatch.setattr(module, "LIGHTS", photos)
        monkeypatch.setattr(module, "CIFAR10", tmp_path / "cifar10")


@pytest.mark.parametrize("kind", list(KINDS))
def test_near_has_a_row_per_held_out_class(run_main, kind):
    sizes = ("--per-class", 18, "--test-images", 12, "--kind", kind)
    table = benchmarking.rows(run_main(novelty.main, "near", "--held-out", "yellow", *sizes))
    (heads, _, row, mean) = table.values()
    assert row[0] == "yellow" and mean[1:] == row[1:]
    assert len(row) == len(heads) == 10
    areas = [float(area) for area in row[1:-2]]
    assert all(0 <= area <= 1 for area in areas)
    assert areas[heads.index("**relative Mahalanobis**") - 1] == 1, "a flat colour of its own"


def test_far_has_a_row_per_kind_of_unknown_images(run_main):
    sizes = ("--per-class", 18, "--test-images", 12, "--unknown", 5, "--kind", "fast")
    lines = run_main(novelty.main, "far", *sizes).splitlines()
    kinds = [line.split("|")[2].strip() for line in lines[2:-1]]
    assert kinds == ["CIFAR-10", "noise", "text", "traffic lights", "noise", "text"]


def test_cost_has_times_of_one_image_and_of_a_batch(run_main, monkeypatch):
    monkeypatch.setattr(novelty, "_COSTS", ((16, 3),))
    (_, _, row) = benchmarking.rows(run_main(novelty.main, "cost", "--images", 600)).values()
    assert row[0] == "3" and all(float(ms) > 0 for ms in row[-2:])


def test_calibration_has_a_row_per_training(run_main):
    table = benchmarking.rows(run_main(calibration.main, "--per-class", 18, "--test-images", 12))
    names = ["traffic lights, seed 0", "CIFAR-10, 18 per class, seed 0"]
    assert list(table)[2:] == names
    for name in names:
        eval_images, temperature, *errors = map(float, table[name])
        assert eval_images >= 3 and temperature > 0
        assert len(errors) == 4 and all(error >= 0 for error in errors)
