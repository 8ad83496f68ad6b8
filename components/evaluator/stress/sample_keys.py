"""Which of the test images the stress test takes."""

from __future__ import annotations

from collections.abc import Mapping


def chosen(labels: Mapping[str, str], images: int) -> set[str]:
    """Keys of a sample with the same shares of the classes, by the largest remainder.

    In each class the images with the smallest keys are chosen. Keys are digests of the content, so this is a random
    choice, and one that hardly changes as images are added.

    Args:
      labels: key to class name.
      images: how many; all if there are fewer.
    """
    by_class: dict[str, list[str]] = {}
    for key in sorted(labels):
        by_class.setdefault(labels[key], []).append(key)
    images = min(images, len(labels))
    exact = {name: images * len(keys) / len(labels) for name, keys in by_class.items()}
    counts = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (counts[name] - exact[name], name))
    for name in by_remainder[: images - sum(counts.values())]:
        counts[name] += 1
    return {key for name, keys in by_class.items() for key in keys[: counts[name]]}
