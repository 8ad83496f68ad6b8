"""What must hold before a candidate is measured at all: otherwise the figures would not mean what they say."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf
from tfx import types
from tfx.types import artifact_utils
from tfx.utils import io_utils

from modules import features, signatures
from modules.errors import BadInputError

_SHOWN = 3  # keys in a message


class EvaluationError(BadInputError):
    """A candidate can't be judged as things stand."""


def refuse_overlap(examples: types.Artifact, evaluated: Iterable[str]) -> None:
    """Raises EvaluationError if an image of the evaluated splits is in another split too: training may have seen it.

    Args:
      examples: raw examples, as ImageExampleGen writes them.
      evaluated: names of splits.
    """
    splits = {split: _keys(examples, split) for split in artifact_utils.decode_split_names(examples.split_names)}
    for split in evaluated:
        for other in splits.keys() - set(evaluated):
            if both := sorted(splits[split] & splits[other]):
                shown = ", ".join(key.decode(errors="replace") for key in both[:_SHOWN])
                raise EvaluationError(
                    f"{len(both)} images of the split {split} are in {other} too ({shown}…): what a candidate is "
                    "judged on must not be trained on"
                )


def _keys(examples: types.Artifact, split: str) -> set[bytes]:
    pattern = io_utils.all_files_pattern(artifact_utils.get_split_uri([examples], split))
    spec = {features.KEY: tf.io.FixedLenFeature([], tf.string)}
    records = tf.data.TFRecordDataset(tf.io.gfile.glob(pattern), "GZIP").batch(256)
    parsed = records.map(lambda serialized: tf.io.parse_example(serialized, spec)[features.KEY])
    return {key for batch in parsed.as_numpy_iterator() for key in batch.tolist()}


def class_names(model: str, what: str) -> list[str]:
    """The classes that a SavedModel answers with.

    Args:
      model: its folder.
      what: to call it by.

    Raises:
      EvaluationError: if it can't be loaded or doesn't say.
    """
    try:
        loaded = tf.saved_model.load(model)
        answer = loaded.signatures[signatures.CLASS_NAMES]()
    except Exception as error:  # what TensorFlow raises depends on what is broken
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EvaluationError(f"{what} can't be loaded from {model}: {reason}") from error
    return [name.decode("utf-8") for name in answer[signatures.CLASS_NAMES].numpy().tolist()]


def refuse_other_classes(candidate: list[str], baseline: list[str], allow_new: bool) -> None:
    """Raises EvaluationError if the candidate's classes are not production's, or those and new ones where allowed."""
    gone = [name for name in baseline if name not in candidate]
    new = [name for name in candidate if name not in baseline]
    if gone:
        raise EvaluationError(f"production knows the classes {', '.join(gone)}, and the candidate doesn't")
    if new and not allow_new:
        raise EvaluationError(
            f"the candidate knows classes that production doesn't: {', '.join(new)}; "
            "gate.allow_new_classes: true allows it"
        )
