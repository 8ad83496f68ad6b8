"""The table of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.report.results import Results
    from pipeline.report.run import ReportedRun


@dataclass(frozen=True)
class ClassRow:
    """One class on the test images.

    Attributes:
      index, name: of the class.
      images: how many test images it has.
      recall, precision: as TFMA counted them, 0 to 1; None without images, or without answers.
      average_precision: of the probabilities, 0 to 1; None without images or predictions.
    """

    index: int
    name: str
    images: int
    recall: float | None
    precision: float | None
    average_precision: float | None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of recall and precision."""
        if self.recall is None or self.precision is None:
            return None
        total = self.recall + self.precision
        return 2 * self.recall * self.precision / total if total else 0.0

    @property
    def rank(self) -> float:
        """For sorting, the weakest classes first; classes without images last."""
        return 2.0 if self.f1 is None else self.f1

    @property
    def mistakes(self) -> int:
        """How many images of the class got another answer."""
        return self.images - round((self.recall or 0.0) * self.images)


def rows(run: ReportedRun, results: Results | None) -> list[ClassRow]:
    """One row per class, by index; none if the verdict is gone."""
    if run.summary.verdict is None:
        return []
    averages = {one.name: one.average_precision for one in results.curves.classes} if results else {}
    found = run.summary.verdict.per_class
    return [
        ClassRow(index, name, figures.examples, figures.recall, figures.precision, averages.get(name))
        if (figures := found.get(name))
        else ClassRow(index, name, 0, None, None, None)
        for index, name in enumerate(run.classes)
    ]
