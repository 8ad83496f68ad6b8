"""Presets: what `quality` fills in, and that fields of the file win."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import presets
from config.run import RunConfig


def run_config(**sections) -> RunConfig:
    return RunConfig.model_validate({"name": "fruit", "data": {"path": "p"}, **sections})


def test_good_is_the_default_and_changes_nothing():
    assert run_config() == run_config(quality="good")


def test_best_fills_in_what_the_file_does_not_set():
    config = run_config(quality="best", training={"seed": 7, "fine_tune": {"epochs": 3}})
    assert config.backbone.image_size == 224
    fine_tune = config.training.fine_tune
    assert (fine_tune.layers, fine_tune.epochs, config.training.seed) == (0.7, 3, 7)


def test_fast_is_a_logistic_head_on_plain_labels_also_beside_fields_of_other_heads():
    config = run_config(quality="fast", training={"batch_size": 64, "seed": 1})
    assert (config.head.kind, config.training.fine_tune, config.training.loss.label_smoothing) == ("logistic", None, 0)
    assert (config.training.batch_size, config.training.seed) == (64, 1)


def test_fields_of_the_file_win():
    config = run_config(quality="best", backbone={"image_size": 96}, training={"fine_tune": None})
    assert (config.backbone.image_size, config.training.fine_tune) == (96, None)


def test_best_searches_unless_the_file_says_no_or_nothing_can_be_searched():
    assert run_config(quality="best").tuner.trials == 20
    assert run_config(quality="best", tuner={"trials": 5}).tuner.trials == 5
    assert run_config(quality="best", tuner=None).tuner is None
    assert run_config(quality="best", augmentation={"flip": "horizontal"}).tuner is None  # it trains on images
    assert run_config().tuner is None


def test_what_a_preset_sets_is_not_set_by_the_file():
    config = run_config(quality="best", training={"seed": 7, "fine_tune": {"epochs": 3}})
    assert config.training.model_fields_set == {"seed", "fine_tune"}
    assert config.training.fine_tune.model_fields_set == {"epochs"}
    assert config.model_fields_set == {"name", "quality", "data", "training"}


def test_a_model_of_ones_own_keeps_its_image_size():
    own = {"keras_model": "net.keras", "layer": "top", "preprocessing": "unit"}
    assert run_config(quality="best", backbone=own).backbone.image_size == run_config(backbone=own).backbone.image_size


def test_another_quality_is_refused():
    with pytest.raises(ValueError, match="quality"):
        run_config(quality="better")


VALUES = st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3))


def leaves(content: dict, path: tuple = ()) -> dict[tuple, int]:
    found = {}
    for name, value in content.items():
        found |= leaves(value, (*path, name)) if isinstance(value, dict) else {(*path, name): value}
    return found


@given(st.dictionaries(st.sampled_from(["backbone", "head", "training"]), VALUES))
def test_nothing_of_the_content_is_lost_or_changed(content):
    before = copy.deepcopy(content)
    filled = presets.applied(content, "best")
    assert content == before
    assert leaves(content).items() <= leaves(filled).items()
    assert presets.applied(filled, "best") == filled


def test_the_recipe_names_what_is_trained():
    assert run_config().recipe == (
        "quality good: EfficientNetLite0 at 160 pixels, conv head, fine-tuning of its layers (45%) at 0.0004"
    )
    assert run_config(training={"fine_tune": None}).recipe.endswith("conv head, no fine-tuning")
    assert run_config(quality="best").recipe.endswith("(70%) at 0.0004, the best of 20 trials")
