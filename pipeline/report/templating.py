"""Renders the templates in `templates/`: the report of a run, and the history of all runs.

Every value is escaped unless it is `Markup`, so names of files and classes cannot become code. The page's own policy
allows its one script by its hash, and no request.
"""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import importlib.metadata
import math
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from modules.files import printable

_FOLDER = Path(__file__).parent / "templates"
_NONE = "–"  # for a figure that does not exist


def render(template: str, **context: Any) -> str:
    """A page as one file, which needs nothing else.

    Args:
      template: a file in `templates/` that extends `base.html.j2`.
      **context: its variables.
    """
    style, script = (Markup((_FOLDER / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js"))  # noqa: S704  files of this package
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    version = importlib.metadata.version("regraft")
    own = {"style": style, "script": script, "script_hash": f"sha256-{digest}", "regraft_version": version}
    return printable(_environment().get_template(template).render(**context, **own))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        counted=counted, moment=moment, path=path, percent=percent, points=points, figure=figure, seconds=seconds
    )
    return environment


def percent(value: float | None, digits: int = 1) -> str:
    """A share, 0 to 1, as a percentage."""
    return _NONE if value is None or math.isnan(value) else f"{100 * value:.{digits}f}\u202f%"


def points(value: float | None, digits: int = 1) -> str:
    """A difference of two shares, with its sign, in percentage points."""
    return _NONE if value is None or math.isnan(value) else f"{100 * value:+.{digits}f}\u202fpoints".replace("-", "−")


def figure(value: float | None, digits: int = 4) -> str:
    """A number with so many significant digits, and without an exponent unless it is very small or large."""
    if value is None or math.isnan(value):
        return _NONE
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-7 <= abs(value) < 1e15:
        text = np.format_float_positional(float(text), trim="-")
    return text.replace("-", "−")


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:.1f}\u202fs" if value < 60 else f"{int(value // 60)}\u202fmin {value % 60:.0f}\u202fs"


def moment(value: datetime.datetime | str) -> str:
    """A point in time in UTC, to the second: `2026-11-27 14:41:20`.

    Args:
      value: in UTC, or with another zone; a text as of ISO 8601. Other texts are shown as they are.
    """
    try:
        found = datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return str(value)
    return f"{found.astimezone(datetime.UTC) if found.tzinfo else found:%Y-%m-%d %H:%M:%S}"


def counted(number: int, noun: str) -> str:
    """A number and what is counted: `1 image`, `2 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def path(name: str | bytes) -> str:
    """A file's name, which can have bytes that are not UTF-8."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
