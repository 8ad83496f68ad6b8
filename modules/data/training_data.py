"""What Trainer reads, and what each phase is fitted on: images, or the trunk's activations where they are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow_transform as tft

from config.data import EVAL, TRAIN
from config.errors import BadInputError
from config.training import Layers
from modules import trunk
from modules.classifier import Classifier, InferenceMode
from modules.data import trunk_features
from modules.data.cached_features import FeatureTable
from modules.data.input_pipeline import Batches, Examples, Split
from modules.data.trunk_features import Manifest, OtherWeightsError
from modules.training.augmentation import AugmentedClassifier
from modules.training.phases import HEAD_PHASE, PhaseData


class IncompleteSplitError(BadInputError):
    """A split does not have as many examples as were written."""


@dataclass(frozen=True)
class TrainingData:
    """The training and the eval split.

    Attributes:
      images: both as images.
      manifest: of the trunk features; None if the stage TrunkFeatures did not run.
      features: both as trunk features; None if keeping them does not pay.
    """

    images: tuple[Split, Split]
    manifest: Manifest | None = None
    features: tuple[FeatureTable, FeatureTable] | None = None

    @property
    def splits(self) -> tuple[Split, Split] | tuple[FeatureTable, FeatureTable]:
        """Training and eval split in the form that training reads."""
        return self.features or self.images

    def check_complete(self, expected: Mapping[str, int]) -> None:
        """Compares the number of examples with what was written.

        Args:
          expected: number of examples of each split, by name; empty if it is not known.

        Raises:
          IncompleteSplitError: if a split has more or fewer.
        """
        found = {TRAIN: self.splits[0].images, EVAL: self.splits[1].images}
        for name, images in found.items():
            if images != expected.get(name, images):
                raise IncompleteSplitError(
                    f"split {name}: {expected[name]} examples were written, and {images} were read; files of the "
                    "examples or of the trunk features are damaged, so delete the workspace's artifacts and run again"
                )

    def description(self, reason_for_pixels: str) -> dict[str, Any]:
        """What the phases were fitted on, for the history.

        Args:
          reason_for_pixels: why the stage TrunkFeatures did not run.
        """
        if self.manifest is None:
            return {"mode": trunk_features.PIXELS, "reason": reason_for_pixels}
        return dataclasses.asdict(self.manifest)


def read(fn_args: Any, transform_output: tft.TFTransformOutput, classes: Sequence[str], memory: int) -> TrainingData:
    """Tells images and features apart, which come through one input of Trainer.

    Args:
      fn_args: see trainer.run_fn.
      transform_output: the transform graph.
      classes: class names by index.
      memory: bytes that activations may take.

    Raises:
      EmptySplitError: if a split's features are of no image; images are not read yet.
    """
    both = (fn_args.train_files, fn_args.eval_files)
    kept = [[pattern for pattern in patterns if trunk_features.folder_of(pattern)] for patterns in both]
    train, evaluation = (
        Split([pattern for pattern in patterns if pattern not in features], transform_output, classes)
        for patterns, features in zip(both, kept, strict=True)
    )
    folder = next(map(trunk_features.folder_of, kept[0]), None)
    manifest = Manifest.read(folder) if folder else None
    if manifest is None or manifest.mode == trunk_features.PIXELS:
        return TrainingData((train, evaluation), manifest)
    of_train = FeatureTable.read(kept[0], manifest, len(classes), memory)
    of_eval = FeatureTable.read(kept[1], manifest, len(classes), memory - of_train.held)
    return TrainingData((train, evaluation), manifest, (of_train, of_eval))


def phases_on_images(
    trainee: keras.Model, train: Split, evaluation: Split, batches: Batches
) -> Callable[[str], PhaseData]:
    """Both phases run the whole classifier on images.

    Args:
      trainee: the classifier, or an AugmentedClassifier around it, which takes pixels to train on.
      train: the training split.
      evaluation: the eval split.
      batches: how they are batched.
    """
    if isinstance(trainee, AugmentedClassifier):
        train = train.as_pixels()
    data = _phase_data(trainee, train, evaluation, batches)
    return lambda phase: data


@dataclass(frozen=True)
class PhasesOnFeatures:
    """Both phases run only the layers that they train, if the results of the layers before these fit in memory.

    Attributes:
      classifier: the whole.
      layers: those by which the trunk was cut, as `training.fine_tune.layers` has them; phase 2 may train fewer. None
        if nothing is fine-tuned.
      manifest: how the activations were made.
      train: the training split's activations.
      evaluation: the eval split's activations.
      batches: how they are batched.
      memory: bytes that the results of layers that do not train may take.
      results: where these results are kept for another classifier on the same backbone and activations; None: nowhere.
    """

    classifier: Classifier
    layers: Layers | None
    manifest: Manifest
    train: FeatureTable
    evaluation: FeatureTable
    batches: Batches
    memory: int
    results: dict[str, tuple[FeatureTable, FeatureTable]] | None = None

    def of_phase(self) -> Callable[[str], PhaseData]:
        """Name of a phase to what it fits. Ask for phase 2 when its layers are unfrozen.

        Raises:
          OtherWeightsError: if the activations were computed with other weights than the backbone has.
        """
        before_cut, tail = trunk.cut_backbone(self.classifier.backbone, self.layers)
        refuse_other_weights(self.manifest, before_cut)
        head = self.classifier.head
        pooling, rest = trunk.cut_head(head)
        if self.manifest.pooled or self.layers is None:
            fixed = self._data(self._whole(), self.train, self.evaluation)
            return lambda phase: fixed

        def data(phase: str) -> PhaseData:
            if phase == HEAD_PHASE:
                frozen, trainee = keras.Model(tail.input, pooling(tail.output)), rest
                key = "/".join([phase, *(type(layer).__name__ for layer in pooling.layers)])
            else:
                training = [layer.name for layer in self.classifier.backbone.layers if layer.trainable_weights]
                frozen, top = trunk.cut(tail, training)
                trainee, key = _with_head(top, head), f"{phase}/{training[0]}"
            if tables := self._behind(frozen, key):
                return self._data(trainee, *tables)
            return self._data(self._whole(), self.train, self.evaluation)

        return data

    def _whole(self) -> keras.Model:
        return behind_kept(self.classifier, self.layers, self.manifest)

    def _behind(self, frozen: keras.Model, key: str) -> tuple[FeatureTable, FeatureTable] | None:
        """The results of layers that do not train; None if there are none of them, or no room for their results."""
        kept = {} if self.results is None else self.results
        if key not in kept:
            left = self.memory - sum(table.held for tables in kept.values() for table in tables)
            size = self.train.size_behind(frozen) + self.evaluation.size_behind(frozen)
            if not frozen.weights or size > left:
                return None
            kept[key] = self.train.behind(frozen), self.evaluation.behind(frozen)
        return kept[key]

    def _data(self, trainee: keras.Model, train: FeatureTable, evaluation: FeatureTable) -> PhaseData:
        return _phase_data(trainee, train, evaluation, self.batches)


def behind_kept(built: Classifier, layers: Layers | None, manifest: Manifest) -> keras.Model:
    """What is left of a classifier behind kept activations: from these to the head's output.

    Args:
      built: the classifier.
      layers: see PhasesOnFeatures.
      manifest: how the activations were made.
    """
    if manifest.pooled:
        return trunk.cut_head(built.head)[1]
    if layers is None:
        return built.head
    return _with_head(trunk.cut_backbone(built.backbone, layers)[1], built.head)


def refuse_other_weights(manifest: Manifest, before_cut: keras.Model) -> None:
    """Compares a trunk with the one that the activations are of.

    Raises:
      OtherWeightsError: if the activations were computed with other weights than the trunk has.
    """
    if trunk.digest(before_cut) != manifest.weights:
        raise OtherWeightsError(
            f"the trunk features up to {manifest.cut} were computed with other weights than the backbone has now; if "
            "its weight file was replaced in the meantime, run again"
        )


def _phase_data(trainee: keras.Model, train: Examples, evaluation: Examples, batches: Batches) -> PhaseData:
    return PhaseData(trainee, lambda epoch: train.training_epoch(epoch, batches), evaluation.evaluation(batches))


def _with_head(tail: keras.Model, head: keras.Model) -> keras.Model:
    return keras.Model(tail.input, head(InferenceMode(tail)(tail.input)), name="tail_and_head")
