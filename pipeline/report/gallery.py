"""The test images on the page: all of them if they are few, else all mistakes and a sample of the right answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.report import confusion
from pipeline.report.predicted import Predicted

MOST_PICTURES = 1000
MOST_CHANGED = 60  # of the images gained, and of those lost
MOST_MISTAKES, MOST_UNCERTAIN = 12, 8  # with a large picture


@dataclass(frozen=True)
class ShownImage:
    """One test image.

    Attributes:
      key: SHA-256 of its bytes, hexadecimal.
      path: below the data folder.
      label: its class name.
      answer: the class that the candidate named.
      score: of the answer, 0 to 1.
      label_score: the candidate's probability of the image's class, 0 to 1.
      production: the answer of the model in production; None without one.
    """

    key: str
    path: str
    label: str
    answer: str
    score: float
    label_score: float
    production: str | None

    @property
    def is_right(self) -> bool:
        """Whether the candidate named the image's class."""
        return self.label == self.answer


@dataclass(frozen=True)
class Cell:
    """The images of one class that got one answer.

    Attributes:
      label, answer: class names.
      anchor: id on the page.
      images: those that are shown.
      total: how many there are.
    """

    label: str
    answer: str
    anchor: str
    images: Sequence[ShownImage]
    total: int


@dataclass(frozen=True)
class ClassImages:
    """The test images of one class.

    Attributes:
      index, name: of the class.
      wrong, right: cells of mistakes, most images first, and the cell of the right answers.
    """

    index: int
    name: str
    wrong: Sequence[Cell]
    right: Sequence[Cell]

    @property
    def mistakes(self) -> int:
        """How many images got another answer."""
        return sum(cell.total for cell in self.wrong)

    @property
    def total(self) -> int:
        """How many test images the class has."""
        return self.mistakes + sum(cell.total for cell in self.right)


@dataclass(frozen=True)
class Gallery:
    """The test images.

    Attributes:
      classes: one element per class that has test images.
      mistakes: the worst ones: the surest of the wrong answers.
      uncertain: the least certain of the right answers.
      gained, lost: images that only the candidate recognised, and that only the model in production did.
      total: how many test images there are.
      shown: keys of the images that have a picture in `classes`.
    """

    classes: Sequence[ClassImages]
    mistakes: Sequence[ShownImage]
    uncertain: Sequence[ShownImage]
    gained: Sequence[ShownImage]
    lost: Sequence[ShownImage]
    total: int
    shown: frozenset[str]

    @property
    def large(self) -> set[str]:
        """Keys of the images that are shown large."""
        return {one.key for one in (*self.mistakes, *self.uncertain)}

    @property
    def is_sample(self) -> bool:
        """Whether some test images have no picture."""
        return len(self.shown) < self.total


def of_predicted(predicted: Predicted, most: int = MOST_PICTURES) -> Gallery:
    """Chooses the images.

    Args:
      predicted: the answers.
      most: how many may have a picture.
    """
    chosen = _chosen(predicted, most)
    return Gallery(
        list(_classes(predicted, chosen)),
        _shown(predicted, predicted.mistakes[:MOST_MISTAKES]),
        _shown(predicted, predicted.uncertain[:MOST_UNCERTAIN]),
        _shown(predicted, predicted.gained[:MOST_CHANGED]),
        _shown(predicted, predicted.lost[:MOST_CHANGED]),
        len(predicted.predictions.keys),
        frozenset(predicted.predictions.keys[number] for number in chosen),
    )


def _chosen(predicted: Predicted, most: int) -> list[int]:
    """Numbers of the images to show: mistakes, what changed, the least certain, then as many as fit of each class."""
    first = np.concatenate(
        [predicted.mistakes, predicted.lost, predicted.gained, predicted.uncertain[:MOST_UNCERTAIN]]
    ).tolist()
    ranks: dict[str, int] = {}
    order = []
    for number, label in enumerate(predicted.predictions.labels):
        ranks[label] = ranks.get(label, 0) + 1
        order.append((ranks[label], number))
    rest = [number for _, number in sorted(order)]
    return list(dict.fromkeys([*first, *rest]))[:most]


def _classes(predicted: Predicted, chosen: Iterable[int]) -> Iterable[ClassImages]:
    names = predicted.predictions.classes
    shown = set(chosen)
    cells: dict[tuple[str, int], list[int]] = {}
    for number, label in enumerate(predicted.predictions.labels):
        cells.setdefault((label, int(predicted.candidate.answers[number])), []).append(number)
    for index, name in enumerate(names):
        of_class = [
            Cell(
                name,
                names[answer],
                confusion.anchor(index, answer),
                _shown(predicted, _by_score(predicted, [number for number in numbers if number in shown])),
                len(numbers),
            )
            for (label, answer), numbers in cells.items()
            if label == name
        ]
        if of_class:
            wrong = sorted((cell for cell in of_class if cell.answer != name), key=lambda cell: -cell.total)
            yield ClassImages(index, name, wrong, [cell for cell in of_class if cell.answer == name])


def _by_score(predicted: Predicted, numbers: Sequence[int]) -> list[int]:
    """Mistakes from the surest down; right answers from the least certain up, since those are worth a look."""
    sign = [1.0 if predicted.candidate.right[number] else -1.0 for number in numbers]
    keys = dict(zip(numbers, sign, strict=True))
    return sorted(numbers, key=lambda number: keys[number] * float(predicted.candidate.scores[number]))


def _shown(predicted: Predicted, numbers: Iterable[int] | np.ndarray) -> list[ShownImage]:
    return [_image(predicted, int(number)) for number in numbers]


def _image(predicted: Predicted, number: int) -> ShownImage:
    """One test image by its number."""
    candidate, baseline = predicted.candidate, predicted.baseline
    return ShownImage(
        predicted.predictions.keys[number],
        predicted.predictions.paths[number].decode("utf-8", "replace"),
        predicted.predictions.labels[number],
        candidate.named(number),
        float(candidate.scores[number]),
        float(candidate.label_scores[number]),
        baseline.named(number) if baseline else None,
    )
