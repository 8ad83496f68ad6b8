"""Warnings about class names that a person takes for one another, or for a missing label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from components.image_example_gen.sources import values
from config.errors import listed

_SHOWN = 3  # groups of names in a warning

# Characters that show nothing, or an empty space, although Unicode does not call them format characters or spaces:
# https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt, Default_Ignorable_Code_Point; and U+2800.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(c) for c in range(0xFE00, 0xFE10)}
_SEPARATORS = ("Zs", "Pd", "Pc")  # spaces, hyphens, underscores
# Lower-case letters of Greek and Cyrillic that look like Latin ones: https://www.unicode.org/Public/security/latest/.
_LOOK_ALIKE = str.maketrans("аеорсухіјѕһԁԛԝνοαι", "aeopcyxijshdqwvoai")
_INTEGER = re.compile(r"[-+]?0*(\d+)(?:\.0*)?")


def warnings(names: Sequence[str], folders: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """Sentences about names that may be mistakes.

    Args:
      names: of all classes.
      folders: class name to the names of its folders, where they are several.
    """
    found = []
    if similar := list(_similar(names)):
        pairs = listed((" and ".join(_spelled(group)) for group in similar), _SHOWN)
        found.append(f"classes with nearly the same name: {pairs}; if they are one class, give their images one label")
    for name, spellings in (folders or {}).items():
        found.append(f"the folders {' and '.join(_spelled(spellings))} are one class, {name!r}")
    if missing := [name for name in names if values.means_missing(name)]:
        found.append(
            f"a class is named like a missing label: {listed(map(repr, missing))}; if its images have no label, leave "
            "their label empty"
        )
    return found


def _similar(names: Sequence[str]) -> Iterator[list[str]]:
    """Groups of names that differ only by case, spaces, invisible characters or look-alike letters."""
    by_key: dict[str, list[str]] = {}
    for name in sorted(names):
        by_key.setdefault(_key(name), []).append(name)
    return (group for group in by_key.values() if len(group) > 1)


def _key(name: str) -> str:
    if number := _INTEGER.fullmatch(name):
        return number[1].lstrip("0") or "0"
    visible = _visible(unicodedata.normalize("NFKC", name).casefold())
    key = "".join(letter for letter in visible if unicodedata.category(letter) not in _SEPARATORS)
    return unicodedata.normalize("NFC", key.translate(_LOOK_ALIKE)) or name


def _visible(text: str) -> str:
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf" and letter not in _INVISIBLE)


def _spelled(names: Iterable[str]) -> list[str]:
    """The names in quotes, with escapes where two would look the same."""
    shown = [repr(name) for name in names]  # escapes format characters and special spaces
    looks = {_visible(unicodedata.normalize("NFKC", name)).translate(_LOOK_ALIKE) for name in shown}
    return shown if len(looks) == len(shown) else [ascii(name) for name in names]
