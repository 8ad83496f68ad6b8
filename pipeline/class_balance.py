"""How many images each class has, and what can be known from so few."""

from __future__ import annotations

from collections.abc import Mapping

from components.image_example_gen.report import Counts
from components.image_example_gen.settings import TEST
from modules import statistics
from pipeline.config import Gate


def share(counts: Counts, name: str) -> float:
    """A class's part of all examples, [0, 1]."""
    return sum(of.get(name, 0) for of in counts.splits.values()) / sum(map(counts.examples, counts.splits))


def warnings(counts: Counts, gate: Gate) -> list[str]:
    """One line a class of which too few are in the test for its bound to mean anything."""
    said = []
    for name in counts.classes:
        bound, images = _bound(gate, name), counts.splits[TEST].get(name, 0)
        needed = statistics.images_for_share(bound, gate.confidence)
        if images and needed is not None and images < needed:
            at_best, _ = statistics.share_bounds(images, images, gate.confidence)
            said.append(
                f"{name}: {_images(images)} of the test: were all of them right, its recall might still be "
                f"{at_best:.0%} ({gate.confidence:.0%} sure); a bound of {bound:.0%} takes {needed}"
            )
    return said


def _bound(gate: Gate, name: str) -> float:
    """On the class's recall; without one, what is asked of all images together is a fair measure."""
    if isinstance(gate.min_recall, Mapping):
        return gate.min_recall.get(name, gate.min_accuracy)
    return gate.min_accuracy if gate.min_recall is None else gate.min_recall


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"
