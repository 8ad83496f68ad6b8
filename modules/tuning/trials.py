"""Runs one trial: the training that Trainer would run, shorter, on kept activations."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from config.classifier import ClassifierConfig
from config.training import Layers
from modules import classifier, heads
from modules.backbones import builders
from modules.classifier import Classifier
from modules.data.cached_features import FeatureTable
from modules.data.input_pipeline import Batches
from modules.data.training_data import PhasesOnFeatures
from modules.data.trunk_features import Manifest
from modules.serving import temperature
from modules.training import callbacks, devices, losses, phases
from modules.training.tensorboard import NoLog
from modules.training.training_state import TrainingState
from modules.tuning.folds import Fold, Folds
from modules.tuning.rungs import Rung

_log = logging.getLogger("regraft.trainer")


@dataclass(frozen=True)
class _Head:
    """A head after phase 1: the phase's record, the weights, and the log loss of each image of eval."""

    record: dict[str, Any]
    weights: list[np.ndarray]
    losses: np.ndarray


@dataclass(frozen=True)
class _FoldData:
    """What the trials of a rung share: a fold, heads after phase 1, and the results of layers that do not train.

    The results are those of as many views as the key says.
    """

    fold: Fold
    results: dict[int | None, dict[str, tuple[FeatureTable, FeatureTable]]] = field(default_factory=dict)
    heads: dict[str, _Head] = field(default_factory=dict)


class TrialRunner:
    """Runs trials on the same activations and backbone, whose weights are loaded once."""

    def __init__(
        self,
        config: ClassifierConfig,
        classes: Sequence[str],
        manifest: Manifest,
        layers: Layers | None,
        folds: Folds,
        memory: int,
    ):
        """Loads the backbone.

        Args:
          config: without any value of the search.
          classes: class names by index.
          manifest: how the activations were made.
          layers: by which the trunk was cut; see PhasesOnFeatures.
          folds: the activations.
          memory: bytes that a rung's activations and the results of layers that do not train may take.
        """
        self._classes, self._manifest, self._layers = classes, manifest, layers
        self._folds, self._memory = folds, memory
        with devices.precision(config.training.precision):
            self._backbone = builders.load(config.backbone)
        self._weights = self._backbone.get_weights()
        self._rung: Rung | None = None
        self._data: dict[int, _FoldData] = {}

    def check(self, configs: Iterable[ClassifierConfig]) -> None:
        """Builds every head.

        Args:
          configs: with the values of each trial.

        Raises:
          HeadError: if one cannot be built on this backbone.
        """
        shape = tuple(self._backbone.output.shape[1:])
        for config in configs:
            heads.build(config.head, shape, len(self._classes), config.training.seed)

    def losses(self, config: ClassifierConfig, rung: Rung) -> np.ndarray:
        """The log loss of each image that a rung is scored on, of all folds: float64 [images].

        The probabilities are those that would be served, after temperature scaling. One infinite number if the loss of
        a training became infinite.

        Args:
          config: with the trial's values.
          rung: how long the training is.
        """
        if rung != self._rung:
            self._rung, self._data = rung, {}
        shorter = rung.shortened(config, self._folds.training_images, len(self._classes))
        with _quiet(), devices.precision(config.training.precision):
            try:
                return np.concatenate([self._losses(shorter, index) for index in range(rung.folds)])
            except callbacks.NonFiniteLossError:
                return np.array([math.inf])

    def _losses(self, config: ClassifierConfig, index: int) -> np.ndarray:
        head = self._trained_head(config, index)
        if config.training.fine_tune is None:
            return head.losses
        built, data = self._started(config, index)
        built.head.set_weights(head.weights)
        fitting, fitted = self._fitting(config, built, data)
        phases.fit(fitting, [head.record])
        return _losses_of_images(fitted[-1], config)

    def _trained_head(self, config: ClassifierConfig, index: int) -> _Head:
        """Phase 1, which trials share that differ in phase 2 alone."""
        alone = config.model_copy(update={"training": config.training.model_copy(update={"fine_tune": None})})
        trained, key = self._of_fold(index).heads, alone.serialized()
        if key not in trained:
            built, data = self._started(alone, index)
            fitting, fitted = self._fitting(alone, built, data)
            (record,) = phases.fit(fitting)
            trained[key] = _Head(record, built.head.get_weights(), _losses_of_images(fitted[-1], alone))
        return trained[key]

    def _started(self, config: ClassifierConfig, index: int) -> tuple[Classifier, _FoldData]:
        """The classifier as it is before any training: the same whatever was trained before."""
        keras.utils.clear_session()
        keras.utils.set_random_seed(config.training.seed)
        self._backbone.set_weights(self._weights)
        return classifier.on_backbone(self._backbone, config, self._classes), self._of_fold(index)

    def _of_fold(self, index: int) -> _FoldData:
        if index not in self._data:
            assert self._rung is not None
            images = self._rung.images(self._folds.images, len(self._classes))
            images = max(1, min(images, self._memory // 4 // self._folds.bytes_of_an_image))
            self._data[index] = _FoldData(self._folds.fold(index, images))
        return self._data[index]

    def _fitting(
        self, config: ClassifierConfig, built: Classifier, data: _FoldData
    ) -> tuple[phases.Fitting, list[phases.PhaseData]]:
        """A training, and the phases that it has begun."""
        training, output, fold = config.training, config.head.output, data.fold
        views = config.trunk_features.drawn_views
        train = fold.train.drawing(views)
        counts = [max(count, 1) for count in train.counts]  # a fold may have no image of a very small class
        weights = losses.class_weights(training.loss.class_weights, self._classes, counts)
        batches = Batches(
            seed=training.seed,
            size=min(training.batch_size, train.images),
            labels=losses.Labels(len(self._classes), output, weights, by_example=train.weighted),
            drop_remainder=False,
        )
        results = data.results.setdefault(views, {})
        on_features = PhasesOnFeatures(
            built, self._layers, self._manifest, train, fold.evaluation, batches, self._memory, results
        )
        of_phase, begun = on_features.of_phase(), list[phases.PhaseData]()

        def phase_data(name: str) -> phases.PhaseData:
            begun.append(of_phase(name))
            return begun[-1]

        fitting = phases.Fitting(
            backbone=built.backbone,
            phase_data=phase_data,
            images=train.images,
            classes=len(self._classes),
            steps=batches.steps(train.images),
            compile_with=losses.compiled_with(output, training.loss),
            training=training,
            log=NoLog(),
            state=TrainingState(None, None),
        )
        return fitting, begun


def _losses_of_images(phase: phases.PhaseData, config: ClassifierConfig) -> np.ndarray:
    """The log loss of each image of eval with the weights that a training ended with."""
    trainee, output = phase.trainee, config.head.output
    probabilities, labels = temperature.answers(
        lambda batch: classifier.probabilities(trainee(batch, training=False), output), phase.evaluation
    )
    if output == "sigmoid":
        labels = np.concatenate([1 - labels, labels], axis=1)
    return log_losses(probabilities, labels, config.training.calibration == "auto")


def log_losses(probabilities: np.ndarray, labels: np.ndarray, scaled: bool) -> np.ndarray:
    """The log loss of each image, [images].

    Args:
      probabilities: [images, classes].
      labels: [images, classes], 1 for the true class.
      scaled: whether the probabilities first get the temperature that fits them, as Trainer does.
    """
    return temperature.log_losses(probabilities, labels, temperature.fitted(probabilities, labels) if scaled else 1.0)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No lines about epochs."""
    level = _log.level
    _log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        _log.setLevel(level)
