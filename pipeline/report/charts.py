"""Charts as SVG inside the page. Matplotlib draws them; their colours are variables of the page's style.

So one drawing is right in light and dark, and text is text: it can be searched, enlarged and read aloud.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from config.data import EVAL, TEST, TRAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

# Colours that only stand for the page's variables, see templates/style.css.
INK, MUTED, LINE, GOOD, BAD, PAGE = (f"#0000{number:02x}" for number in range(1, 7))
SERIES = tuple(f"#0100{number:02x}" for number in range(1, 9))
SPLITS = dict(zip((TRAIN, EVAL, TEST), SERIES, strict=False))  # in every chart
_VARIABLES = {
    **dict(zip((INK, MUTED, LINE, GOOD, BAD, PAGE), ("ink", "muted", "line", "good", "bad", "page"), strict=True)),
    **{colour: f"c{number}" for number, colour in enumerate(SERIES, start=1)},
}
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "path.simplify_threshold": 0.3,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # `$` in the name of a class
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}
_LONGEST_NAME = 24  # characters of a class name in a chart
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Chart:
    """A chart, and the numbers in it.

    Attributes:
      svg: the drawing.
      headings: of the table of its numbers.
      rows: of the table; one value per heading.
      area: the place of the first axes in the drawing, for scripts: x and y of the corner at the lower left, width and
        height, in units of the SVG's viewBox.
      range: the first and the last value of its horizontal axis, and of its vertical one.
    """

    svg: Markup
    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]
    area: tuple[float, float, float, float]
    range: tuple[float, float, float, float]


@contextmanager
def styled() -> Iterator[None]:
    """Charts that are drawn meanwhile have the page's look."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def figure(width: float = 6.0, height: float = 3.6, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure.

    Args:
      width: in inches of 72 units.
      height: the same.
      columns: number of axes beside each other.
    """
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    return made, list(made.subplots(1, columns, squeeze=False)[0])


def whole_numbers() -> Locator:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def finish(made: Figure, alt: str, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> Chart:
    """The chart that was drawn.

    Args:
      made: the figure.
      alt: what it shows, in a sentence, for those who cannot see it.
      headings: of the table of its numbers.
      rows: of the table.
    """
    content = io.BytesIO()
    made.savefig(content, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    width, height = made.get_size_inches() * 72
    first = made.axes[0]
    box = first.get_position()
    area = box.x0 * width, (1 - box.y0) * height, box.width * width, box.height * height
    return Chart(
        _inline(content.getvalue().decode("utf-8"), alt), headings, rows, area, (*first.get_xlim(), *first.get_ylim())
    )


def name(label: str) -> str:
    """The name of a class as a chart can show it: on one line, and not too long."""
    plain = _CONTROL.sub(" ", label)
    return plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME - 1]}…"


def _inline(svg: str, alt: str) -> Markup:
    """The drawing without what belongs to a file of its own, and with the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    svg = re.sub(r"font: (\S+) '?DejaVu Sans'?[^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    head = Markup('<svg role="img" aria-label="{}" ').format(alt)
    return head + Markup(svg.removeprefix("<svg "))  # noqa: S704  Matplotlib escapes the texts in it
