"""Trainer's module file: puts a head on the backbone, fits it, exports the served model."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from config import search_space
from config.classifier import ClassifierConfig
from config.errors import BadInputError
from modules import classifier, heads, training_setup, trunk
from modules.backbones import blocks
from modules.classifier import Classifier
from modules.data import training_data, trunk_features
from modules.data.input_pipeline import Batches, Examples
from modules.data.normalization import PREPROCESSING
from modules.data.training_data import PhasesOnFeatures
from modules.serving import (
    flip_averaging,
    heat_maps,
    novelty,
    reference_predictions,
    signatures,
    temperature,
    warm_up,
)
from modules.training import augmentation, devices, history, logistic_phase, losses, phases, training_state
from modules.training.tensorboard import TrainingLog, run_name
from modules.training.training_state import TrainingState
from modules.tuning import values

_log = logging.getLogger("regraft.trainer")

_SHEET_ROWS = 6
_CALIBRATION_IMAGES = 2000  # of eval: enough for one number, and no more than seconds
SHEET = "augmentation.png"


class TrainingError(BadInputError):
    """Training is impossible with this data or configuration."""


def run_fn(fn_args: Any) -> None:
    """Called by TFX Trainer, https://www.tensorflow.org/tfx/guide/trainer.

    Args:
      fn_args: `train_files` and `eval_files`, of raw examples and, if there are any, of trunk features;
        `transform_graph_path`, `serving_model_dir`, `model_run_dir`; `hyperparameters`, what Tuner found (or None); and
        `custom_config` with `classifier`, a serialized ClassifierConfig; `state_directory`, where the state of an
        unfinished training is kept (or None); and perhaps `layers`, by which the trunk was cut if Tuner may have found
        fewer, `images`, the number of examples of each split, and `data`, the digest of each input's files.

    Raises:
      BadInputError: if a split is empty or incomplete, there are fewer than two classes, or the model cannot be built.
      callbacks.NonFiniteLossError: if the loss becomes NaN or infinite.
    """
    run = TrainingRun(fn_args)
    trained = run.fit()
    run.export(trained)


@dataclass(frozen=True)
class Trained:
    """A classifier that has been fitted, and what history.json says of that."""

    classifier: Classifier
    history: dict[str, Any]


class TrainingRun:
    """One training, from what TFX gives it to the served model."""

    def __init__(self, fn_args: Any):
        """Reads the configuration, the class names and the data.

        Args:
          fn_args: see `run_fn`.
        """
        config = ClassifierConfig.parse(fn_args.custom_config["classifier"])
        self.trunk_layers = fn_args.custom_config.get("layers", config.training.layers_to_fine_tune)
        self.tuned = values.decoded(fn_args.hyperparameters)
        self.config = search_space.applied(config, self.tuned) if self.tuned else config
        setup = training_setup.begin(fn_args, self.config)
        self.transform_output, self.classes = setup.transform_output, setup.classes
        self.memory, self.data = setup.memory, setup.data
        self.strategy = devices.strategy(self.config.training.replicas)
        self.state = TrainingState(fn_args.custom_config["state_directory"], training_state.identity(fn_args))
        self.model_run = Path(fn_args.model_run_dir)
        self._serving_model = fn_args.serving_model_dir

    def fit(self) -> Trained:
        """Builds the classifier, and fits its phases or its head of kind logistic."""
        training = self.config.training
        with devices.precision(training.precision), self.strategy.scope():
            built = classifier.build(self.config, self.classes)
            self._report(built)
            log = TrainingLog(self.model_run / run_name(built.backbone.name, self.config.head.kind))
            fit = self._fit_logistic if self.config.head.kind == "logistic" else self._fit_phases
            fitted = fit(built, log)
            log.close()
        description = self.data.description(self.config.reason_for_pixels)
        if drawn := self.config.trunk_features.drawn_views:
            description["views"] = drawn
        return Trained(built, {**description, "tuned": self.tuned, "phases": fitted})

    def _fit_phases(self, built: Classifier, log: TrainingLog) -> list[dict[str, Any]]:
        batches, train = self._batches(), self.data.splits[0]
        fitting = phases.Fitting(
            backbone=built.backbone,
            phase_data=self._phase_data(built, batches),
            images=train.images,
            classes=len(self.classes),
            steps=batches.steps(train.images),
            compile_with=losses.compiled_with(self.config.head.output, self.config.training.loss),
            training=self.config.training,
            log=log,
            state=self.state,
        )
        return phases.fit(fitting)

    def _fit_logistic(self, built: Classifier, log: TrainingLog) -> list[dict[str, Any]]:
        if self.data.features is None or self.data.manifest is None:
            raise TrainingError(
                "head.kind: logistic needs kept features, and Trainer was given none; run TrunkFeatures"
            )
        training_data.refuse_other_weights(self.data.manifest, built.backbone)
        if self.data.manifest.views > 1:
            augmentation.write_sheet(self._views(self.data.manifest.views), self.model_run / SHEET)
        widths = blocks.widths(built.backbone)
        return logistic_phase.fit(built.head, widths, self.data.features, self._class_weights(), self.config, log)

    def export(self, trained: Trained) -> None:
        """Writes the served model with its warm-up requests, what the model in memory answers to a few images, and the
        history.

        Args:
          trained: as `fit` gives it.
        """
        served, explain, divisor = self._served(trained.classifier)
        reference_predictions.write(self.model_run, served, self.data.images[1], self.classes)
        signatures.export(served, self.transform_output, self.classes, self._serving_model, explain)
        pixels, _ = self.data.images[1].sample(1)
        warm_up.write(self._serving_model, warm_up.requests(pixels[0].numpy(), self.classes[0]))
        history.write(self.model_run, {**trained.history, "temperature": divisor})
        self.state.discard()

    def _batches(self) -> Batches:
        training, train = self.config.training, self.data.splits[0]
        size = min(training.batch_size, train.images)
        return Batches(
            seed=training.seed,
            size=size,
            labels=losses.Labels(
                len(self.classes), self.config.head.output, self._class_weights(), by_example=train.weighted
            ),
            # A replica that gets no image of a last, smaller batch has no mean loss.
            drop_remainder=0 < train.images % size < self.strategy.num_replicas_in_sync,
        )

    def _class_weights(self) -> list[float] | None:
        return losses.class_weights(self.config.training.loss.class_weights, self.classes, self.data.splits[0].counts)

    def _phase_data(self, built: Classifier, batches: Batches) -> Callable[[str], phases.PhaseData]:
        train, evaluation = self.data.images
        if self.data.features and self.data.manifest:
            if self.data.manifest.views > 1:
                augmentation.write_sheet(self._views(self.data.manifest.views), self.model_run / SHEET)
            remaining_memory = self.memory - sum(table.held for table in self.data.features)
            kept, kept_of_eval = self.data.features
            drawn = kept.drawing(self.config.trunk_features.drawn_views)
            return PhasesOnFeatures(
                built, self.trunk_layers, self.data.manifest, drawn, kept_of_eval, batches, remaining_memory
            ).of_phase()
        trainee = built.model
        make = functools.partial(
            augmentation.Augmentation, self.config.augmentation, self.config.head.output, self.config.training.seed
        )
        if shown := make():
            pixels, _ = train.sample(_SHEET_ROWS)
            augmentation.write_sheet(augmentation.columns(shown, pixels.numpy()), self.model_run / SHEET)
            preprocess = PREPROCESSING[str(self.config.backbone.preprocessing)]
            trainee = augmentation.AugmentedClassifier(built.model, make(), preprocess)  # its random state is new
        return training_data.phases_on_images(trainee, train, evaluation, batches)

    def _views(self, count: int) -> list[np.ndarray]:
        views = augmentation.Views(self.config.augmentation, self.config.training.seed)
        pixels, keys = self.data.images[0].sample(_SHEET_ROWS)
        return [views(pixels, keys, view).numpy() for view in range(min(count, augmentation.SHEET_COLUMNS))]

    def _report(self, built: Classifier) -> None:
        """Says what is about to be trained, and warns if the head is large for the data."""
        if self.tuned:
            _log.info("  tuned: %s", values.described(self.tuned))
        (train, evaluation), parameters = self.data.splits, built.head.count_params()
        replicas = self.strategy.num_replicas_in_sync
        _log.info(
            "  %d training and %d eval images of %d classes; %s head of %s parameters on %s%s",
            *(train.images, evaluation.images, len(self.classes), self.config.head.kind, f"{parameters:,}"),
            *(built.backbone.name, f", {replicas} replicas" if replicas > 1 else ""),
        )
        manifest = self.data.manifest
        if manifest and manifest.mode == trunk_features.CACHED:
            drawn = self.config.trunk_features.drawn_views or manifest.views
            views = f", {drawn} views of each image" if drawn > 1 else ""
            _log.info("  training on kept activations of %s%s", manifest.cut, views)
        else:
            reason = self.data.description(self.config.reason_for_pixels)["reason"]
            _log.info("  training on images, because %s", reason)
        if weights := self._class_weights():
            shown = ", ".join(f"{name} {weight:.3g}" for name, weight in zip(self.classes, weights, strict=True))
            _log.info("  class weights in the loss: %s", shown)
        if parameters > heads.PARAMETERS_PER_IMAGE * train.images:
            others = heads.smaller(tuple(built.backbone.output.shape[1:]), len(self.classes), parameters)
            _log.warning(
                "  warning: the head has %s parameters for %d training images; smaller heads: %s",
                *(f"{parameters:,}", train.images),
                "; ".join(f"{name} ({size:,})" for name, size in others.items()) or "none",
            )

    def _served(self, trained: Classifier) -> tuple[keras.Model, heat_maps.HeatMaps | None, float]:
        """The classifier in float32, on one device, answering with probabilities that fit those of eval.

        It answers with the novelty too, if the configuration has that section. And what draws its heat maps, and the
        temperature: 1 if nothing divides the logits.
        """
        training, built = self.config.training, trained
        if training.precision != "float32" or training.replicas != 1:
            built = classifier.build(self.config, self.classes)
            built.model.set_weights(trained.model.get_weights())
        plain = self._answering(built.model)
        one_hot = losses.Labels(len(self.classes), "softmax")
        batches = Batches(training.seed, training.batch_size, one_hot, drop_remainder=False)
        images = functools.cache(lambda: _calibration(self.data.images[1], batches))
        served = flip_averaging.chosen(plain, training.flip_averaging, images)
        averaged, divisor = served is not plain, 1.0
        if training.calibration == "auto":
            on_images = averaged or self.data.features is None
            divisor = temperature.of(served, images()) if on_images else self._temperature(trained, built, batches)
            if averaged:
                served = temperature.scaled(served, divisor)
            else:
                built = classifier.divided(built, divisor)
                served = self._answering(built.model)
        explain = heat_maps.of(built, averaged, factor=1.0 if averaged else divisor)
        if self.config.novelty:
            source = novelty.Source(self.data, self.trunk_layers, batches)
            served = novelty.added(served, trained, built, source, self.config, self.model_run)
        return served, explain, divisor

    def _temperature(self, trained: Classifier, built: Classifier, batches: Batches) -> float:
        """The temperature on kept activations: no image is decoded, and the trunk does not run again."""
        assert self.data.features and self.data.manifest
        layers = trunk.counted(trained.backbone, self.trunk_layers)
        behind = training_data.behind_kept(built, layers, self.data.manifest)
        return temperature.of(self._answering(behind), _calibration(self.data.features[1], batches))

    def _answering(self, model: keras.Model) -> keras.Model:
        """The model with probabilities of all classes, whatever the head's output."""
        answer = classifier.probabilities(model.output, self.config.head.output)
        return keras.Model(model.input, answer, name="classifier")


def _calibration(evaluation: Examples, batches: Batches) -> tf.data.Dataset:
    return evaluation.evaluation(batches).take(math.ceil(_CALIBRATION_IMAGES / batches.size))
