"""The section about training: curves of both phases, penalties that were tried, the search, the augmentation."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from config import search_space
from config.data import EVAL, TRAIN
from config.run import RunConfig
from config.stages import TRAINER, TUNER
from modules.training import logistic
from modules.tuning import results as tuning_results
from modules.tuning import values
from pipeline import remains
from pipeline.report import charts, pictures
from pipeline.report.charts import Chart
from pipeline.report.run import ReportedRun

_SHEET_WIDTH = 720  # pixels
_FIGURES = {"loss": ("loss", "val_loss"), "accuracy": ("accuracy", "val_accuracy")}


@dataclass(frozen=True)
class Phase:
    """One phase of the training.

    Attributes:
      name: as in history.json.
      first_epoch, epochs: counted over both phases.
      best_epoch: the one with the lowest loss on eval; None without epochs.
      lowest_loss: that loss; None without epochs.
      eval_loss: loss on eval of the weights that the phase ended with: those of its last epoch, or with
        `patience` those of its best one.
      learning_rate: the highest; None for a head of kind logistic.
      weights: how many numbers were trained.
      rolled_back: whether its weights are not used.
      reason: why it was rolled back.
    """

    name: str
    first_epoch: int
    epochs: int
    best_epoch: int | None
    lowest_loss: float | None
    eval_loss: float
    learning_rate: float | None
    weights: int
    rolled_back: bool
    reason: str


@dataclass(frozen=True)
class Training:
    """What the section shows.

    Attributes:
      phases: in their order; none if nothing was trained, or the record is gone.
      data: what was trained on, in words; empty without phases.
      loss, accuracy, rate: charts over all epochs; None without epochs.
      penalties: chart of the penalties that a head of kind logistic tried; None for other heads.
      least_gain: share by which a weaker penalty, or more weight on earlier blocks, must lower the loss.
      trials: rows of the search: number, log loss, rung, seconds, state, values; empty without a search.
      search: chart of the trials; None without a search.
      best_trial: number of the trial whose values were used; None without a search.
      hindrances: what makes answers harder in training only: augmentation, dropout.
      augmentation: a picture of what augmentation does; None without it.
    """

    phases: Sequence[Phase]
    data: str
    loss: Chart | None
    accuracy: Chart | None
    rate: Chart | None
    penalties: Chart | None
    least_gain: float
    trials: Sequence[Mapping[str, Any]]
    search: Chart | None
    best_trial: int | None
    hindrances: Sequence[str]
    augmentation: str | None


def collect(run: ReportedRun) -> Training:
    """Draws what the history has of each epoch, and what Tuner wrote."""
    from pipeline import summary

    history = run.summary.training
    records = history["phases"] if history else []
    found = _trials(run)
    trials = found["trials"] if found else []
    with charts.styled():
        has_epochs = any(record["epochs"] for record in records)
        return Training(
            [_phase(record) for record in records],
            summary.trained_on(history) if history else "",
            _curve(records, "loss") if has_epochs else None,
            _curve(records, "accuracy") if has_epochs else None,
            _rate(records) if has_epochs else None,
            _penalties(records),
            logistic.GAIN,
            [{**trial, "values": values.described(trial["values"])} for trial in trials],
            _search(trials) if trials else None,
            found["best"] if found else None,
            _hindrances(run.config, history["tuned"] if history else {}),
            _augmentation(run),
        )


def _phase(record: Mapping[str, Any]) -> Phase:
    losses = [epoch["val_loss"] for epoch in record["epochs"]]
    return Phase(
        record["phase"],
        record["first_epoch"],
        len(losses),
        record["first_epoch"] + int(np.argmin(losses)) if losses else None,
        min(losses, default=None),
        record["eval_loss"],
        record["learning_rate"],
        record["trainable_weights"],
        record["rolled_back"],
        record["reason"],
    )


def _hindrances(config: RunConfig | None, tuned: Mapping[str, Any]) -> list[str]:
    if config is None:
        return []
    classifier = config.classifier
    trained = remains.if_left(lambda: search_space.applied(classifier, dict(tuned))) or classifier
    has_dropout = trained.head.kind not in ("custom", "logistic") and trained.head.dropout
    used = {"augmentation": trained.augmentation.active(), "dropout": has_dropout}
    return [name for name, is_used in used.items() if is_used]


def _epochs(records: Sequence[Mapping[str, Any]]) -> tuple[list[int], list[Mapping[str, float]]]:
    epochs = [epoch for record in records for epoch in record["epochs"]]
    return list(range(1, len(epochs) + 1)), epochs


def _curve(records: Sequence[Mapping[str, Any]], figure: str) -> Chart:
    made, (axes,) = charts.figure(5.2, 3.6)
    numbers, epochs = _epochs(records)
    columns = [[epoch[name] for epoch in epochs] for name in _FIGURES[figure]]
    for column, colour, style, label in zip(
        columns, (charts.SPLITS[TRAIN], charts.SPLITS[EVAL]), ("--", "-"), (TRAIN, EVAL), strict=True
    ):
        axes.plot(numbers, column, color=colour, linestyle=style, marker="o", markersize=3, label=label)
    _mark_phases(axes, records)
    for record in records:
        if record["epochs"]:
            best = _phase(record).best_epoch or 1
            axes.plot([best], [columns[1][best - 1]], marker="*", markersize=11, color=charts.GOOD, linestyle="none")
    axes.set(xlabel="epoch", ylabel=figure)
    axes.legend()
    last = columns[1][-1]
    alt = f"Curves of {figure} on train and eval over {len(numbers)} epochs; on eval it is {last:.4f} at the end."
    rows = [(number, *row) for number, row in zip(numbers, zip(*columns, strict=True), strict=True)]
    return charts.finish(made, alt, ("epoch", f"{figure} on train", f"{figure} on eval"), rows)


def _mark_phases(axes: Any, records: Sequence[Mapping[str, Any]]) -> None:
    for record in records[1:]:
        if record["epochs"]:
            axes.axvline(record["first_epoch"] - 0.5, color=charts.MUTED, linestyle=":", linewidth=1)
    axes.xaxis.set_major_locator(charts.whole_numbers())


def _rate(records: Sequence[Mapping[str, Any]]) -> Chart:
    made, (axes,) = charts.figure(5.2, 3.6)
    numbers, epochs = _epochs(records)
    rates = [epoch["learning_rate"] for epoch in epochs]
    axes.plot(numbers, rates, color=charts.SERIES[0], marker="o", markersize=3)
    _mark_phases(axes, records)
    axes.set(xlabel="epoch", ylabel="learning rate at the end of the epoch", ylim=(0, None))
    alt = f"The learning rate over {len(numbers)} epochs; its highest value is {max(rates):g}."
    return charts.finish(made, alt, ("epoch", "learning rate"), list(zip(numbers, rates, strict=True)))


def _penalties(records: Sequence[Mapping[str, Any]]) -> Chart | None:
    trials = [trial for record in records for trial in record.get("trials", [])]
    if not trials:
        return None
    made, (axes,) = charts.figure(5.2, 3.6)
    weights = sorted({trial["weight"] for trial in trials})
    for weight, colour in zip(weights, charts.SERIES * len(weights), strict=False):
        own = sorted((trial for trial in trials if trial["weight"] == weight), key=lambda trial: trial["penalty"])
        penalties, losses = [one["penalty"] for one in own], [one["val_loss"] for one in own]
        axes.plot(penalties, losses, color=colour, marker="o", markersize=4, label=f"weight {weight:g}")
    used = [one for record in records for one in record.get("trials", []) if _is_used(one, record)]
    if used:
        places = [one["penalty"] for one in used], [one["val_loss"] for one in used]
        axes.plot(*places, "*", markersize=13, color=charts.GOOD, label="head fitted with it")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set(xlabel="penalty", ylabel="loss on images that were not fitted")
    axes.legend()
    rows = [(one["weight"], one["penalty"], one["loss"], one["val_loss"], one["val_accuracy"]) for one in trials]
    alt = f"The loss on images that were not fitted, of {len(trials)} penalties that were tried."
    return charts.finish(made, alt, ("weight of earlier blocks", "penalty", "loss", "loss on others", "accuracy"), rows)


def _is_used(trial: Mapping[str, Any], phase: Mapping[str, Any]) -> bool:
    """Whether the head was fitted with this penalty and weight; records of older releases do not say so."""
    return (trial["penalty"], trial["weight"]) == (phase.get("penalty"), phase.get("weight"))


def _trials(run: ReportedRun) -> dict[str, Any] | None:
    folder = run.uri(TUNER, "tuner_results")
    path = Path(folder, tuning_results.TRIALS) if folder else None
    return remains.if_left(lambda: json.loads(path.read_text(encoding="utf-8"))) if path else None


def _search(trials: Sequence[Mapping[str, Any]]) -> Chart | None:
    scored = [trial for trial in trials if trial["log_loss"] is not None]
    if not scored:
        return None
    made, (axes,) = charts.figure(5.2, 3.6)
    for rung, colour in zip(sorted({trial["rung"] for trial in scored}), charts.SERIES * len(scored), strict=False):
        own = [trial for trial in scored if trial["rung"] == rung]
        axes.plot(
            [trial["trial"] for trial in own],
            [trial["log_loss"] for trial in own],
            color=colour,
            linestyle="none",
            marker="o",
            label=f"rung {rung}",
        )
    axes.xaxis.set_major_locator(charts.whole_numbers())
    axes.set(xlabel="trial", ylabel="log loss")
    axes.legend()
    rows = [(trial["trial"], trial["rung"], trial["log_loss"], trial["seconds"]) for trial in scored]
    alt = f"The log loss of {len(scored)} trials. Only trials of the same rung can be compared."
    return charts.finish(made, alt, ("trial", "rung", "log loss", "seconds"), rows)


def _augmentation(run: ReportedRun) -> str | None:
    from modules import trainer

    folder = run.uri(TRAINER, "model_run")
    path = os.path.join(folder, trainer.SHEET) if folder else ""
    if not os.path.isfile(path):
        return None
    return remains.if_left(lambda: _sheet(path))


def _sheet(path: str) -> str:
    with PIL.Image.open(path) as sheet:
        small = sheet.convert("RGB")
    small.thumbnail((_SHEET_WIDTH, 4 * _SHEET_WIDTH))
    return pictures.address(small)
