"""Trains the classifiers of benchmarks/novelty.py, and computes their features and logits for known and unknown images.

The trainings are those of Trainer (modules/training/phases.py, logistic_phase.py) on kept activations, in one process.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import PIL.Image
import PIL.ImageDraw
import tensorflow as tf

from benchmarks.subsets import Files, Split
from config.classifier import ClassifierConfig
from config.head import HeadConfig
from modules import classifier, heads, trunk
from modules.backbones import blocks, builders
from modules.classifier import Classifier
from modules.data import decoding
from modules.data.cached_features import FeatureTable
from modules.data.input_pipeline import Batches
from modules.data.normalization import PREPROCESSING
from modules.data.training_data import PhasesOnFeatures
from modules.data.trunk_features import CACHED, Manifest
from modules.serving import novelty_features
from modules.training import logistic_phase, losses, phases
from modules.training.tensorboard import NoLog
from modules.training.training_state import TrainingState

_BATCH = 64
_MEMORY = 2**31
_NOISE_SIZE = 64  # pixels
FINE_TUNED, LOGISTIC = "good", "fast"
CONFIGS = {  # of the default, fewer epochs: a tenth of the time, and nearly the same features
    FINE_TUNED: ClassifierConfig.model_validate({"training": {"head": {"epochs": 3}, "fine_tune": {"epochs": 5}}}),
    LOGISTIC: ClassifierConfig.model_validate({"head": {"kind": "logistic"}, "training": {"fine_tune": None}}),
}


@dataclass(frozen=True)
class Answers:
    """What a classifier computes for some images.

    Attributes:
      features: float32 [images, features], those that the novelty is computed from.
      logits: float32 [images, classes].
    """

    features: np.ndarray
    logits: np.ndarray


def noise(count: int, seed: int = 0) -> list[bytes]:
    """PNGs of uniform noise, in blocks of 1 to 16 pixels."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        block = 2 ** (number % 5)
        pixels = rng.integers(0, 256, (_NOISE_SIZE // block, _NOISE_SIZE // block, 3), np.uint8)
        found.append(_png(PIL.Image.fromarray(pixels.repeat(block, 0).repeat(block, 1))))
    return found


def text(count: int, seed: int = 0) -> list[bytes]:
    """PNGs of lines of random letters on a plain ground."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        ink, ground = (tuple(rng.integers(low, low + 100, 3).tolist()) for low in (0, 155))
        image = PIL.Image.new("RGB", (160, 160), ground)
        draw = PIL.ImageDraw.Draw(image)
        for line in range(int(rng.integers(1, 9))):
            letters = "".join(map(chr, rng.integers(97, 123, 24)))
            draw.text((4, 4 + 18 * line), letters, fill=ink)
        found.append(_png(image))
    return found


def _png(image: PIL.Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def read(files: Files) -> list[bytes]:
    """The bytes of files."""
    return [file.read_bytes() for file in files]


def read_splits(splits: Mapping[str, Split]) -> dict[str, dict[str, list[bytes]]]:
    """The bytes of files, by split and class."""
    return {split: {name: read(files) for name, files in classes.items()} for split, classes in splits.items()}


class Trunk:
    """Computes activations, each image's once, and trains classifiers on them."""

    def __init__(self, kind: str):
        """Loads the backbone.

        Args:
          kind: a key of CONFIGS.
        """
        self._config = CONFIGS[kind]
        self._backbone = builders.load(self._config.backbone)
        self._weights = self._backbone.get_weights()
        self._layers = self._config.training.layers_to_fine_tune
        pooled = blocks.pooled(self._backbone, self._config.head.pooled_blocks)
        self._below, _ = trunk.cut_backbone(pooled, self._layers)
        self._manifest = Manifest(
            CACHED, "", self._below.layers[-1].name, False, self._below.output.shape[1:], "float16", 1,
            trunk.digest(self._below),
        )  # fmt: skip
        self._run = trunk.folded(self._below)
        self._kept: dict[str, np.ndarray] = {}

    def activations(self, images: Sequence[bytes]) -> np.ndarray:
        """float16 [images, 1, ...]."""
        keys = [hashlib.sha256(image).hexdigest() for image in images]
        missing = [image for key, image in zip(keys, images, strict=True) if key not in self._kept]
        backbone = self._config.backbone
        arguments = (backbone.image_size, backbone.aspect, str(backbone.interpolation), decoding.MAX_PIXELS)
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            pixels = decoding.decode_and_resize(tf.constant(batch), *arguments)
            computed = self._run(PREPROCESSING[str(backbone.preprocessing)](pixels)).numpy().astype(np.float16)
            self._kept |= {hashlib.sha256(image).hexdigest(): row for image, row in zip(batch, computed, strict=True)}
        return np.stack([self._kept[key] for key in keys])[:, np.newaxis]

    def _table(self, images: Mapping[str, list[bytes]]) -> FeatureTable:
        labels = np.concatenate([np.full(len(ones), index) for index, ones in enumerate(images.values())])
        everything = [image for ones in images.values() for image in ones]
        return FeatureTable(self.activations(everything), labels, np.ones(len(labels), np.float32), len(images))

    def trained(self, train: Mapping[str, list[bytes]], evaluation: Mapping[str, list[bytes]], seed: int) -> Trained:
        """Trains as Trainer does.

        Args:
          train: class name to encoded images.
          evaluation: the same of eval.
          seed: of the training.
        """
        keras.utils.clear_session()
        keras.utils.set_random_seed(seed)
        self._backbone.set_weights(self._weights)
        training = self._config.training.model_copy(update={"seed": seed})
        config = self._config.model_copy(update={"training": training})
        backbone = blocks.pooled(self._backbone, config.head.pooled_blocks)
        built = classifier.on_backbone(backbone, config, list(train))
        tables = self._table(train), self._table(evaluation)
        if config.head.kind == "logistic":
            logistic_phase.fit(built.head, blocks.widths(backbone), tables, None, config, NoLog())
        else:
            self._fit_phases(built, config, tables)
        return Trained(self, built, self._layers, config.head)

    def _fit_phases(
        self, built: Classifier, config: ClassifierConfig, tables: tuple[FeatureTable, FeatureTable]
    ) -> None:
        training, (train, evaluation) = config.training, tables
        classes = len(train.counts)
        labels = losses.Labels(classes, config.head.output)
        batches = Batches(training.seed, min(training.batch_size, train.images), labels, drop_remainder=False)
        phase_data = PhasesOnFeatures(built, self._layers, self._manifest, train, evaluation, batches, _MEMORY)
        phases.fit(
            phases.Fitting(
                backbone=built.backbone,
                phase_data=phase_data.of_phase(),
                images=train.images,
                classes=classes,
                steps=batches.steps(train.images),
                compile_with=losses.compiled_with(config.head.output, training.loss),
                training=training,
                log=NoLog(),
                state=TrainingState(None, None),
            )
        )


class Trained:
    """A trained classifier."""

    def __init__(self, below: Trunk, built: Classifier, layers: int | float | str | None, head: HeadConfig):
        """Puts the parts behind the trunk together.

        Args:
          below: what computes activations.
          built: the classifier.
          layers: by which the trunk was cut.
          head: the section of a configuration.
        """
        _, tail = trunk.cut_backbone(built.backbone, layers)
        features = tail.output
        pooled = novelty_features.pooled(features, head)
        last = novelty_features.width(built.backbone, head)
        model = keras.Model(tail.input, [pooled[:, -last:], heads.logits(built.head, features)])
        self._run = tf.function(lambda batch: model(batch, training=False), autograph=False, reduce_retracing=True)
        self._below = below

    def labelled(self, images: Mapping[str, Sequence[bytes]]) -> tuple[Answers, np.ndarray]:
        """Features and logits of images by class, and the indices of their classes, int64 [images]."""
        labels = np.repeat(np.arange(len(images)), [len(ones) for ones in images.values()])
        return self.answers([image for ones in images.values() for image in ones]), labels

    def answers(self, images: Sequence[bytes]) -> Answers:
        """Features and logits of images."""
        activations = self._below.activations(images)[:, 0].astype(np.float32)
        parts = [self._run(activations[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        return Answers(*(np.concatenate([part[index].numpy() for part in parts]) for index in range(2)))


def show(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
