"""Which split an image belongs to: a function of its bytes alone."""

from __future__ import annotations

from collections.abc import Mapping


def split_of(key: str, splits: Mapping[str, int]) -> str:
    """Chooses a split by the hash of the content.

    The same picture is always on the same side, whatever it is called and whatever else is in the folder.

    Args:
      key: SHA-256 of the image's bytes, hexadecimal.
      splits: split name to its share, positive integers; the order counts.

    Returns:
      the name of the split.
    """
    bucket = int(key, 16) % sum(splits.values())
    for name, share in splits.items():
        if bucket < share:
            return name
        bucket -= share
    raise AssertionError("unreachable: the bucket is below the sum of the shares")
