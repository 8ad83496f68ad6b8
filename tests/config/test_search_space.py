"""What Tuner searches, and how values are applied to a configuration."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from config import search_space
from config.run import RunConfig
from config.search_space import LAYERS
from config.section import Origin


def run_config(**sections) -> RunConfig:
    """As a file with these sections is loaded."""
    return RunConfig.model_validate(
        {"name": "fruit", "data": {"path": "photos"}, **sections}, context=Origin(Path("/"), remote=True)
    )


@pytest.mark.parametrize("sections", [{"tuner": {}}, {"quality": "best"}, {"quality": "fast"}])
def test_a_configuration_travels_to_the_stages(sections):
    config = run_config(**sections)
    assert RunConfig.parse(config.serialized()) == config


def test_fields_that_the_file_sets_are_not_searched():
    by_default = run_config(tuner={}).search_space
    training = {"head": {"learning_rate": 1e-2}, "fine_tune": {"layers": 30}}
    space = run_config(tuner={}, training=training, head={"dropout": 0.1}).search_space
    assert by_default.keys() - space.keys() == {"training.head.learning_rate", LAYERS, "head.dropout"}
    assert by_default[LAYERS] == [0.2, 0.3, 0.45]


def test_the_fields_of_a_preset_are_searched_and_those_of_the_file_are_not():
    best = run_config(quality="best")
    assert best.search_space[LAYERS] == [0.2, 0.3, 0.45, 0.7]
    assert best.trunk_layers == 0.7
    assert LAYERS not in run_config(quality="best", training={"fine_tune": {"layers": 0.7}}).search_space


@pytest.mark.parametrize("quality", ["good", "best"])
def test_the_values_of_a_preset_are_among_those_that_are_tried(quality):
    config = run_config(quality=quality, tuner={})
    for path, allowed in config.search_space.items():
        value = config
        for name in path.split("."):
            value = getattr(value, name)
        assert value in allowed, path


def test_an_option_of_another_optimizer_is_not_searched():
    space = run_config(tuner={}, training={"head": {"optimizer": "adam"}}).search_space
    assert "training.head.weight_decay" not in space and "training.fine_tune.weight_decay" in space


def test_a_field_that_is_named_is_searched_even_if_the_file_sets_it_and_no_other_is():
    config = run_config(training={"fine_tune": {"layers": 0.4}}, tuner={"search": {LAYERS: [0, 0.2]}})
    assert config.search_space == {LAYERS: [0, 0.2]}
    assert config.trunk_layers == 0.4  # the first trial is the configuration as it is


def test_the_trunk_ends_where_the_deepest_search_begins():
    assert run_config(tuner={"search": {LAYERS: [0, 0.6, 0.2]}}).trunk_layers == 0.6
    assert run_config(tuner={}, training={"fine_tune": None}).trunk_layers is None
    assert run_config(tuner={}, training={"fine_tune": {"layers": "all"}}).trunk_layers == "all"


def test_options_of_a_head_that_the_file_chooses_alone_are_searched():
    space = run_config(tuner={}, head={"kind": "hidden"}).search_space
    assert {path for path in space if path.startswith("head.")} == {"head.units", "head.dropout"}


def test_without_phase_2_nothing_of_it_is_searched():
    space = run_config(tuner={}, training={"fine_tune": None}).search_space
    assert space and not [path for path in space if path.startswith("training.fine_tune")]


def test_views_are_searched_where_several_are_kept():
    views = {"augmentation": {"flip": "horizontal"}, "trunk_features": {"views": 4}}
    assert run_config(tuner={}, **views).search_space["trunk_features.drawn_views"] == [1, 4]
    assert "trunk_features.drawn_views" not in run_config(tuner={}).search_space


REFUSED = {
    "unknown": ({"search": {"head.knd": ["conv"]}}, r"tuner.search.head.knd: cannot be searched.*did you mean 'head.k"),
    "not of the model": ({"search": {"training.seed": [1]}}, "tuner.search.training.seed: cannot be searched"),
    "none": ({"search": {"head.units": []}}, "tuner.search.head.units: one value or more is expected"),
    "range": ({"search": {"head.dropout": [0.1, 1.5]}}, "tuner.search.head.dropout: .*less than 1. Received: 1.5"),
    "type": ({"search": {"training.head.epochs": [2.5]}}, "tuner.search.training.head.epochs: .* Received: 2.5"),
    "kind": ({"search": {"head.kind": ["custom"]}}, "tuner.search.head.kind: dense, hidden, conv can be searched"),
    "mixed depths": ({"search": {LAYERS: [20]}}, rf"tuner.search.{LAYERS}: whole numbers, or fractions"),
    "views": ({"search": {"trunk_features.drawn_views": [2]}}, "1 to trunk_features.views .1.. Received: 2"),
    "trials": ({"trials": 0}, "greater than or equal to 1"),
    "minutes": ({"minutes": 0}, "greater than 0"),
}


@pytest.mark.parametrize(("tuner", "message"), REFUSED.values(), ids=REFUSED)
def test_a_search_that_cannot_be_is_refused(tuner, message):
    with pytest.raises(ValidationError, match=message):
        run_config(tuner=tuner)


def test_a_search_needs_kept_activations():
    with pytest.raises(ValidationError, match=r"tuner: needs kept activations.*trunk_features.mode is pixels"):
        run_config(tuner={}, trunk_features={"mode": "pixels"})


def test_a_search_of_nothing_is_refused():
    config = run_config(tuner={})
    content = {
        "head": {"kind": "dense", "dropout": 0.1},
        "training": {"fine_tune": None, "loss": {"label_smoothing": 0.1}},
    }
    phase = {
        path.rpartition(".")[2]: values[0] for path, values in config.search_space.items() if "training.head" in path
    }
    content["training"]["head"] = phase
    with pytest.raises(ValidationError, match="tuner: nothing is left to search"):
        run_config(tuner={}, **content)


@pytest.mark.parametrize("tuner", [{}, {"search": {"head.kind": ["dense"]}}])
def test_a_head_that_is_fitted_to_its_optimum_is_not_searched(tuner):
    with pytest.raises(ValidationError, match=r"tuner: head\.kind logistic .* set head.kind to dense, hidden or conv"):
        run_config(quality="fast", tuner=tuner)
    assert run_config(quality="best", head={"kind": "logistic"}, training={"fine_tune": None}).tuner is None


def test_options_of_another_kind_of_head_disappear():
    config = run_config(head={"kind": "conv", "filters": [8], "dropout": 0.1}).classifier
    hidden = search_space.applied(
        config, {"head.kind": "hidden", "head.units": 16, "training.head.learning_rate": 0.02}
    )
    assert (hidden.head.kind, hidden.head.units, hidden.head.dropout) == ("hidden", 16, 0.1)
    assert hidden.training.head.learning_rate == 0.02
    assert hidden.training.fine_tune == config.training.fine_tune


def test_no_layers_mean_no_phase_2():
    config = run_config().classifier
    values = {LAYERS: 0, "training.fine_tune.learning_rate": 0.1, "head.kind": "dense", "head.units": 16}
    assert search_space.applied(config, values).training.fine_tune is None
    assert search_space.used(config, values) == {LAYERS: 0, "head.kind": "dense"}


def test_the_configured_values_are_those_of_the_first_trial():
    config = run_config(tuner={}, training={"fine_tune": {"learning_rate": 1e-4}})
    found = search_space.configured(config.classifier, config.search_space)
    assert (found["head.kind"], found["head.filters"], found[LAYERS]) == ("conv", [64], 0.45)
    assert "head.units" not in found
    assert search_space.applied(config.classifier, found) == search_space.applied(config.classifier, {})


def test_a_backbone_of_vectors_gets_no_conv_head(tmp_path):
    backbone = {"saved_model": "gs://bucket/extractor", "image_size": 96, "preprocessing": "unit"}
    config = run_config(tuner={}, backbone=backbone, training={"fine_tune": None})
    assert config.search_space["head.kind"] == ["dense", "hidden"]
