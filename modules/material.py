"""What each phase is fitted on: images, or the trunk's activations, which cost an epoch only what trains."""

from __future__ import annotations

from collections.abc import Callable

import keras

from modules import trunk
from modules.augmentation import AugmentedClassifier
from modules.batches import Batches, Examples
from modules.feature_table import FeatureTable
from modules.input_pipeline import Split
from modules.model import InferenceMode
from modules.phases import HEAD_PHASE, Material
from modules.trunk_features import Manifest, OtherWeightsError

MaterialOf = Callable[[str], Material]


def from_images(classifier: keras.Model, train: Split, evaluation: Split, batches: Batches) -> MaterialOf:
    """Both phases run the whole classifier on images.

    Args:
      classifier: the classifier, or an AugmentedClassifier around it, which takes pixels to train on.
      train: the training split.
      evaluation: the eval split.
      batches: how they are batched.
    """
    if isinstance(classifier, AugmentedClassifier):
        train = train.as_pixels()
    material = _material(classifier, train, evaluation, batches)
    return lambda phase: material


def from_features(
    backbone: keras.Model,
    head: keras.Model,
    layers: int | float | str | None,
    manifest: Manifest,
    train: FeatureTable,
    evaluation: FeatureTable,
    batches: Batches,
    memory: int,
) -> MaterialOf:
    """Both phases run only what is behind the trunk; phase 1 not even the tail, if its results fit into memory.

    Args:
      backbone: the whole.
      head: the whole.
      layers: what is fine-tuned, as the trunk was cut by; None for nothing.
      manifest: how the activations were made.
      train: the training split's activations.
      evaluation: the eval split's.
      batches: how they are batched.
      memory: bytes that the tail's results may take.

    Raises:
      OtherWeightsError: if the activations are not this backbone's.
    """
    before_cut, tail = trunk.cut_backbone(backbone, layers)
    _refuse_other_weights(before_cut, manifest)
    pooling, rest = trunk.cut_head(head)
    if manifest.pooled or layers is None:
        fixed = _material(rest if manifest.pooled else head, train, evaluation, batches)
        return lambda phase: fixed
    behind_trunk = keras.Model(tail.input, head(InferenceMode(tail)(tail.input)), name="tail_and_head")

    def material(phase: str) -> Material:
        if phase == HEAD_PHASE:
            before_rest = keras.Model(tail.input, pooling(tail.output))
            if train.size_behind(before_rest) + evaluation.size_behind(before_rest) <= memory:
                return _material(rest, train.behind(before_rest), evaluation.behind(before_rest), batches)
        return _material(behind_trunk, train, evaluation, batches)

    return material


def _refuse_other_weights(before_cut: keras.Model, manifest: Manifest) -> None:
    if trunk.digest(before_cut) != manifest.weights:
        raise OtherWeightsError(
            f"the trunk features up to {manifest.cut} were computed with other weights than the backbone has now; "
            "if its weight file was replaced meanwhile, run again"
        )


def _material(trainee: keras.Model, train: Examples, evaluation: Examples, batches: Batches) -> Material:
    return Material(trainee, lambda epoch: train.training_epoch(epoch, batches), evaluation.evaluation(batches))
