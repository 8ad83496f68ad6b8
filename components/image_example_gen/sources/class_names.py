"""What a class can be called."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from components.image_example_gen.reasons import Reason
from modules.errors import BadInputError

# Names are lines of a file: control characters, and what separates lines or paragraphs, can't be in them.
_NOT_IN_A_LINE = ("Cc", "Zl", "Zp", "Cs")


def normalised(label: str) -> str:
    """The name in Unicode's form NFC: file systems write the same letters in different ways."""
    return unicodedata.normalize("NFC", label)


def fault(label: str) -> str:
    """Why a label can't be the name of a class; empty if it can."""
    if any(unicodedata.category(letter) == "Cs" for letter in label):
        return "is not UTF-8"
    if any(unicodedata.category(letter) in _NOT_IN_A_LINE for letter in label):
        return "has a character that can't print"
    return ""


def refuse_missing(found: Collection[str], classes: Collection[str] | None) -> None:
    """Raises BadInputError if one of `data.classes` has no image at all; there may be none, None."""
    if missing := sorted(set(classes or ()) - set(found)):
        raise BadInputError(f"data.classes: there is no image of {missing}. Found: {sorted(found) or 'none'}")


def refusal(label: str, classes: Collection[str] | None) -> tuple[Reason, str] | None:
    """Why an example can't have this label; None if it can.

    Args:
      label: normalised; empty for none.
      classes: those that are allowed; None: all.
    """
    if not label:
        return Reason.NO_LABEL, "has no label"
    if wrong := fault(label):
        return Reason.UNKNOWN_LABEL, f"the label {label!r} {wrong}"
    if classes is not None and label not in classes:
        return Reason.UNKNOWN_LABEL, f"{label!r} is none of data.classes"
    return None
