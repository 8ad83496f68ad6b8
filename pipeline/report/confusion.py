"""The confusion matrix, as TFMA counted it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_MOST_PAIRS = 20
_MANY = 20  # classes, from which on the matrix is drawn small


@dataclass(frozen=True)
class Cell:
    """Test images of one class that got the same answer.

    Attributes:
      images: how many.
      share: of the images of the class, 0 to 1.
      anchor: id of the images on the page.
    """

    images: int
    share: float
    anchor: str


@dataclass(frozen=True)
class Pair:
    """Two classes that were confused."""

    label: str
    answer: str
    cell: Cell


@dataclass(frozen=True)
class Confusion:
    """The matrix.

    Attributes:
      classes: names by index.
      rows: one per true class, with one cell per answer.
    """

    classes: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @property
    def is_large(self) -> bool:
        """Whether there are so many classes that the cells must be small."""
        return len(self.classes) > _MANY

    @property
    def pairs(self) -> list[Pair]:
        """The classes that were confused most often."""
        wrong = sorted(self._wrong(), key=lambda pair: -pair.cell.images)
        return wrong[:_MOST_PAIRS]

    def _wrong(self) -> Iterator[Pair]:
        for index, row in enumerate(self.rows):
            for other, cell in enumerate(row):
                if cell.images and other != index:
                    yield Pair(self.classes[index], self.classes[other], cell)


def anchor(label: int, answer: int) -> str:
    """The id of the test images of one cell.

    Args:
      label: index of the true class.
      answer: index of the class that the model named.
    """
    return f"cell-{label}-{answer}"


def of_matrix(matrix: np.ndarray, classes: Sequence[str]) -> Confusion:
    """The matrix as the page shows it.

    Args:
      matrix: int [classes, classes]; rows are true classes, columns are answers.
      classes: names by index.
    """
    totals = matrix.sum(axis=1)
    rows = [
        [
            Cell(int(images), images / totals[label] if totals[label] else 0.0, anchor(label, answer))
            for answer, images in enumerate(row)
        ]
        for label, row in enumerate(matrix)
    ]
    return Confusion(classes, rows)
