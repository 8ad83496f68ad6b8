import importlib.util

import keras
import pytest

from config.backbone_table import NONE
from config.classifier import ClassifierConfig
from config.errors import BadInputError
from modules import preflight

CLASSES = ["cyan", "magenta"]


def check(**sections: dict) -> None:
    backbone = {"name": "MobileNetV2", "image_size": 96, "weights": NONE, **sections.pop("backbone", {})}
    preflight.check(ClassifierConfig.model_validate({"backbone": backbone, **sections}), CLASSES)


def test_what_can_be_built_passes_and_leaves_keras_as_it_was():
    check()
    check(training={"fine_tune": None, "loss": {"class_weights": {"cyan": 2.0}}}, trunk_features={"mode": "cached"})
    first = keras.layers.Dense(1).name
    check()
    assert keras.layers.Dense(1).name == first, "layers without a name are numbered from the start again"


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"head": {"kernel": 5}}, r"kernel 5 needs a feature map of 5x5 or more.*gives 3x3"),
        ({"head": {"kind": "custom", "function": "no.such.head"}}, r"head\.function: package\.module\.function is"),
        ({"training": {"replicas": 64}}, r"training\.replicas: 64 devices are needed"),
        ({"training": {"fine_tune": {"layers": "block_99"}}}, r"training\.fine_tune\.layers: .* no layer 'block_99'"),
        ({"training": {"loss": {"class_weights": {"red": 2.0}}}}, r"class_weights: the classes are cyan, magenta"),
        (
            {"training": {"fine_tune": {"layers": "all"}}, "trunk_features": {"mode": "cached"}},
            r"trunk_features\.mode: cached is not possible: fine-tuning reaches down",
        ),
        (
            {
                "training": {"fine_tune": {"layers": "all"}},
                "trunk_features": {"views": 2},
                "augmentation": {"flip": "horizontal"},
            },
            r"trunk_features\.views: 2 views cannot be kept",
        ),
    ],
)
def test_what_can_not_be_built_is_refused_by_field(sections, told):
    with pytest.raises(BadInputError, match=told):
        check(**sections)


def test_openvino_is_refused_where_it_is_not_installed(monkeypatch):
    check(trunk_features={"runtime": "openvino"})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInputError, match=r"^trunk_features\.runtime: openvino is not installed"):
        check(trunk_features={"runtime": "openvino"})


def test_a_sigmoid_is_for_two_classes():
    config = ClassifierConfig.model_validate(
        {"backbone": {"name": "MobileNetV2", "image_size": 96, "weights": NONE}, "head": {"output": "sigmoid"}}
    )
    preflight.check(config, CLASSES)
    with pytest.raises(BadInputError, match="sigmoid is for two classes; there are 3"):
        preflight.check(config, [*CLASSES, "yellow"])


def test_a_weight_file_that_is_damaged_is_named(tmp_path):
    (tmp_path / "net.h5").write_bytes(b"nothing of the kind")
    with pytest.raises(BadInputError, match=r"backbone\.weights: .*net\.h5"):
        check(backbone={"weights": str(tmp_path / "net.h5")})
