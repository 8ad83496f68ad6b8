"""Trainings of a few images, as TFX would call them."""

from __future__ import annotations

import json
import types
from pathlib import Path

from modules import trainer
from pipeline.config import Config

SECTIONS: dict = {
    "backbone": {"image_size": 96},
    "head": {"filters": [8], "dropout": 0.2},
    "training": {
        "seed": 3,
        "batch_size": 5,
        "head": {"epochs": 3, "learning_rate": 1e-2, "patience": 2},
        "fine_tune": {"epochs": 2, "learning_rate": 1e-5, "layers": 10},
    },
}


def settings(state_directory: Path | None = None, **sections: dict) -> dict:
    """Trainer's custom_config: SECTIONS, with fields of its sections replaced, and defaults for the rest."""
    given = {name: {**SECTIONS.get(name, {}), **sections.get(name, {})} for name in {*SECTIONS, *sections}}
    if "kind" in given["head"]:
        given["head"].pop("filters")
    complete = Config.model_validate({"name": "test", "data": {"path": "p"}, **given}).model_dump()
    wanted = {name: complete[name] for name in ("backbone", "head", "training", "augmentation", "trunk_features")}
    return {**wanted, "pixels_because": "a test", "state_directory": str(state_directory) if state_directory else None}


def run(
    transform_output,
    example_files,
    folder: Path,
    config: dict | None = None,
    more: dict[str, str] | None = None,
    **sections: dict,
) -> list[dict]:
    """Trains as TFX would call it, on the examples and perhaps more files; gives the phases' history."""
    trainer.run_fn(
        types.SimpleNamespace(
            custom_config=config or settings(**sections),
            train_files=[files["train"] for files in (example_files, more) if files],
            eval_files=[files["eval"] for files in (example_files, more) if files],
            transform_output=transform_output.transform_savedmodel_dir.removesuffix("/transform_fn"),
            serving_model_dir=str(folder / "Format-Serving"),
            model_run_dir=str(folder / "run"),
        )
    )
    return json.loads((folder / "run" / "history.json").read_text())["phases"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""
