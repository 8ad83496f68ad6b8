"""Runs the pipeline and the plain Keras script on the same images, one after the other."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator

from components.image_example_gen import splitting

PHOTOS = Path("data/traffic_lights")
SPLITS = {"train": 8, "eval": 1, "test": 1}


@dataclass(frozen=True)
class Result:
    """What one side's run measured.

    Attributes:
      whole: seconds from the start of the process to its end.
      training: seconds of both phases and all that only they need: for the pipeline the stages TrunkFeatures and
        Trainer, for the script everything between its imports and its evaluation.
      accuracy: on the test split.
      phases: seconds of `head` and `fine_tune` (0 without it), from the start of the first step to the end of the last
        epoch.
      stages: seconds of each of the pipeline's stages; empty for the script.
    """

    whole: float
    training: float
    accuracy: float
    phases: dict[str, float]
    stages: dict[str, float]


def photos(folder: Path, count: int) -> Path:
    """Writes `count` photos: first the demo's, then mirrored, cropped and lightened variants of them.

    Returns:
      the folder, with one subfolder per class.
    """
    if not PHOTOS.is_dir():
        raise SystemExit(f"{PHOTOS}: does not exist; run `make run` or `python data/prepare_traffic_lights.py` first")
    originals = sorted(PHOTOS.rglob("*.jpg"))
    order = np.random.default_rng(0).permutation(len(originals))
    target = folder / f"photos-{count}"
    for number in range(count):
        source = originals[order[number % len(originals)]]
        file = target / source.parent.name / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        variant = number // len(originals)
        file.write_bytes(source.read_bytes() if variant == 0 else _varied(source, variant))
    return target


def _varied(source: Path, variant: int) -> bytes:
    image = Image.open(source).convert("RGB")
    if variant % 2:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    cut = variant // 2
    image = image.crop((cut, cut, image.width - cut, image.height - cut)).point(lambda value: min(255, value + variant))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def in_splits(images: Path, folder: Path) -> Path:
    """Links the same images into one folder per split of the pipeline, which is what the script reads."""
    for split in SPLITS:
        for label in images.iterdir():  # also where a split has no image of a class: the script counts the folders
            (folder / split / label.name).mkdir(parents=True)
    for file in images.rglob("*.jpg"):
        split = splitting.split_of(hashlib.sha256(file.read_bytes()).hexdigest(), SPLITS)
        link = folder / split / file.parent.name / file.name
        os.symlink(file.resolve(), link)
    return folder


def configuration(
    images: Path, backbone: dict[str, Any], head: dict[str, Any], epochs: tuple[int, int], seed: int = 0
) -> dict[str, Any]:
    """A run that trains as the plain script does, with a gate that refuses nothing, so that both do all the work."""
    head_epochs, fine_tune_epochs = epochs
    plain = {"optimizer": "adam", "schedule": "constant"}
    fine_tune = {**plain, "epochs": fine_tune_epochs, "learning_rate": 1e-5, "layers": 20}
    return {
        "name": "benchmark",
        "data": {"path": str(images.resolve()), "splits": SPLITS},
        "backbone": backbone,
        "head": head,
        "training": {
            "seed": seed,
            "batch_size": 32,
            "loss": {"label_smoothing": 0.0},
            "head": {**plain, "epochs": head_epochs, "learning_rate": 1e-3},
            "fine_tune": fine_tune if fine_tune_epochs else None,
        },
        "gate": {"min_accuracy": 0.0, "max_regression": 1.0},
    }


def pipeline(config: dict[str, Any], folder: Path, workspace: Path) -> Result:
    """Runs the pipeline in its own process, with the cache of the workspace."""
    command = [sys.executable, "-m", "pipeline.local_runner", "--workspace", str(workspace)]
    start = time.monotonic()
    _run([*command, "--config", str(_written(config, folder))])
    whole = time.monotonic() - start
    summary = json.loads((workspace / config["name"] / "summary.json").read_text(encoding="utf-8"))
    stages = {stage["id"]: stage["seconds"] for stage in summary["stages"]}
    training = stages.get("TrunkFeatures", 0.0) + stages["Trainer"]
    return Result(whole, training, summary["test"]["accuracy"], _phases(workspace / config["name"]), stages)


def _phases(folder: Path) -> dict[str, float]:
    """Seconds of each phase, from TensorBoard's log of the newest training.

    The log has the end of each epoch. The first epoch is assumed to be as long as the mean of the others.
    """
    newest = max(folder.glob("artifacts/Trainer/model_run/*/history.json"), key=lambda path: path.stat().st_mtime)
    events = event_accumulator.EventAccumulator(str(newest.parent / "train"), {event_accumulator.TENSORS: 0})
    events.Reload()
    ends = [event.wall_time for event in events.Tensors("epoch_loss")]
    seconds = {"head": 0.0, "fine_tune": 0.0}
    for phase in json.loads(newest.read_text(encoding="utf-8"))["phases"]:
        count, first = len(phase["epochs"]), phase["first_epoch"] - 1
        seconds[phase["phase"]] = (ends[first + count - 1] - ends[first]) * count / (count - 1)
    return seconds


def script(config: dict[str, Any], folder: Path, splits: Path) -> Result:
    """Runs the plain Keras script in its own process."""
    model = folder / "plain_model"
    shutil.rmtree(model, ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.plain_keras", str(_written(config, folder)), str(splits), str(model)]
    start = time.monotonic()
    output = _run(command)
    figures = json.loads(output.splitlines()[-1])
    return Result(time.monotonic() - start, figures["training"], figures["accuracy"], figures["phases"], {})


def _written(config: dict[str, Any], folder: Path) -> Path:
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"})
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def rounds(count: int) -> Iterator[int]:
    """Counts the rounds, and prints which one runs."""
    for number in range(count):
        sys.stderr.write(f"round {number + 1} of {count}\n")
        yield number
