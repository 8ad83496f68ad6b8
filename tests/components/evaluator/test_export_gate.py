"""A candidate whose export is broken is refused by the real Evaluator, and nothing is pushed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from gatekeeping import CLASSES, Gatekeeper, Scripted, answers, photos

from components.evaluator import export_gate
from components.serving_directory import ServingDirectory
from components.version_files import EXPORTS
from modules.exporting import export_files

TEST = photos(30)
SCRIPTED = Scripted(answers(TEST), probability=0.8)


class Pixels:
    """Images whose mean colour is what the SavedModel answers, in another order than the examples' keys."""

    def __init__(self, *arguments):
        self.keys: list[str] = []

    def __iter__(self):
        shown = TEST[::-1]
        self.keys = [f"{photo.number:064x}" for photo in shown]
        rows = np.array([[0.8 if photo.label == name else 0.1 for name in CLASSES] for photo in shown], np.float32)
        yield np.broadcast_to(rows[:, None, None], (len(rows), 2, 2, 3))


def mean_colour(weights: np.ndarray) -> Callable[[Path], None]:
    """Writes exports: an ONNX model whose answers are the mean colour times a matrix, float32 [3, 3]."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["probabilities"]),
    ]
    taken = helper.make_tensor_value_info("pixels", number, ["batch", 2, 2, 3])
    given = helper.make_tensor_value_info("probabilities", number, ["batch", 3])
    kernel = onnx.numpy_helper.from_array(weights.astype(np.float32), "weights")
    graph = helper.make_graph(nodes, "mean_colour", [taken], [given], [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def write(folder: Path) -> None:
        (folder / export_files.FILES["onnx"]).write_bytes(model.SerializeToString())
        export_files.write_index(folder, ["onnx"], {"classes": list(CLASSES)})

    return write


@pytest.fixture
def keeper(tmp_path, monkeypatch) -> Gatekeeper:
    monkeypatch.setattr(export_gate, "_TestImages", Pixels)
    return Gatekeeper(tmp_path, splits={"train": photos(1, start=900), "eval": photos(1, start=950), "test": TEST})


def test_a_candidate_with_a_broken_export_is_not_pushed(keeper):
    verdict = keeper.judge(SCRIPTED, exports=mean_colour(np.full((3, 3), 1 / 3)))  # one answer for every image
    assert {(check.metric, check.slice) for check in verdict.checks if not check.passed} == {
        (metric, "export=onnx")
        for metric in ("accuracy", "agreement", "export_accuracy_change", "probability_difference")
    }
    assert not verdict.blessed and keeper.versions == []


def test_a_sound_export_is_pushed_also_if_the_model_is_in_production_already(keeper):
    keeper.put_in_production(SCRIPTED)
    assert keeper.judge(SCRIPTED, exports=mean_colour(np.eye(3))).blessed
    assert keeper.versions == ["1", "2"], "the same answers, now with an export"
    directory = ServingDirectory(keeper.serving)
    assert (directory.folder(2) / EXPORTS / "model.onnx").is_file() and directory.damage(2) is None
    assert directory.manifest(2)["exports"]["onnx"]["file"] == "model.onnx"
    card = json.loads((directory.folder(2) / "assets.extra" / "model_card.json").read_text())
    assert card["quantitative_analysis"]["exports"]["onnx"]["agreement"] == 1.0
