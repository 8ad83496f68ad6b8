"""Names in a push directory that TF Serving reads as versions.

TF Serving takes any name that absl::SimpleAtoi reads as an int64, also that of a file, and of two names for one number
the last one in the order of their bytes (tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc,
PollFileSystemForServable). A version here is a folder whose name has only digits; `problems` names all others.
"""

from __future__ import annotations

import re
from pathlib import Path

HIGHEST = 2**63 - 1

_VERSION = re.compile(r"[0-9]+")  # not str.isdecimal, which takes the digits of every script
_READ_AS_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)[ \t\n\v\f\r]*")


def numbers(directory: Path) -> dict[int, list[str]]:
    """What TF Serving reads as versions, 0 or above: number to names, in the order of their bytes."""
    found: dict[int, list[str]] = {}
    for name in sorted(child.name for child in directory.iterdir()) if directory.is_dir() else ():
        match = _READ_AS_NUMBER.fullmatch(name)
        if match and 0 <= (number := int(match[1])) <= HIGHEST:
            found.setdefault(number, []).append(name)
    return found


def folders(directory: Path) -> dict[int, Path]:
    """Version to folder."""
    return {
        number: directory / name
        for number, names in numbers(directory).items()
        for name in names
        if _VERSION.fullmatch(name) and (directory / name).is_dir()
    }


def problems(directory: Path) -> list[str]:
    """Names for which TF Serving may serve something else than the version that is current here; sentences."""
    versions = folders(directory)
    current, found = max(versions, default=-1), []
    for number, names in sorted(numbers(directory).items()):
        listed = " and ".join(map(repr, names))
        if len(names) > 1:
            found.append(f"{directory}: TF Serving reads the names {listed} as version {number}; keep one of them")
        elif number > current and number not in versions:
            found.append(
                f"{directory}: TF Serving reads the name {listed} as version {number}, but it is not a folder whose "
                "name has only digits; rename or remove it"
            )
    return found
