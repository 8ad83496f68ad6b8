"""How many epochs `auto` means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.training import FineTuneConfig, HeadPhaseConfig


@pytest.mark.parametrize(
    ("images", "classes", "epochs"), [(160, 10, 50), (1000, 10, 20), (1200, 3, 10), (45_000, 10, 4)]
)
def test_epochs_fall_with_the_images_per_class(images, classes, epochs):
    assert FineTuneConfig().epochs_for(images, classes) == epochs


@given(st.integers(1, 10**7), st.integers(2, 1000))
def test_automatic_epochs_stay_in_their_bounds(images, classes):
    assert 4 <= HeadPhaseConfig().epochs_for(images, classes) <= 30
    assert 4 <= FineTuneConfig().epochs_for(images, classes) <= 60
    assert HeadPhaseConfig(epochs=3).epochs_for(images, classes) == 3
