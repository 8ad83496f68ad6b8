"""Corruptions of drawn pictures."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import stripes

from components.evaluator.stress import corruptions
from components.evaluator.stress.corruptions import CORRUPTIONS, corrupted, reduced

PICTURE = reduced(stripes(64, period=16))


def detail(pixels: np.ndarray) -> float:
    """Mean difference of neighbours."""
    return float(np.abs(np.diff(pixels.astype(float), axis=1)).mean())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_grows_with_severity_and_depends_on_the_seed_alone(name):
    distances = []
    for severity in corruptions.SEVERITIES:
        changed = corrupted(PICTURE, name, severity, seed=5)
        assert changed.shape == PICTURE.shape and changed.dtype == np.uint8
        assert (changed == corrupted(PICTURE.copy(), name, severity, seed=5)).all()
        distances.append(np.abs(changed.astype(float) - PICTURE).mean())
    assert distances == sorted(distances) and distances[0] > 0.1


@pytest.mark.parametrize("name", ["gaussian_noise", "motion_blur", "rotation"])
def test_images_are_corrupted_in_different_ways(name):
    several = {corrupted(PICTURE, name, 3, seed).tobytes() for seed in range(6)}
    assert len(several) > 1


def test_each_corruption_does_what_its_name_says():
    changed = {name: corrupted(PICTURE, name, 3, seed=5) for name in CORRUPTIONS}
    assert detail(changed["blur"]) < detail(PICTURE) and detail(changed["motion_blur"]) < detail(PICTURE)
    assert detail(changed["gaussian_noise"]) > 2 * detail(PICTURE)
    assert changed["dark"].mean() == pytest.approx(0.4 * PICTURE.mean(), rel=0.01)
    assert (changed["bright"] >= PICTURE).all() and changed["bright"].mean() > PICTURE.mean() + 5
    assert changed["contrast"].mean() == pytest.approx(PICTURE.mean(), abs=1)
    assert changed["contrast"].std() < 0.35 * PICTURE.std()


def test_rotation_leaves_no_corner_empty():
    white = np.full((300, 100, 3), 255, np.uint8)
    assert corrupted(white, "rotation", 5, seed=1).min() == 255


@pytest.mark.parametrize("shape", [(32, 32), (3000, 20), (500, 800)])
def test_pictures_have_one_area_and_their_own_shape(shape):
    height, width = reduced(np.zeros((*shape, 3), np.uint8)).shape[:2]
    assert height * width == pytest.approx(corruptions.SIDE**2, rel=0.05)
    assert height / width == pytest.approx(shape[0] / shape[1], rel=0.05)
