"""What a data scientist would try first: logistic regression on the backbone's pooled features.

scikit-learn's LogisticRegressionCV on standardised features; the strength of the L2 penalty is the one with the lowest
log loss in a stratified cross-validation. It is called by benchmarks/accuracy.py.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import joblib
import keras
import numpy as np
import tensorflow as tf
import yaml
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks import plain_keras, trial
from benchmarks.peak_memory import PeakMemory

_FOLDS = 5
_STRENGTHS = np.logspace(-5, 0, 11)  # C, the inverse of the penalty


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="the pipeline's configuration: backbone and seed")
    parser.add_argument("folders", type=Path, help="holds train/ and test/, each with one folder per class")
    parser.add_argument("answers", type=Path, help="folder for the answers on the test images")
    options = parser.parse_args()
    config = yaml.safe_load(options.config.read_text(encoding="utf-8"))
    with PeakMemory(interval=0.2) as peak:
        start = time.monotonic()
        features = _Features(config)
        train, labels = features.of(options.folders / "train")
        fitted = _fit(train, labels, config["training"]["seed"])
        costs = trial.costs_so_far(time.monotonic() - start, peak.gib)
    test, _ = features.of(options.folders / "test")
    classes = sorted(folder.name for folder in (options.folders / "train").iterdir())
    trial.save(options.answers, classes, fitted.predict_proba(test), costs)


class _Features:
    """The backbone's last feature map, averaged over its area."""

    def __init__(self, config: dict):
        self._config = config
        backbone, preprocess = plain_keras.build_backbone(config["backbone"])
        image = keras.Input(backbone.input.shape[1:])
        pooled = keras.layers.GlobalAveragePooling2D()(backbone(image, training=False))
        self._preprocess, self._model = preprocess, keras.Model(image, pooled)

    def of(self, folder: Path) -> tuple[np.ndarray, np.ndarray]:
        """Features, float64 [images, channels], and labels, int [images], in the order of the paths."""
        size, training = self._config["backbone"]["image_size"], self._config["training"]
        images = plain_keras.dataset(folder, size, training, shuffled=False)
        labels = np.concatenate([labels.numpy().argmax(axis=1) for _, labels in images])
        pixels: tf.data.Dataset = images.map(lambda pixels, _: self._preprocess(pixels)).prefetch(2)
        return self._model.predict(pixels, verbose=0).astype(np.float64), labels


def _fit(features: np.ndarray, labels: np.ndarray, seed: int) -> Pipeline:
    folds = StratifiedKFold(min(_FOLDS, int(np.bincount(labels).min())), shuffle=True, random_state=seed)
    regression = LogisticRegressionCV(Cs=_STRENGTHS, cv=folds, scoring="neg_log_loss", max_iter=1000)
    # Two threads of BLAS on one fold wait for each other: on a busy machine it takes 50 times as long.
    with threadpool_limits(1, "blas"), joblib.parallel_config("threading", n_jobs=os.cpu_count()):
        return make_pipeline(StandardScaler(), regression).fit(features, labels)


if __name__ == "__main__":
    main()
