"""Receiver operating characteristic (ROC) and precision-recall curves, one class against all others.

The figures are scikit-learn's, of the probabilities that Evaluator kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.report import charts
from pipeline.report.charts import Chart
from pipeline.report.predicted import Answers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THRESHOLDS = np.linspace(0, 1, 101)
_MOST_CURVES = 6  # in one chart
_FEWEST_POINTS, _MOST_POINTS, _MOST_POINTS_OF_ALL = 40, 200, 4000  # of the curve that the slider shows


@dataclass(frozen=True)
class ClassCurves:
    """One class against all others.

    Attributes:
      name: of the class.
      images, others: test images of the class, and of all other classes.
      average_precision: scikit-learn's, 0 to 1; None without images of the class.
      roc_area: area below the ROC curve, 0 to 1; None without images of the class, or of others.
      recall, precision: float64 [points], by falling recall.
      false_positive_rate, true_positive_rate: float64 [points], rising.
      found: int64 [101]: images of the class with a probability of at least each of THRESHOLDS.
      false_alarms: int64 [101]: the same of images of other classes.
    """

    name: str
    images: int
    others: int
    average_precision: float | None
    roc_area: float | None
    recall: np.ndarray
    precision: np.ndarray
    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    found: np.ndarray
    false_alarms: np.ndarray


@dataclass(frozen=True)
class Curves:
    """Both charts, and what the page's sliders need.

    Attributes:
      classes: one element per class, in the order of the indices.
      precision_recall, roc: the charts; None where no class has a curve.
      is_selection: whether the charts show only some classes: those with the lowest average precision.
    """

    classes: Sequence[ClassCurves]
    precision_recall: Chart | None
    roc: Chart | None
    is_selection: bool

    @property
    def for_sliders(self) -> list[dict[str, object]]:
        """JSON values of each class: its curves; by threshold, how many images are found and how many others too."""
        most = max(_FEWEST_POINTS, min(_MOST_POINTS, _MOST_POINTS_OF_ALL // max(1, len(self.classes))))
        return [
            {
                "name": charts.name(one.name),
                "images": one.images,
                "others": one.others,
                "found": one.found.tolist(),
                "alarms": one.false_alarms.tolist(),
                "precisionRecall": points(one.recall, one.precision, most),
                "roc": points(one.false_positive_rate, one.true_positive_rate, most),
            }
            for one in self.classes
        ]


def points(horizontal: np.ndarray, vertical: np.ndarray, most: int) -> list[list[float]]:
    """Points of a curve, as `spread` chooses them; the arguments are its own."""
    return np.stack([horizontal, vertical], axis=1)[spread(horizontal, vertical, most)].round(4).tolist()


def spread(horizontal: np.ndarray, vertical: np.ndarray, most: int) -> np.ndarray:
    """Indices of points of a curve, with its first and its last one: int64, at most `most`.

    The steps between them are about equal along the curve, wherever the thresholds of the points are: sure models have
    all their scores close to 0 and 1.

    Args:
      horizontal: float64 [points].
      vertical: float64 [points].
      most: how many points are given at most.
    """
    if len(horizontal) <= most:
        return np.arange(len(horizontal))
    steps = np.abs(np.diff(horizontal)) + np.abs(np.diff(vertical))
    passed = np.concatenate([[0.0], np.cumsum(steps)])
    chosen = np.unique(np.searchsorted(passed, np.linspace(0, passed[-1], most)).clip(max=len(passed) - 1))
    chosen[-1] = len(passed) - 1
    return chosen


def of_answers(answers: Answers) -> Curves:
    """The curves of every class; the charts show those of the weakest classes, if there are many."""
    classes = [_of_class(answers, index) for index in range(len(answers.classes))]
    drawable = [one for one in classes if one.average_precision is not None and one.roc_area is not None]
    weakest = sorted(drawable, key=lambda one: one.average_precision or 0.0)[:_MOST_CURVES]
    shown = [one for one in drawable if one in weakest]
    if not shown:
        return Curves(classes, None, None, False)
    with charts.styled():
        return Curves(classes, _precision_recall(shown), _roc(shown), len(shown) < len(drawable))


def _of_class(answers: Answers, index: int) -> ClassCurves:
    from sklearn import metrics

    is_class, scores = answers.labels == index, answers.probabilities[:, index].astype(np.float64)
    images, others = int(is_class.sum()), int((~is_class).sum())
    nothing = np.zeros(0)
    precision, recall, average = nothing, nothing, None
    if images:
        precision, recall, _ = metrics.precision_recall_curve(is_class, scores, drop_intermediate=True)
        average = float(-np.sum(np.diff(recall) * precision[:-1]))  # as average_precision_score has it
    rates, area = (nothing, nothing), None
    if images and others:
        false_rate, true_rate, _ = metrics.roc_curve(is_class, scores)
        rates, area = (false_rate, true_rate), float(metrics.auc(false_rate, true_rate))
    return ClassCurves(
        answers.classes[index],
        images,
        others,
        average,
        area,
        recall,
        precision,
        *rates,
        _at_least(scores[is_class]),
        _at_least(scores[~is_class]),
    )


def _at_least(scores: np.ndarray) -> np.ndarray:
    """int64 [101]: how many scores reach each threshold."""
    return len(scores) - np.searchsorted(np.sort(scores), THRESHOLDS, side="left")


def _precision_recall(shown: Sequence[ClassCurves]) -> Chart:
    made, (axes,) = charts.figure(5.2, 4.0)
    for one, colour in zip(shown, charts.SERIES, strict=False):
        axes.step(one.recall, one.precision, where="post", color=colour, label=charts.name(one.name))
    _frame(axes, "recall", "precision")
    rows = [(one.name, one.images, one.average_precision) for one in shown]
    worst = min(shown, key=lambda one: one.average_precision or 0.0)
    alt = (
        f"Precision-recall curves of {len(shown)} classes. The lowest average precision is "
        f"{worst.average_precision:.3f}, of {worst.name}."
    )
    return charts.finish(made, alt, ("class", "test images", "average precision"), rows)


def _roc(shown: Sequence[ClassCurves]) -> Chart:
    made, (axes,) = charts.figure(5.2, 4.0)
    axes.plot([0, 1], [0, 1], color=charts.MUTED, linestyle=":", linewidth=1)
    for one, colour in zip(shown, charts.SERIES, strict=False):
        axes.plot(one.false_positive_rate, one.true_positive_rate, color=colour, label=charts.name(one.name))
    _frame(axes, "false positive rate", "true positive rate (recall)")
    rows = [(one.name, one.images, one.roc_area) for one in shown]
    worst = min(shown, key=lambda one: one.roc_area or 0.0)
    alt = (
        f"ROC curves of {len(shown)} classes. The smallest area below a curve is {worst.roc_area:.3f}, of {worst.name}."
    )
    return charts.finish(made, alt, ("class", "test images", "area below the ROC curve"), rows)


def _frame(axes: Axes, horizontal: str, vertical: str) -> None:
    axes.set(xlabel=horizontal, ylabel=vertical, xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    axes.legend(loc="lower center" if horizontal == "recall" else "lower right")
