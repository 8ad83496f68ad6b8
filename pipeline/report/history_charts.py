"""The charts of the page about all runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.report import charts
from pipeline.report.charts import Chart
from pipeline.report.templating import moment, percent

if TYPE_CHECKING:
    from pipeline.report.history import Entry

# Marks differ in their form too: not everybody sees the colours.
_MARKS = {
    "good": ("o", charts.GOOD, "its model is a version"),
    "warn": ("s", charts.SERIES[4], "pushed past a refusal"),
    "bad": ("X", charts.BAD, "refused"),
    "none": ("d", charts.MUTED, "only judged"),
}


def accuracy(entries: Sequence[Entry]) -> Chart | None:
    """The accuracy of each run with its confidence bounds, and the gate's bound; None if no run has an accuracy.

    Args:
      entries: of all runs, the oldest first.
    """
    judged = [entry for entry in entries if entry.run.verdict and entry.run.verdict.accuracy is not None]
    if not judged:
        return None
    rows = [
        (entry.run.number, moment(entry.run.started), *_accuracy(entry), entry.bound, _MARKS[entry.look][2])
        for entry in judged
    ]
    with charts.styled():
        made, (axes,) = charts.figure()
        for look, (marker, colour, label) in _MARKS.items():
            shown = [(entry.run.number, *_accuracy(entry)) for entry in judged if entry.look == look]
            if shown:
                numbers, values, low, high = zip(*shown, strict=True)
                below = [value - bound for value, bound in zip(values, low, strict=True)]
                above = [bound - value for value, bound in zip(values, high, strict=True)]
                axes.errorbar(
                    *(numbers, values), yerr=[below, above], fmt=marker, ms=7, color=colour, label=label, elinewidth=1
                )
        bounds = [(entry.run.number, entry.bound) for entry in judged if entry.bound is not None]
        if bounds:
            axes.step(*zip(*bounds, strict=True), where="mid", ls="--", color=charts.MUTED, label="bound of the gate")
        axes.set(xlabel="run", ylabel="accuracy on the test images")
        axes.xaxis.set_major_locator(charts.whole_numbers())
        made.legend(loc="outside upper left", ncols=2)
        last = percent(_accuracy(judged[-1])[0])
        alt = f"Accuracy of {len(judged)} runs with its bounds; that of the last one is {last}."
        headings = ("run", "started (UTC)", "accuracy", "lower bound", "upper bound", "bound of the gate", "outcome")
        return charts.finish(made, alt, headings, rows)


def images(entries: Sequence[Entry]) -> Chart | None:
    """The number of examples of each run, by split; None if no run has examples."""
    known = [entry for entry in entries if entry.images]
    if not known:
        return None
    splits = [split for split in charts.SPLITS if any(split in entry.images for entry in known)]
    numbers = [entry.run.number for entry in known]
    with charts.styled():
        made, (axes,) = charts.figure()
        below = [0] * len(known)
        for split in splits:
            heights = [entry.images.get(split, 0) for entry in known]
            axes.bar(numbers, heights, bottom=below, color=charts.SPLITS[split], label=split)
            below = [sum(pair) for pair in zip(below, heights, strict=True)]
        axes.set(xlabel="run", ylabel="images")
        axes.xaxis.set_major_locator(charts.whole_numbers())
        made.legend(loc="outside upper left", ncols=2)
        alt = f"Number of images of {len(known)} runs, by split; the last one has {below[-1]}."
        rows = [(entry.run.number, *(entry.images.get(split, 0) for split in splits)) for entry in known]
        return charts.finish(made, alt, ("run", *splits), rows)


def _accuracy(entry: Entry) -> tuple[float, float, float]:
    """The accuracy of a run with a verdict, and its bounds."""
    if entry.run.verdict is None or entry.run.verdict.accuracy is None:
        raise ValueError(f"run {entry.run.number} has no accuracy")
    return entry.run.verdict.accuracy, *entry.run.verdict.accuracy_bounds
