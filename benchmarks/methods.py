"""What benchmarks/accuracy.py compares: the rivals, and the pipeline with several configurations.

Every method has the same backbone and image size. The pipeline gets the splits train, eval and test. The rivals choose
nothing by eval, so they train on train and eval together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

BACKBONE = {"name": "EfficientNetLite0", "image_size": 160, "weights": "bundled"}

# Over the configuration that all share, see `configuration`.
OVERLAYS: dict[str, dict[str, Any]] = {
    "old-default": {  # the default of November 2026, written out, because defaults change
        "head": {"kind": "conv", "filters": [128, 64], "dropout": 0.3},
        "training": {
            "batch_size": 32,
            "loss": {"label_smoothing": 0.0},
            "head": {"epochs": 10, "learning_rate": 1e-3, "optimizer": "adam", "schedule": "constant", "patience": 3},
            "fine_tune": {
                **{"epochs": 10, "learning_rate": 1e-5, "optimizer": "adam", "schedule": "constant", "patience": 3},
                "layers": 20,
            },
        },
    },
    "fast": {"quality": "fast"},
    "good": {"quality": "good"},
    "best": {"quality": "best"},
}
_PLAIN = {  # as a plain Keras script is usually written
    "head": {"kind": "conv", "filters": [128, 64], "dropout": 0.3},
    "training": {
        "batch_size": 32,
        "head": {"epochs": 5, "learning_rate": 1e-3},
        "fine_tune": {"epochs": 5, "learning_rate": 1e-5, "layers": 20},
    },
}
LOGISTIC, PLAIN = "logistic", "plain"
RIVALS = (LOGISTIC, PLAIN)
NAMES = (*RIVALS, *OVERLAYS)


def configuration(overlay: Mapping[str, Any], data: Path, seed: int) -> dict[str, Any]:
    """A whole configuration: what all methods share, and over it what one of them is.

    Args:
      overlay: sections and fields of a configuration; they win.
      data: folder with a folder per split.
      seed: of the training.
    """
    shared = {
        "name": "accuracy",
        "data": {"path": str(data.resolve()), "outside_files": True},  # the images are links
        "backbone": BACKBONE,
        "training": {"seed": seed},
        "gate": {"min_accuracy": 0.0, "max_regression": 1.0},
    }
    return _merged(shared, overlay)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        both_sections = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both_sections else value
    return merged


def command(name: str, overlay: Mapping[str, Any], folder: Path, seed: int) -> list[str]:
    """Writes the configuration of a trial, and returns the module that trains, and its arguments.

    Args:
      name: `logistic` or `plain`; any other name is a configuration of the pipeline.
      overlay: of the pipeline's configuration.
      folder: of the trial; has the images in `splits/{train,eval,test}/` and `rivals/{train,test}/`. The module writes
        what trial.load reads into it.
      seed: of the training.
    """
    data = folder / ("rivals" if name in RIVALS else "splits")
    content = configuration(_PLAIN if name in RIVALS else overlay, data, seed)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    if name == LOGISTIC:
        return ["benchmarks.logistic", str(config), str(data), str(folder)]
    if name == PLAIN:
        return ["benchmarks.plain_keras", str(config), str(data), str(folder / "model"), "--answers", str(folder)]
    return ["benchmarks.train_pipeline", str(config), str(folder / "workspace"), str(folder)]
