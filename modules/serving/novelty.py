"""The output `novelty` of the served model: how unlike the training images an image is, from 0 to 1.

It rises with the distance of the image's features to those of the training images (novelty_distance.py). It is 0.5
where the distance is the threshold (novelty_threshold.py), and 0.25 at the median of eval. In general it is
(1 + x / (1 + |x|)) / 2, with x = (distance - threshold) / (threshold - median of eval).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

from config.classifier import ClassifierConfig
from config.errors import BadInputError
from config.training import Layers
from modules import trunk
from modules.classifier import Classifier
from modules.data.input_pipeline import Batches
from modules.data.training_data import TrainingData
from modules.serving import novelty_distance, novelty_features, novelty_threshold
from modules.serving.novelty_distance import Distance
from modules.serving.novelty_features import Features
from modules.serving.novelty_threshold import Threshold

_log = logging.getLogger("regraft.trainer")

_SMALLEST = 1e-12


@dataclass(frozen=True)
class Source:
    """Where the features of train and eval come from.

    Attributes:
      data: both splits.
      layers: by which the trunk was cut; see PhasesOnFeatures.
      batches: how images are batched, with labels of one column per class.
    """

    data: TrainingData
    layers: Layers | None
    batches: Batches


class NoveltyScore(keras.layers.Layer):
    """float32 [batch, features] to float32 [batch] in [0, 1]; NaN if a feature is one."""

    def __init__(self, distance: Distance, threshold: Threshold):
        """Takes the arrays as weights that nothing trains.

        Args:
          distance: fitted to the training images.
          threshold: where the score is THRESHOLD.
        """
        super().__init__(name="novelty", dtype="float32", trainable=False)
        self._distance, self._threshold = distance, threshold

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        names = ("centre", "components", "whitening", "means", "overall")
        self._arrays = {name: self._constant(name, getattr(self._distance, name)) for name in names}

    def _constant(self, name: str, value: np.ndarray) -> keras.Variable:
        return self.add_weight(shape=value.shape, initializer=lambda *_, **__: value, trainable=False, name=name)

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        arrays, width = self._arrays, len(self._distance.centre)
        length = ops.sqrt(ops.sum(ops.square(features), axis=1, keepdims=True))
        centred = features / ops.maximum(length, _SMALLEST) - arrays["centre"]
        projected = ops.matmul(centred, arrays["components"])
        left = ops.sum(ops.square(centred), axis=1) - ops.sum(ops.square(projected), axis=1)
        whitened = ops.matmul(projected, arrays["whitening"])
        # |a - b|² = |a|² + |b|² - 2 ab: no array [batch, classes, components], which is large with many classes.
        from_means = ops.sum(ops.square(arrays["means"]), axis=1) - 2 * ops.matmul(
            whitened, ops.transpose(arrays["means"])
        )
        nearest = ops.sum(ops.square(whitened), axis=1) + ops.min(from_means, axis=1)
        from_all = ops.sum(ops.square(ops.matmul(projected, arrays["overall"])), axis=1)
        distance = (ops.maximum(left, 0.0) * self._distance.rest + nearest - from_all) / width
        beyond = (distance - self._threshold.distance) / self._threshold.margin
        return 0.5 + 0.5 * ops.softsign(beyond)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0],)


def added(
    served: keras.Model,
    trained: Classifier,
    built: Classifier,
    source: Source,
    config: ClassifierConfig,
    model_run: Path,
) -> keras.Model:
    """The served model with a second output, the novelty; its first one stays as it is.

    Args:
      served: preprocessed images to probabilities, made of the layers of `built`.
      trained: the classifier as it was trained.
      built: the same in float32, on one device.
      source: of the features.
      config: its sections `novelty` and `head`, and the seed.
      model_run: folder in which the threshold is noted.

    Raises:
      BadInputError: if features are not finite numbers.
    """
    assert config.novelty is not None
    layers = trunk.counted(trained.backbone, source.layers)
    train, evaluation = novelty_features.read(source.data, built, layers, config.head, source.batches)
    distance, threshold = fit(train, evaluation, config.novelty.max_false_rejects, config.training.seed)
    _report(threshold)
    novelty_threshold.write(threshold, model_run)
    features = novelty_features.pooled(built.model.get_layer("inference_mode").output, config.head)
    last = novelty_features.width(built.backbone, config.head)
    score = NoveltyScore(distance, threshold)(features[:, -last:])
    return keras.Model(served.input, [served.output, score], name=served.name)


def fit(train: Features, evaluation: Features, rate: float, seed: int) -> tuple[Distance, Threshold]:
    """Fits the distance to train, and sets the threshold on eval.

    Args:
      train: features of training images.
      evaluation: features of images that were not trained on.
      rate: share of images like those of eval that may be rejected, above 0, below 1.
      seed: of random directions and folds.

    Raises:
      BadInputError: if features are not finite numbers.
    """
    distance = novelty_distance.fit(train.values, train.labels, seed)
    found = distance.of(evaluation.values)
    enough = novelty_threshold.conformal_rank(len(found), rate) <= len(found)
    of_train = np.empty(0) if enough else novelty_distance.held_out(train.values, train.labels, seed)
    try:
        return distance, novelty_threshold.choose(found, of_train, rate)
    except ValueError as error:
        raise BadInputError(f"novelty: {error}; set novelty: null, or look for a diverged training") from None


def _report(threshold: Threshold) -> None:
    if threshold.guaranteed:
        _log.info(
            "  novelty: the threshold is set to reject at most %.3g%% of images like the %d of eval, on average",
            *(100 * threshold.rate, threshold.eval_images),
        )
    else:
        _log.warning(
            "  warning: %d eval images cannot guarantee novelty.max_false_rejects %g, which takes %d; the threshold is "
            "estimated from training images too",
            *(threshold.eval_images, threshold.rate, novelty_threshold.images_needed(threshold.rate)),
        )
