"""How much memory training on many images' activations takes: `python -m benchmarks.memory`.

Writes random activations of MobileNetV2's at 160 pixels, 5×5×160 float16, as TrunkFeatures would, and trains one epoch
of each phase on them. Prints the process's peak of resident memory, and the seconds of each step.
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

from modules import heads, losses, material, phases, trunk, trunk_features
from modules.backbones import build
from modules.batches import Batches
from modules.feature_table import FeatureTable
from modules.resume import TrainingState

_LAYERS = 20
_PHASE = {"optimizer": "adam", "schedule": "constant", "clip_norm": None, "patience": 1, "epochs": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--memory-gib", type=float, default=2.0, help="trunk_features.memory_gib")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    backbone = build("MobileNetV2", 160, "none")
    kept, _ = trunk.cut_backbone(backbone, _LAYERS)
    shape = tuple(kept.output.shape[1:])
    manifest = trunk_features.Manifest(
        trunk_features.CACHED, "", kept.layers[-1].name, False, shape, "float16", 1, trunk.digest(kept)
    )
    memory = int(options.memory_gib * 2**30)
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        _write(Path(folder, "train"), options.images, shape)
        _write(Path(folder, "eval"), 1000, shape)
        start = _say("written", start)
        train, evaluation = (
            FeatureTable.read([f"{folder}/{split}"], manifest, 3, memory) for split in ("train", "eval")
        )
        start = _say("read", start)
        _train(backbone, manifest, train, evaluation, memory, folder)
        _say("trained", start)


def _write(path: Path, images: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(images):
            activations = rng.random((1, *shape), np.float32).astype(np.float16)
            writer.write(trunk_features.encode(b"%d" % number, number % 3, 1.0, activations))


def _train(
    backbone: keras.Model,
    manifest: trunk_features.Manifest,
    train: FeatureTable,
    evaluation: FeatureTable,
    memory: int,
    folder: str,
) -> None:
    head = heads.build(heads.HeadOptions(), tuple(backbone.output.shape[1:]), 3, seed=0)
    batches = Batches(seed=0, size=32, labels=losses.Labels(3, "softmax"), drop_remainder=False)
    left = memory - train.held - evaluation.held
    fitting = phases.Fitting(
        backbone=backbone,
        material=material.from_features(backbone, head, _LAYERS, manifest, train, evaluation, batches, left),
        images=train.images,
        steps=batches.steps(train.images),
        compile_with=lambda: {"loss": losses.loss("softmax"), "metrics": [losses.accuracy("softmax")]},
        settings={
            "head": {**_PHASE, "learning_rate": 1e-3},
            "fine_tune": {**_PHASE, "learning_rate": 1e-5, "layers": _LAYERS},
        },
        log_dir=f"{folder}/logs",
    )
    phases.fit(fitting, TrainingState(None, {}))


def _say(what: str, start: float) -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sys.stdout.write(f"{what}: {time.monotonic() - start:.0f} s, peak {peak:.2f} GiB\n")
    sys.stdout.flush()
    return time.monotonic()


if __name__ == "__main__":
    main()
