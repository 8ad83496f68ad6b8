"""Artifacts in a folder that other machines share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tfx.types import Artifact, standard_artifacts

from kubeflow import shared_folder


def artifact(uri: Path) -> Artifact:
    made = standard_artifacts.Examples()
    made.uri = str(uri)
    return made


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, list[Artifact]]:
    (tmp_path / "pod" / "examples" / "Split-train").mkdir(parents=True)
    (tmp_path / "pod" / "examples" / "Split-train" / "data").write_text("input")
    return {"examples": [artifact(tmp_path / "pod" / "examples")], "baseline": [artifact(tmp_path / "pod" / "none")]}


@pytest.fixture
def outputs(tmp_path: Path) -> dict[str, list[Artifact]]:
    (tmp_path / "pod" / "model").mkdir(parents=True)
    return {"model": [artifact(tmp_path / "pod" / "model")]}


def test_inputs_are_copied_there_and_outputs_come_back(tmp_path, inputs, outputs):
    shared = tmp_path / "volume" / "shared"
    with shared_folder.holding(str(shared), inputs, outputs) as temporary:
        (examples,), (model,) = inputs["examples"], outputs["model"]
        for path in (examples.uri, model.uri, temporary):
            assert Path(path).is_relative_to(shared)
        assert Path(examples.uri, "Split-train", "data").read_text() == "input"
        assert not Path(inputs["baseline"][0].uri).exists()
        Path(model.uri, "variables").mkdir(parents=True)
        Path(model.uri, "variables", "0").write_text("trained")
    assert (tmp_path / "pod" / "model" / "variables" / "0").read_text() == "trained"
    assert (inputs["examples"][0].uri, model.uri) == (str(tmp_path / "pod/examples"), str(tmp_path / "pod/model"))
    assert list(shared.iterdir()) == []


def test_addresses_in_properties_are_restored(tmp_path, inputs, outputs):
    with shared_folder.holding(str(tmp_path / "shared"), inputs, outputs):
        outputs["model"][0].set_string_custom_property("made_of", inputs["examples"][0].uri)
        outputs["model"][0].set_string_custom_property("other", "text")
    assert outputs["model"][0].get_string_custom_property("made_of") == str(tmp_path / "pod" / "examples")
    assert outputs["model"][0].get_string_custom_property("other") == "text"


def test_a_stage_that_fails_leaves_no_files(tmp_path, inputs, outputs):
    shared = tmp_path / "shared"
    with pytest.raises(RuntimeError), shared_folder.holding(str(shared), inputs, outputs):
        Path(outputs["model"][0].uri, "half").write_text("half")
        raise RuntimeError
    assert list((tmp_path / "pod" / "model").iterdir()) == []
    assert list(shared.iterdir()) == []
    assert outputs["model"][0].uri == str(tmp_path / "pod" / "model")


def test_two_stages_at_once_have_different_folders(tmp_path, inputs, outputs):
    shared = str(tmp_path / "shared")
    with shared_folder.holding(shared, inputs, {}) as one, shared_folder.holding(shared, {}, outputs) as other:
        assert Path(one).parent != Path(other).parent
    assert (tmp_path / "pod" / "examples" / "Split-train" / "data").exists()
