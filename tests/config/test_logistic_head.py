"""What a head of kind logistic allows in the other sections."""

import pydantic
import pytest

from config.classifier import ClassifierConfig

AUGMENTED = {"flip": "horizontal"}


def parsed(head=None, training=None, **sections):
    """A configuration with a head of kind logistic."""
    content = {
        "head": {"kind": "logistic", **(head or {})},
        "training": {"fine_tune": None, **(training or {})},
        **sections,
    }
    return ClassifierConfig.model_validate(content)


def test_a_logistic_head_survives_the_way_to_a_stage():
    config = parsed({"penalty": 0.01, "output": "logits"}, {"loss": {"class_weights": "balanced"}})
    again = ClassifierConfig.parse(config.serialized())
    assert again == config
    assert (again.head.penalty, again.head.pooled_blocks, again.needs_kept_features) == (0.01, "all", True)
    assert ClassifierConfig().head.pooled_blocks is None


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"training": {"fine_tune": {}}}, "training.fine_tune: .*set training.fine_tune: null"),
        ({"training": {"head": {"learning_rate": 0.1}}}, "training.head: is not used by head.kind logistic"),
        ({"training": {"precision": "mixed_float16"}}, "training.precision: is not used"),
        ({"training": {"loss": {"focal_gamma": 2.0}}}, "training.loss.focal_gamma: is not used"),
        ({"trunk_features": {"mode": "pixels"}}, "head.kind: logistic needs kept features, .*set trunk_features.mode"),
        ({"augmentation": AUGMENTED}, "head.kind: logistic needs kept features, .*trunk_features.views above 1"),
        ({"head": {"dropout": 0.1}}, "dropout is no option of kind logistic"),
        ({"head": {"pooling": "max"}}, "pooling is no option of kind logistic"),
        ({"head": {"filters": [8]}}, "filters is an option of kind conv"),
        ({"head": {"penalty": 0}}, "auto, or a number above 0"),
        ({"head": {"penalty": "strong"}}, "auto, or a number above 0"),
    ],
)
def test_what_a_logistic_head_does_not_use_is_refused(sections, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        parsed(**sections)


def test_a_batch_size_is_allowed_since_calibration_uses_it():
    assert parsed(training={"batch_size": 8}).training.batch_size == 8


def test_views_are_allowed():
    assert parsed(augmentation=AUGMENTED, trunk_features={"views": 4}).trunk_features.views == 4


def test_other_heads_have_no_penalty():
    with pytest.raises(pydantic.ValidationError, match="penalty is an option of kind logistic"):
        ClassifierConfig.model_validate({"head": {"kind": "dense", "penalty": 0.1}})
