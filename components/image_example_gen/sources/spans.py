"""`{SPAN}` and `{VERSION}` in a path, as TFX's ExampleGen understands them.

Unless a span is asked for, the newest is taken, and of it the newest version:
https://www.tensorflow.org/tfx/guide/examplegen#span. Numbers may have leading zeros. TFX's own code for it imports
TFX, which takes long, and lists files with TensorFlow, which knows no s3://.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass

from components.image_example_gen.sources import files
from modules.errors import BadInputError

SPAN, VERSION = "{SPAN}", "{VERSION}"


@dataclass(frozen=True)
class Resolved:
    """A path without placeholders; the numbers are None where it had none."""

    path: str
    span: int | None = None
    version: int | None = None


def resolve(path: str, span: int | None) -> Resolved:
    """Fills in the newest span and version.

    Args:
      path: may have `{SPAN}` once, and `{VERSION}` once beside it; may begin with `file://`, which goes.
      span: the one that is wanted; None: the newest.

    Raises:
      BadInputError: if no file or folder matches, or the placeholders make no sense.
    """
    path = files.plain(path)
    spans, versions = path.count(SPAN), path.count(VERSION)
    if spans > 1 or versions > 1 or (versions and not spans):
        raise BadInputError(f"data.path: {SPAN} once, and {VERSION} once beside it, are allowed. Received: {path!r}")
    if not spans:
        if span is not None:
            raise BadInputError(f"data.span: needs {SPAN} in data.path. Received: {span}")
        return Resolved(path)
    candidates = [found for found in _matching(path) if span is None or found.span == span]
    if not candidates:
        asked = "" if span is None else f" of span {span}"
        raise BadInputError(f"data.path: nothing{asked} matches {path!r}")
    return max(candidates, key=lambda found: (found.span, -1 if found.version is None else found.version))


def _matching(path: str) -> list[Resolved]:
    """What there is up to the last placeholder's path component; what comes behind it is the same for all."""
    end = max(path.find(SPAN) + len(SPAN), path.find(VERSION) + len(VERSION))
    slash = path.find("/", end)
    head, rest = (path, "") if slash < 0 else (path[:slash], path[slash:])
    pattern = re.escape(head)
    for placeholder, name in ((SPAN, "span"), (VERSION, "version")):
        pattern = pattern.replace(re.escape(placeholder), rf"(?P<{name}>\d+)")
    found = []
    for candidate in _candidates(re.split(r"\{SPAN\}|\{VERSION\}", head), is_folder=bool(rest)):
        if match := re.fullmatch(pattern, candidate):
            numbers = {name: int(digits) for name, digits in match.groupdict().items()}
            found.append(Resolved(candidate + rest, **numbers))
    return found


def _candidates(pieces: list[str], is_folder: bool) -> list[str]:
    """Files and folders whose names are these pieces, with anything between them."""
    if not files.is_remote(pieces[0]):
        return glob.glob("*".join(map(glob.escape, pieces)))
    # An object store has no folders: they show in the names of what lies below them.
    pattern = "*".join(pieces)
    depth = pattern.count("/") + 1
    inside = {"/".join(file.uri.split("/")[:depth]) for file in files.matching(f"{pattern}/**")}
    return sorted(inside | (set() if is_folder else {file.uri for file in files.matching(pattern)}))
