"""`{SPAN}` and `{VERSION}` in a path, with the meaning that TFX's ExampleGen gives them.

The newest span is used unless the configuration names one, and the newest version of that span:
https://www.tensorflow.org/tfx/guide/examplegen#span. Numbers may have leading zeros. TFX's own code is not used,
because it imports all of TFX, which is slow, and lists files with TensorFlow, which does not know s3://.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass

from components.image_example_gen.sources import filesystem
from config.errors import BadInputError
from config.section import is_uri

SPAN, VERSION = "{SPAN}", "{VERSION}"


@dataclass(frozen=True)
class ResolvedPath:
    """A path without placeholders; the numbers are None if it had none."""

    path: str
    span: int | None = None
    version: int | None = None


def resolve(path: str, span: int | None) -> ResolvedPath:
    """Fills in the newest span and version.

    Args:
      path: may contain `{SPAN}` once, and with it `{VERSION}` once; may start with `file://`, which is removed.
      span: the one to use; None: the newest.

    Raises:
      BadInputError: if no file or folder matches, or the placeholders are wrong.
    """
    path = filesystem.remove_file_scheme(path)
    spans, versions = path.count(SPAN), path.count(VERSION)
    if spans > 1 or versions > 1 or (versions and not spans):
        raise BadInputError(
            f"data.path: {SPAN} is allowed once, and with it {VERSION} once; change the path. Received: {path!r}"
        )
    if not spans:
        if span is not None:
            raise BadInputError(f"data.span: is set, but data.path has no {SPAN}; add it, or remove data.span: {span}")
        return ResolvedPath(path)
    candidates = [match for match in _find_matches(path) if span is None or match.span == span]
    if not candidates:
        wanted = "" if span is None else f" with span {span}"
        raise BadInputError(f"data.path: no file or folder{wanted} matches {path!r}; check the path")
    return max(candidates, key=lambda match: (match.span, -1 if match.version is None else match.version))


def _find_matches(path: str) -> list[ResolvedPath]:
    """All matches of the path up to the component with the last placeholder; the rest of the path is appended."""
    end = max(path.find(SPAN) + len(SPAN), path.find(VERSION) + len(VERSION))
    slash = path.find("/", end)
    head, rest = (path, "") if slash < 0 else (path[:slash], path[slash:])
    pattern = re.escape(head)
    for placeholder, name in ((SPAN, "span"), (VERSION, "version")):
        pattern = pattern.replace(re.escape(placeholder), rf"(?P<{name}>\d+)")
    matches = []
    for candidate in _list_candidates(re.split(r"\{SPAN\}|\{VERSION\}", head), is_folder=bool(rest)):
        if match := re.fullmatch(pattern, candidate):
            numbers = {name: int(digits) for name, digits in match.groupdict().items()}
            matches.append(ResolvedPath(candidate + rest, **numbers))
    return matches


def _list_candidates(pieces: list[str], is_folder: bool) -> list[str]:
    """Files and folders whose names consist of these pieces, with any text between them."""
    if not is_uri(pieces[0]):
        return glob.glob("*".join(map(glob.escape, pieces)))
    # An object store has no folders; they are part of the names of the objects below them.
    pattern = "*".join(pieces)
    depth = pattern.count("/") + 1
    inside = {"/".join(file.uri.split("/")[:depth]) for file in filesystem.list_matching(f"{pattern}/**").files}
    return sorted(inside | (set() if is_folder else {file.uri for file in filesystem.list_matching(pattern).files}))
