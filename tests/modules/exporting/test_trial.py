"""A classifier that cannot be converted is refused before it is trained."""

import keras
import pytest
import tensorflow as tf

from config import backbone_table
from config.classifier import ClassifierConfig
from config.run import RunConfig
from modules.exporting import trial
from modules.exporting.errors import ExportError
from pipeline import export_trial

CLASSES = ["cyan", "magenta"]


class Polygamma(keras.layers.Layer):
    """An operation that neither LiteRT nor ONNX has."""

    def call(self, x):
        return tf.math.polygamma(tf.ones_like(x), tf.abs(x) + 1.0)


def unusual(features):
    return Polygamma()(keras.layers.GlobalAveragePooling2D()(features))


def config(name: str = "MobileNetV3Small", **head: object) -> ClassifierConfig:
    size = max(64, backbone_table.get(name).min_image_size)
    backbone = {"name": name, "image_size": size, "weights": backbone_table.NONE}
    return ClassifierConfig.model_validate({"backbone": backbone, "head": head or {"kind": "dense"}})


@pytest.mark.parametrize("kind", ["litert", "onnx"])
def test_the_backbone_the_format_and_the_operation_are_named(kind, monkeypatch):
    monkeypatch.setattr("modules.heads.custom_function", lambda path: unusual)
    with pytest.raises(ExportError, match=rf"^backbone: .* head\.kind custom: export\.formats: {kind}: .*Polygamma"):
        trial.check(config(kind="custom", function="some.where.unusual"), CLASSES, [kind])


def test_what_has_passed_is_not_tried_again_until_it_changes(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(trial, "check", lambda classifier, classes, formats: tried.append(list(formats)))

    def check(formats: list[str] | None, **head: object) -> None:
        sections = {"name": "fruit", "data": {"path": "photos"}, "export": formats, "head": head}
        export_trial.check(RunConfig.model_validate(sections), CLASSES, tmp_path)

    check(None)
    assert tried == []
    for formats, head in (
        (["litert"], {}),
        (["litert"], {}),
        (["litert", "onnx"], {}),
        (["litert"], {"kind": "dense"}),
    ):
        check(formats, **head)
    assert tried == [["litert"], ["litert", "onnx"], ["litert"]]


@pytest.mark.slow
def test_a_library_backbone_that_cannot_be_converted_is_refused_and_the_operation_is_named():
    """XLA compiles its convolutions, and such a call is not inlined; benchmarks/exports.py tries every backbone."""
    with pytest.raises(ExportError, match=r"onnx: .*it lacks StatefulPartitionedCall"):
        trial.check(config("ConvNeXtTiny"), CLASSES, ["onnx"])
