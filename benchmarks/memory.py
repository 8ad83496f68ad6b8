"""How much memory training on the kept activations of many images takes: `python -m benchmarks.memory`.

It writes random activations as TrunkFeatures would, 5×5×160 float16 like those of MobileNetV2 at 160 pixels, and trains
each phase on them for one epoch. It prints the process's peak of resident memory and the seconds of each step.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from config.classifier import ClassifierConfig
from modules import classifier, trunk
from modules.classifier import Classifier
from modules.data import trunk_features
from modules.data.cached_features import FeatureTable
from modules.data.input_pipeline import Batches
from modules.data.training_data import PhasesOnFeatures
from modules.data.trunk_features import Manifest
from modules.training import losses, phases
from modules.training.tensorboard import TrainingLog
from modules.training.training_state import TrainingState

_CLASSES = ("a", "b", "c")
_LAYERS = 20
_MOST_OF_EVAL = 1000  # images
_CONFIG = ClassifierConfig.model_validate(
    {
        "backbone": {"name": "MobileNetV2", "image_size": 160, "weights": "none"},
        "training": {"head": {"epochs": 1}, "fine_tune": {"epochs": 1, "layers": _LAYERS}},
    }
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="training images (default: 100000)")
    parser.add_argument("--memory-gib", type=float, default=2.0, help="trunk_features.memory_gib")
    options = parser.parse_args()
    keras.utils.set_random_seed(_CONFIG.training.seed)
    built = classifier.build(_CONFIG, _CLASSES)
    manifest = _manifest(built)
    memory = int(options.memory_gib * 2**30)
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        _write(Path(folder, "train"), options.images, manifest.shape)
        _write(Path(folder, "eval"), min(options.images, _MOST_OF_EVAL), manifest.shape)
        start = _say("written", start)
        train, evaluation = (
            FeatureTable.read([f"{folder}/{split}"], manifest, len(_CLASSES), memory) for split in ("train", "eval")
        )
        start = _say("read", start)
        _train(built, manifest, (train, evaluation), memory, folder)
        _say("trained", start)


def _manifest(built: Classifier) -> Manifest:
    kept, _ = trunk.cut_backbone(built.backbone, _LAYERS)
    return Manifest(
        mode=trunk_features.CACHED,
        reason="",
        cut=kept.layers[-1].name,
        pooled=False,
        shape=tuple(kept.output.shape[1:]),
        dtype="float16",
        views=1,
        weights=trunk.digest(kept),
    )


def _write(path: Path, images: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(images):
            activations = rng.random((1, *shape), np.float32).astype(np.float16)
            writer.write(trunk_features.encode(b"%d" % number, number % len(_CLASSES), 1.0, activations))


def _train(
    built: Classifier, manifest: Manifest, tables: tuple[FeatureTable, FeatureTable], memory: int, folder: str
) -> None:
    output, loss = _CONFIG.head.output, _CONFIG.training.loss
    batches = Batches(
        seed=0,
        size=_CONFIG.training.batch_size,
        labels=losses.Labels(len(_CLASSES), output),
        drop_remainder=False,
    )
    left = memory - sum(table.held for table in tables)
    train, _ = tables
    phases.fit(
        phases.Fitting(
            backbone=built.backbone,
            phase_data=PhasesOnFeatures(built, _LAYERS, manifest, *tables, batches, left).of_phase(),
            images=train.images,
            classes=len(_CLASSES),
            steps=batches.steps(train.images),
            compile_with=lambda: {"loss": losses.make_loss(output, loss), "metrics": [losses.accuracy(output)]},
            training=_CONFIG.training,
            log=TrainingLog(f"{folder}/logs"),
            state=TrainingState(None, {}),
        )
    )


def _say(what: str, start: float) -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sys.stdout.write(f"{what}: {time.monotonic() - start:.0f} s, peak {peak:.2f} GiB\n")
    sys.stdout.flush()
    return time.monotonic()


if __name__ == "__main__":
    main()
