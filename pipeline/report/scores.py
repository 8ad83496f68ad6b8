"""How far the model's scores can be trusted: reliability, histograms, and what a threshold on the score does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report import charts, reliability
from pipeline.report.charts import Chart
from pipeline.report.curves import THRESHOLDS
from pipeline.report.predicted import Answers
from pipeline.report.reliability import BINS, Reliability

_HISTOGRAM_BINS = 20


@dataclass(frozen=True)
class Scores:
    """The charts, and what the slider needs.

    Attributes:
      reliability: the figures of the diagram.
      diagram, histogram, coverage: the charts.
      answered, right: int64 [101]: answers whose score is at least each of THRESHOLDS, and those of them that are
        right.
    """

    reliability: Reliability
    diagram: Chart
    histogram: Chart
    coverage: Chart
    answered: np.ndarray
    right: np.ndarray

    @property
    def for_slider(self) -> dict[str, object]:
        """JSON values."""
        return {"answered": self.answered.tolist(), "right": self.right.tolist()}


def of_answers(answers: Answers) -> Scores:
    """Draws the charts."""
    found = reliability.of_answers(answers)
    scores = answers.scores.astype(np.float64)
    reached = scores[:, None] >= THRESHOLDS
    answered, right = reached.sum(axis=0), (reached & answers.right[:, None]).sum(axis=0)
    with charts.styled():
        return Scores(
            found,
            _diagram(found),
            _histogram(scores, answers.right),
            _coverage(answered, right),
            answered,
            right,
        )


def _diagram(found: Reliability) -> Chart:
    made, (axes,) = charts.figure(5.2, 4.0)
    filled = found.images > 0
    edges = np.arange(BINS) / BINS
    axes.bar(
        edges[filled],
        found.accuracy[filled],
        1 / BINS,
        align="edge",
        color=charts.SERIES[0],
        edgecolor=charts.PAGE,
    )
    # A bin whose answers are all wrong has a bar without a height, as an empty bin has: the dot tells them apart.
    dots: dict[str, Any] = {"color": charts.INK, "clip_on": False, "zorder": 3, "label": "a bin with answers"}
    axes.plot(found.score[filled], found.accuracy[filled], "o", markersize=5, **dots)
    axes.plot([0, 1], [0, 1], color=charts.BAD, linestyle="--", linewidth=1.4, label="perfect")
    axes.set(xlabel="score of the answer", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.03))
    axes.legend(loc="upper left")
    rows = [
        (f"{low:.2f} to {low + 1 / BINS:.2f}", int(images), score, accuracy)
        for low, images, score, accuracy in zip(
            edges[filled],
            found.images[filled],
            found.score[filled],
            found.accuracy[filled],
            strict=True,
        )
    ]
    alt = (
        f"Reliability diagram with {BINS} bins of the score. The expected calibration error is "
        f"{found.calibration_error:.3f}."
    )
    return charts.finish(made, alt, ("score", "images", "mean score", "share that is right"), rows)


def _histogram(scores: np.ndarray, right: np.ndarray) -> Chart:
    made, (axes,) = charts.figure(5.2, 4.0)
    edges = np.linspace(0, 1, _HISTOGRAM_BINS + 1)
    counts = [np.histogram(scores[chosen], edges)[0] for chosen in (right, ~right)]
    width = 1 / _HISTOGRAM_BINS / 2.2
    for number, (images, colour, label) in enumerate(
        zip(counts, (charts.SERIES[0], charts.SERIES[1]), ("right", "wrong"), strict=True)
    ):
        axes.bar(edges[:-1] + (number + 0.1) * width, images, width, align="edge", color=colour, label=label)
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(lambda images, _: f"{images:,.0f}")
    axes.set(xlabel="score of the answer", ylabel="images (logarithmic)", xlim=(0, 1), ylim=(0, None))
    axes.legend(loc="upper left")
    rows = [
        (f"{low:.2f} to {high:.2f}", int(of_right), int(of_wrong))
        for low, high, of_right, of_wrong in zip(edges[:-1], edges[1:], *counts, strict=True)
        if of_right or of_wrong
    ]
    alt = f"Histogram of the scores of {int(right.sum())} right and {int((~right).sum())} wrong answers."
    return charts.finish(made, alt, ("score", "right", "wrong"), rows)


def _coverage(answered: np.ndarray, right: np.ndarray) -> Chart:
    made, (axes,) = charts.figure(5.2, 4.0)
    share = answered / max(1, answered[0])
    accuracy = np.divide(right, answered, out=np.full(len(right), np.nan), where=answered > 0)
    axes.plot(THRESHOLDS, accuracy, color=charts.SERIES[0], label="accuracy of these")
    axes.plot(THRESHOLDS, share, color=charts.SERIES[1], linestyle="--", label="share answered")
    axes.set(xlabel="lowest score that is accepted", ylabel="share", xlim=(0, 1), ylim=(0, 1.04))
    axes.legend(loc="lower left")
    steps: Sequence[int] = range(0, len(THRESHOLDS), 10)
    rows = [(f"{THRESHOLDS[step]:.1f}", int(answered[step]), share[step], accuracy[step]) for step in steps]
    alt = "Share of the images that are answered, and accuracy of these answers, by the lowest score that is accepted."
    return charts.finish(made, alt, ("lowest score", "answered", "share answered", "accuracy"), rows)
