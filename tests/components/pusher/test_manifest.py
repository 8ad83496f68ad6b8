"""The configuration in the manifest of a pushed version."""

import json

import pytest

from components.pusher import executor
from config.errors import BadInputError
from config.run import RunConfig

CONFIG = RunConfig.model_validate(
    {
        "name": "test",
        "data": {"path": "photos", "schema": "facts.pbtxt"},
        "head": {"kind": "dense"},
        "gate": {"min_recall": {"cyan": 0.5}, "slices": [{"feature": "image/format", "min_accuracy": 0.8}]},
    }
).model_dump(mode="json", by_alias=True, exclude={"beam", "kubeflow"})


def manifest_config(**parameters) -> dict:
    return executor._config({"config": json.dumps(CONFIG), "keep": 0, "bless_anyway": "", **parameters})


def test_without_parameters_it_is_the_configuration_that_the_stage_was_given():
    assert manifest_config() == CONFIG
    assert manifest_config(min_accuracy=None) == CONFIG


def test_parameters_of_the_run_replace_their_fields():
    changed = manifest_config(min_accuracy=0.5, head_epochs=2.0, data_path="others")
    assert (changed["gate"]["min_accuracy"], changed["data"]["path"]) == (0.5, "others")
    assert changed["training"]["head"]["epochs"] == 2
    changed["gate"]["min_accuracy"] = CONFIG["gate"]["min_accuracy"]
    changed["data"]["path"] = CONFIG["data"]["path"]
    changed["training"]["head"]["epochs"] = CONFIG["training"]["head"]["epochs"]
    assert changed == CONFIG


def test_a_parameter_that_is_not_allowed_is_an_error():
    with pytest.raises(BadInputError, match=r"^head_epochs: "):
        manifest_config(head_epochs=-1)
