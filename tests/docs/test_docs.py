import re
import runpy
from pathlib import Path

import pytest

from modules import heads
from modules.backbones import BACKBONES

ROOT = Path(__file__).parents[2]
GENERATED = runpy.run_path(str(ROOT / "docs" / "generate.py"))


@pytest.mark.parametrize("page", [page for page in GENERATED["PAGES"] if page != "backbones.md"])
def test_a_generated_page_says_what_the_code_says(page):
    assert (ROOT / "docs" / page).read_text() == GENERATED["PAGES"][page](), "stale: run `make docs`"


def test_the_page_on_backbones_has_a_line_for_each_and_says_what_the_code_says():
    """Each line's figures are checked where the backbone is built anyway, in tests/modules/test_backbones.py."""
    page = (ROOT / "docs" / "backbones.md").read_text()
    lines = [line for line in page.splitlines() if line.split("|")[1:2] and line.split("|")[1].strip() in BACKBONES]
    assert [line.split("|")[1].strip() for line in lines] == list(BACKBONES)
    assert page == GENERATED["backbones_text"](lines), "stale: run `make docs`"


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / page).read_text())
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_the_readme_names_only_targets_that_make_has():
    named = set(
        re.findall(
            r"\bmake ([a-z]+)(?=[`\s])",
            "\n".join(re.findall(r"`[^`]*`|```.*?```", (ROOT / "README.md").read_text(), re.DOTALL)),
        )
    )
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test"} <= named <= targets


def test_the_custom_head_of_the_page_on_heads_works(tmp_path, monkeypatch):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "heads.md").read_text(), re.DOTALL)
    (tmp_path / "heads_of_mine.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    options = heads.HeadOptions(kind="custom", function="heads_of_mine.attention")
    assert heads.build(options, (5, 5, 8), 3, seed=0).output_shape == (None, 3)
