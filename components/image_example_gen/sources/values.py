"""Labels, splits, groups and weights: a value has one meaning, whichever source it comes from.

CSV has only text, JSON also has numbers, TFRecords have bytes, 64-bit integers and 32-bit floats.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from components.image_example_gen.sources import names
from config.section import is_not_a_number, normalize_class_name

_LARGEST_WEIGHT = float(np.finfo(np.float32).max)  # examples hold weights as 32-bit floats
_SHOWN = 80  # characters of a value in a message

# What programs write for a missing value. A class may really have such a name; a group or split hardly.
_MISSING_WORDS = frozenset({"none", "null", "n/a", "<na>", "nat", "nil", "undefined"})
_EXCEL_ERRORS = frozenset({"#n/a", "#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!"})
_MISSING_IN_R = "NA"


class ValueProblemError(ValueError):
    """A value cannot be used. The message says what is allowed and what was received, without the place."""


def to_label(value: Any) -> str:
    """A label as text; empty if it is missing.

    Args:
      value: text, bytes in UTF-8, a number, or None.

    Returns:
      the text as `normalize_class_name` forms it; empty for None, empty text, and numbers that are not finite.

    Raises:
      ValueProblemError: if the value is of another kind, or has characters that are not allowed.
    """
    text = normalize_class_name(to_text(value))
    return "" if is_not_a_number(text) else text


def to_group(value: Any) -> str:
    """The name of a group; empty if there is none. Like `to_label`, but words for a missing value are none, too.

    Raises:
      ValueProblemError: see `to_label`.
    """
    text = to_label(value)
    return "" if means_missing(text) else text


def to_fact(value: Any) -> str:
    """A value of a further column; empty if it is missing. Like `to_group`, but true and false are values, too.

    Raises:
      ValueProblemError: see `to_label`.
    """
    return str(value).lower() if isinstance(value, bool) else to_group(value)


def to_split(value: Any) -> str:
    """Our name of a split; empty if there is none.

    Raises:
      ValueProblemError: see `to_label`; or if the name is unknown.
    """
    text = to_group(value)
    split = names.standard_split_name(text)
    if split is None:
        raise ValueProblemError(f"{names.KNOWN_SPLIT_NAMES}, or an empty value, are allowed. Received: {_shown(text)}")
    return split


def to_weight(value: Any) -> float:
    """The weight of an example; 1 if there is none.

    A number that is not finite is a mistake here: as a missing weight it would count as 1, unnoticed.

    Raises:
      ValueProblemError: if the value is not a number of 0 or more that fits 32 bits.
    """
    text = "" if isinstance(value, float) else to_text(value)
    if value is None or (not text and not isinstance(value, float)):
        return 1.0
    try:
        weight = value if isinstance(value, float) else float(text.replace("_", "?"))  # Python's 1_000 is no number
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= _LARGEST_WEIGHT:
        raise ValueProblemError(f"a number of 0 or more is allowed. Received: {_shown(value)}")
    return weight + 0.0  # -0.0 becomes 0.0


def to_text(value: Any) -> str:
    """A value as text, without spaces around it; empty for None and for numbers that are not finite.

    Raises:
      ValueProblemError: see `to_label`.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueProblemError(f"the text is not UTF-8; write it as UTF-8. Received: {_shown(value)}") from None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueProblemError(f"text or a number is allowed. Received: {_shown(value)}")
    text = normalize_class_name(str(value)) if isinstance(value, float) else str(value).strip()
    if "\0" in text or any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
        raise ValueProblemError(f"the text has characters that aren't allowed; remove them. Received: {_shown(text)}")
    return text


def from_float32(number: float) -> float:
    """A 32-bit float as the number that was written: 0.1, not 0.10000000149."""
    return float(str(np.float32(number)))


def means_missing(text: str) -> bool:
    """Whether programs write this text for a missing value."""
    return text == _MISSING_IN_R or text.casefold() in _MISSING_WORDS | _EXCEL_ERRORS or is_not_a_number(text)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
