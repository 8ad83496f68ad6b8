"""What others call the three splits."""

from __future__ import annotations

from components.image_example_gen.settings import EVAL, TEST, TRAIN

ALLOWED = f"{TRAIN}, {EVAL} (val, valid, validation, dev) and {TEST}"
_OTHERS = {
    **dict.fromkeys((TRAIN, "training"), TRAIN),
    **dict.fromkeys((EVAL, "val", "valid", "validation", "dev"), EVAL),
    **dict.fromkeys((TEST, "testing"), TEST),
}


def standard(name: str) -> str | None:
    """Our name for a split; empty for an empty one, None for a name that isn't known."""
    return _OTHERS.get(name.lower()) if name else ""
