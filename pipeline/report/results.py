"""What the predictions of all test images show."""

from __future__ import annotations

from dataclasses import dataclass

from components.evaluator import predictions
from config.stages import EVALUATOR
from pipeline import remains
from pipeline.report import curves, gallery, predicted, scores
from pipeline.report.curves import Curves
from pipeline.report.gallery import Gallery
from pipeline.report.predicted import Predicted
from pipeline.report.run import ReportedRun
from pipeline.report.scores import Scores


@dataclass(frozen=True)
class Results:
    """The answers, the images that are shown of them, and charts."""

    predicted: Predicted
    gallery: Gallery
    curves: Curves
    scores: Scores


def collect(run: ReportedRun) -> Results | None:
    """Reads the predictions; None if there are none, as in runs of older versions."""
    evaluation = run.uri(EVALUATOR, "evaluation")
    if evaluation is None:
        return None
    found = remains.if_left(lambda: predicted.of(predictions.read(evaluation)))
    if found is None:
        return None
    candidate = found.candidate
    return Results(found, gallery.of_predicted(found), curves.of_answers(candidate), scores.of_answers(candidate))
