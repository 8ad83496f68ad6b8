"""Names of classes and of splits, as sources write them."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from components.image_example_gen.quarantine import BadImagesError, Reason, Rejection, because
from config.data import EVAL, TEST, TRAIN
from config.section import is_not_a_number

KNOWN_SPLIT_NAMES = f"{TRAIN}, {EVAL} (val, valid, validation, dev) and {TEST}"
_SPLIT_NAMES = {
    **dict.fromkeys((TRAIN, "training"), TRAIN),
    **dict.fromkeys((EVAL, "val", "valid", "validation", "dev", "evaluation"), EVAL),
    **dict.fromkeys((TEST, "testing"), TEST),
}

# Class names are written to a file, one per line. So they cannot contain control characters, or separators of lines or
# paragraphs.
_NOT_IN_A_LINE = ("Cc", "Zl", "Zp", "Cs")


def standard_split_name(name: str) -> str | None:
    """Our name for a split; empty for an empty name, None for an unknown one."""
    return _SPLIT_NAMES.get(name.lower()) if name else ""


def class_name_problem(label: str) -> str:
    """Why a label cannot be a class name; empty if it can."""
    if any(unicodedata.category(letter) == "Cs" for letter in label):
        return "is not UTF-8"
    if any(unicodedata.category(letter) in _NOT_IN_A_LINE for letter in label):
        return "has a character that can't be printed"
    if is_not_a_number(label):
        return "is what programs write for a missing number"
    return ""


def check_classes_have_images(
    found: Collection[str], classes: Collection[str] | None, rejected: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Raises BadImagesError if a class of `data.classes` has no image.

    Args:
      found: classes that have images.
      classes: that are allowed; None: all.
      rejected: the images that cannot be used, see `quarantine.describe`; they may be the cause.
    """
    if missing := sorted(set(classes or ()) - set(found)):
        lacking = (
            f"there is no image of {missing}; add images, or remove these classes. Found: {sorted(found) or 'none'}"
        )
        parts = [lacking, because(rejected)] if found else [because(rejected), lacking]
        raise BadImagesError(f"data.classes: {'; '.join(filter(None, parts))}", rejected)


def reject_label(label: str, classes: Collection[str] | None, received: Any = None) -> Rejection | None:
    """Why an example cannot have this label; None if it can.

    Args:
      label: normalized; empty for none.
      classes: that are allowed; None: all.
      received: the label as the source has it.
    """
    if not label:
        found = "" if received in (None, "", b"") else f" ({received!r})"
        return Rejection(Reason.NO_LABEL, f"the image has no label{found}")
    if problem := class_name_problem(label):
        return Rejection(Reason.UNKNOWN_LABEL, f"the label {label!r} {problem}")
    if classes is not None and label not in classes:
        return Rejection(Reason.UNKNOWN_LABEL, f"the label {label!r} is not in data.classes")
    return None
