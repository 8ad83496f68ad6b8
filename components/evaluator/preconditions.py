"""Conditions without which the metrics of a candidate would be meaningless. They are checked before anything else."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tfx import types
from tfx.types import artifact_utils

from components import example_counts, example_files
from config.errors import BadInputError, one_line
from modules.data import features
from modules.serving import class_names as class_names_of
from modules.serving import loaded

_MOST_KEYS = 3  # in a message


class EvaluationError(BadInputError):
    """A candidate cannot be evaluated with this data, or against this baseline."""


def check_no_overlap(examples: types.Artifact, evaluated: Sequence[str]) -> None:
    """Checks that no image of the evaluated splits is in another split, which training may have read.

    Args:
      examples: raw examples, as ImageExampleGen writes them.
      evaluated: names of splits.

    Raises:
      EvaluationError: with the splits and the keys of such images.
      IncompleteExamplesError: if a split has not all examples that were written; the others would pass unseen.
    """
    splits = {split: _keys(examples, split) for split in artifact_utils.decode_split_names(examples.split_names)}
    for split, keys in splits.items():
        example_counts.check(examples, split, len(keys))
    for split in evaluated:
        for other in splits.keys() - set(evaluated):
            if both := sorted(splits[split] & splits[other]):
                shown = ", ".join(key.decode(errors="replace") for key in both[:_MOST_KEYS])
                more = ", …" if len(both) > _MOST_KEYS else ""
                raise EvaluationError(
                    f"split {split}: {len(both)} of its images are also in split {other} ({shown}{more}); a candidate "
                    "must not be trained on the images that it is evaluated on, so remove them from one of the splits"
                )


def _keys(examples: types.Artifact, split: str) -> set[bytes]:
    spec = {features.KEY: tf.io.FixedLenFeature([], tf.string)}
    records = tf.data.TFRecordDataset(example_files.of_split(examples, split), "GZIP").batch(256)
    parsed = records.map(lambda serialized: tf.io.parse_example(serialized, spec)[features.KEY])
    return {key for batch in parsed.as_numpy_iterator() for key in batch.tolist()}


def class_names(model: str, name: str) -> list[str]:
    """The class names that a SavedModel answers with, by index.

    Args:
      model: folder of the SavedModel.
      name: of the model, for the error message.

    Raises:
      EvaluationError: if the model cannot be loaded, or has no class names.
    """
    try:
        return class_names_of.read(loaded.load(model))
    except Exception as error:  # the type depends on what is broken in the SavedModel
        raise EvaluationError(f"{model}: {name} cannot be loaded: {one_line(error)}") from error


def check_classes(candidate: Sequence[str], baseline: Sequence[str], allow_new: bool) -> None:
    """Checks that the candidate has all classes of the model in production, and new ones only if they are allowed.

    Args:
      candidate: class names of the candidate.
      baseline: class names of the model in production.
      allow_new: whether the candidate may have more classes.

    Raises:
      EvaluationError: with the classes.
    """
    missing = [name for name in baseline if name not in candidate]
    new = [name for name in candidate if name not in baseline]
    if missing:
        raise EvaluationError(
            f"data: the candidate lacks these classes of the model in production: {', '.join(missing)}; "
            "train it with images of them, or judge another model"
        )
    if new and not allow_new:
        raise EvaluationError(
            "gate.allow_new_classes: the candidate has classes that the model in production does not have: "
            f"{', '.join(new)}; set it to true to allow them"
        )
