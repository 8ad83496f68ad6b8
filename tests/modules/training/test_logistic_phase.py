"""A head of kind logistic in Trainer, on kept activations."""

import json

import numpy as np
import pytest
import tensorflow as tf
from examples import example_files, raw_examples, transform_output  # noqa: F401  fixtures
from kept import keep, recipe
from training import run

from config.classifier import ClassifierConfig
from modules.trainer import TrainingError

BACKBONE = {"image_size": 96, "weights": "none"}


def config_of(output="softmax", **sections):
    return ClassifierConfig.model_validate(
        {
            "backbone": BACKBONE,
            "head": {"kind": "logistic", "output": output, **sections.pop("head", {})},
            "training": {
                **{"seed": 3, "fine_tune": None, "calibration": "none"},
                "loss": {"label_smoothing": 0.0},  # so that the fit's loss is that of what is served
            },
            **sections,
        }
    )


def of_blocks(config, **fields):
    return recipe(
        backbone=config.backbone.model_dump(), layers=None, blocks="all", dtype="float32", required=True, **fields
    )


@pytest.mark.parametrize("views", [1, 2])
def test_the_served_model_answers_as_the_fit_did(transform_output, example_files, tmp_path, views):  # noqa: F811
    augmented = {} if views == 1 else {"augmentation": {"flip": "horizontal"}, "trunk_features": {"views": views}}
    config = config_of(**augmented)
    more = {} if views == 1 else {"views": views, "augmentation": config.augmentation.model_dump(), "seed": 3}
    patterns = keep(of_blocks(config, **more), transform_output, example_files, tmp_path / "features")
    (record,) = run(transform_output, example_files, tmp_path, config, more=patterns)
    assert record["phase"] == "head" and record["epochs"] == [] and record["chosen_by"] == "cross_validation"
    assert record["penalty"] in [trial["penalty"] for trial in record["trials"]]
    whole = json.loads((tmp_path / "run" / "history.json").read_text())
    assert whole["cut"] == "block_features" and len(whole["shape"]) == 1 and whole["shape"][0] > 3000
    signatures = tf.saved_model.load(str(tmp_path / "Format-Serving")).signatures
    examples = tf.constant(raw_examples(example_files, "eval"))
    answers = signatures["serving_default"](examples)
    assert 0 < answers["novelty"].numpy().max() <= 0.501, "the distance is of the features that are served"
    probabilities = answers["probabilities"].numpy()
    labels = signatures["true_labels"](examples)["label"].numpy()
    loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    np.testing.assert_allclose(loss, record["eval_loss"], rtol=1e-3, atol=1e-5)


def test_without_kept_features_it_is_refused(transform_output, example_files, tmp_path):  # noqa: F811
    with pytest.raises(TrainingError, match=r"head\.kind: logistic needs kept features"):
        run(transform_output, example_files, tmp_path, config_of())
