"""Markdown from a Jinja2 template: names from data are shown as they are, and cannot become markup."""

from __future__ import annotations

import functools
import html
import math
import re
import unicodedata
from pathlib import Path
from typing import Any

import jinja2

from modules.files import printable

_FOLDER = Path(__file__).parent
_NONE = "–"  # for a figure that does not exist
_MARKUP = re.compile(r"([\\`*_\[\]|~#])")  # CommonMark and the tables of GitHub; `html.escape` sees to < > &
_LEFT_TO_RIGHT = {"L", "EN", "ES", "ET", "CS", "NSM", "B", "S", "WS", "ON", "BN"}  # classes of Unicode Annex 9
_ISOLATE, _END = "\u2068", "\u2069"  # text between them does not turn what is around it


def render(template: str, **context: Any) -> str:
    """The text of a template beside this file.

    Args:
      template: its name.
      **context: its variables. Bytes of a path that are not UTF-8 (surrogate escapes) become `�`.
    """
    return printable(_environment().get_template(template).render(**context))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(  # noqa: S701  Markdown, not HTML: the filter `text` escapes both
        loader=jinja2.FileSystemLoader(_FOLDER),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(text=text, code=code, percent=percent, points=points, number=number)
    return environment


def text(value: object) -> str:
    """A text on one line, in which nothing is markup, and which does not turn the direction of the text around it."""
    line = " ".join(str(value).split())
    turns = any(unicodedata.bidirectional(character) not in _LEFT_TO_RIGHT for character in line)
    escaped = _MARKUP.sub(r"\\\1", html.escape(line, quote=False))
    return f"{_ISOLATE}{escaped}{_END}" if turns else escaped


def code(value: object) -> str:
    """The same, between backticks."""
    return f"`{' '.join(str(value).replace('`', ' ').split())}`"


def percent(value: float | None) -> str:
    """A share, 0 to 1."""
    return _NONE if value is None or math.isnan(value) else f"{value:.2%}".replace("%", " %")


def points(value: float) -> str:
    """A difference of two shares, in percentage points."""
    return f"{100 * value:+.2f} points"


def number(value: float | None) -> str:
    """Four digits of a number."""
    return _NONE if value is None else f"{value:.4g}"
