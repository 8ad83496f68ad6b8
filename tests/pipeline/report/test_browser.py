"""Reports in a real browser, which is headless Chromium."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
import tfx  # noqa: F401  first: it replaces a module that TFDV 1.16 imports, on Python 3.11

# isort: split

from PIL import Image
from reports import Script

from pipeline.report import page

pytestmark = pytest.mark.skipif(browser.program() is None, reason="needs Chromium: apt install chromium")

RUNS = {
    "pushed": {},
    "refused": {"wrong": 0.5, "is_pushed": False},
    "against production": {"with_baseline": True},
    "120 classes": {"classes": [f"class {number}" for number in range(120)], "images": 240, "with_baseline": True},
}


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Page]:
    with browser.opened() as page:
        yield page


@pytest.fixture(scope="module", params=RUNS)
def report(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    file = folder / "report.html"
    file.write_text(page.render(Script(folder, **RUNS[request.param]).run()), encoding="utf-8")
    return file


def test_no_error_and_no_request(tab, report):
    tab.open(report)
    assert tab.errors == []
    assert tab.requests == [report.as_uri()]


@pytest.mark.parametrize("width", [390, 1440])
def test_only_tables_scroll_sideways(tab, report, width):
    tab.open(report, width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_a_table_that_goes_on_at_the_right_has_a_shadow_there(tab, report):
    """Its edge is darker than the page, as long as it is not scrolled to its end."""
    tab.open(report, 390)
    place = """(() => {
      const table = document.querySelector(".scroll");
      if (table.scrollWidth <= table.clientWidth) return null;
      const row = table.querySelector("tbody tr:last-child").getBoundingClientRect();
      return [table.getBoundingClientRect().right - 2, (row.top + row.bottom) / 2 + scrollY];
    })()"""
    x, y = tab.evaluate(place)
    edges = []
    for script in ("0", 'document.querySelector(".scroll").scrollLeft = 10000'):
        tab.evaluate(script)
        shown = Image.open(io.BytesIO(tab.screenshot())).convert("L")
        edges.append(max(shown.getpixel((int(x), int(y) + step)) for step in range(-3, 4)))  # not a line of the table
    assert edges[0] < 220 < edges[1]


def test_every_link_shows_its_place(tab, report):
    tab.open(report)
    hidden = tab.evaluate(
        """(async () => {
          const hidden = [];
          for (const link of document.querySelectorAll('a[href^="#"]')) {
            if (link.closest("details:not([open])")) continue;
            link.click();
            await new Promise((done) => setTimeout(done, 1));
            const target = document.getElementById(link.getAttribute("href").slice(1));
            if (!target || !target.checkVisibility()) hidden.push(link.getAttribute("href"));
          }
          return hidden;
        })()"""
    )
    assert hidden == []


def test_the_sliders_move_the_figures(tab, report):
    tab.open(report)
    for name, first, last in (("threshold", "0", "100"), ("coverage", "0", "100")):
        texts = [
            tab.evaluate(
                f"""(() => {{
                  const form = document.getElementById("{name}");
                  const slider = form.querySelector("input[type=range]");
                  slider.value = "{value}";
                  slider.dispatchEvent(new Event("input", {{ bubbles: true }}));
                  return form.checkVisibility() && form.querySelector("output").textContent;
                }})()"""
            )
            for value in (first, last)
        ]
        assert texts[0] and texts[1] and texts[0] != texts[1]
    assert tab.evaluate("document.querySelectorAll('svg circle.marker').length") == 3
    assert tab.errors == []


@pytest.mark.parametrize("is_dark", [False, True])
def test_texts_have_the_contrast_of_wcag_aa(tab, report, is_dark):
    tab.open(report, is_dark=is_dark)
    assert tab.low_contrasts() == []


def test_without_scripts_everything_but_the_interaction_is_there(tab, report):
    tab.open(report, has_script=False)
    assert len(tab.screenshot()) > 50_000
    tree = tab.call("Accessibility.getFullAXTree")["nodes"]
    headings = {node["name"]["value"] for node in tree if node.get("role", {}).get("value") == "heading"}
    assert {"Verdict", "Confusion matrix", "Worst mistakes", "Training", "Data", "The run"} <= headings
    assert not tab.errors
