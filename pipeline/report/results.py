"""The sections about the test images: curves, scores, and the images themselves with what both models answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from components.evaluator import predictions
from config.data import TEST
from config.stages import EVALUATOR, IMAGE_EXAMPLE_GEN
from pipeline.report import curves, examples, gallery, pictures, predicted, scores
from pipeline.report.curves import Curves
from pipeline.report.gallery import Gallery
from pipeline.report.predicted import Predicted
from pipeline.report.run import ReportedRun
from pipeline.report.scores import Scores

_MOST_BYTES = 400_000_000  # of test images that are read again


@dataclass(frozen=True)
class Results:
    """What the predictions of all test images show.

    Attributes:
      predicted: the answers.
      gallery: the images that are shown.
      curves, scores: charts.
      small, large: pictures by the image's number.
      files: the images' files, by the image's number, of those with a large picture.
    """

    predicted: Predicted
    gallery: Gallery
    curves: Curves
    scores: Scores
    small: Mapping[int, str]
    large: Mapping[int, str]
    files: Mapping[int, bytes]


def collect(run: ReportedRun) -> Results | None:
    """Reads the predictions, and the images that are shown; None if the run kept no predictions, as before 0.5."""
    evaluation = run.uri(EVALUATOR, "evaluation")
    if evaluation is None:
        return None
    try:
        found = predicted.of(predictions.read(evaluation))
    except FileNotFoundError:
        return None
    shown = gallery.of_predicted(found)
    files: dict[int, bytes] = {}
    small = pictures.of_all(_test_images(run, found, shown, files))
    large = pictures.of_all(((str(number), encoded) for number, encoded in files.items()), pictures.large)
    return Results(
        found,
        shown,
        curves.of_answers(found.candidate),
        scores.of_answers(found.candidate),
        {int(number): picture for number, picture in small.items()},
        {int(number): picture for number, picture in large.items()},
        files,
    )


def _test_images(
    run: ReportedRun, found: Predicted, shown: Gallery, files: dict[int, bytes]
) -> Iterator[tuple[str, bytes]]:
    """Number and file of the images that are shown; `files` keeps those with a large picture."""
    folder = run.uri(IMAGE_EXAMPLE_GEN, "examples")
    left = {found.predictions.keys[number]: number for number in shown.shown}
    large = {one.number for one in (*shown.mistakes, *shown.uncertain)}
    for one in examples.read(folder, TEST, _MOST_BYTES) if folder and left else ():
        number = left.pop(one.key, None)
        if number is None:
            continue
        if number in large:
            files[number] = one.encoded
        yield str(number), one.encoded
        if not left:
            return
