"""Trainings of a few images, as TFX would call them."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import tensorflow_transform as tft
from examples import folder_of

from config.classifier import ClassifierConfig
from modules import trainer
from modules.training import history

_CONSTANT = {"optimizer": "adam", "schedule": "constant"}
SECTIONS: dict = {
    "backbone": {"image_size": 96},
    "head": {"filters": [8], "dropout": 0.2},
    "training": {
        "seed": 3,
        "batch_size": 5,
        "loss": {"label_smoothing": 0.0},
        "calibration": "none",
        "head": {**_CONSTANT, "epochs": 3, "learning_rate": 1e-2, "patience": 2},
        "fine_tune": {**_CONSTANT, "epochs": 2, "learning_rate": 1e-5, "layers": 10},
    },
}


def classifier_config(**sections: dict) -> ClassifierConfig:
    """SECTIONS, with fields of its sections replaced, and defaults for the rest."""
    given = {name: {**SECTIONS.get(name, {}), **sections.get(name, {})} for name in {*SECTIONS, *sections}}
    if "kind" in given["head"]:
        given["head"].pop("filters")
    return ClassifierConfig.model_validate(given)


def custom_config(config: ClassifierConfig, state_directory: Path | None = None) -> dict[str, Any]:
    """Trainer's custom_config, as its component makes it."""
    directory = str(state_directory) if state_directory else None
    return {"classifier": config.serialized(), "state_directory": directory, "files": {}}


def fn_args_of(
    transform_output: tft.TFTransformOutput,
    example_files: dict[str, str],
    folder: Path,
    config: ClassifierConfig,
    more: dict[str, str] | None = None,
    state_directory: Path | None = None,
    hyperparameters: dict[str, Any] | None = None,
) -> types.SimpleNamespace:
    """What TFX gives to `run_fn`."""
    return types.SimpleNamespace(
        custom_config=custom_config(config, state_directory),
        train_files=[files["train"] for files in (example_files, more) if files],
        eval_files=[files["eval"] for files in (example_files, more) if files],
        transform_graph_path=folder_of(transform_output),
        hyperparameters=hyperparameters,
        serving_model_dir=str(folder / "Format-Serving"),
        model_run_dir=str(folder / "run"),
    )


def run(
    transform_output: tft.TFTransformOutput,
    example_files: dict[str, str],
    folder: Path,
    config: ClassifierConfig | None = None,
    more: dict[str, str] | None = None,
    state_directory: Path | None = None,
    hyperparameters: dict[str, Any] | None = None,
    **sections: dict,
) -> list[dict]:
    """Trains as TFX would call it, on the examples and perhaps more files; gives the phases' history."""
    chosen = config or classifier_config(**sections)
    trainer.run_fn(fn_args_of(transform_output, example_files, folder, chosen, more, state_directory, hyperparameters))
    return history.read(str(folder / "run"))["phases"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""
