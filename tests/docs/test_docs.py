import re
import runpy
from pathlib import Path

import pytest

from config.backbone_table import BACKBONES
from config.head import HeadConfig
from modules import heads

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT)) for folder in (".", "data", "docs", "examples") for path in (ROOT / folder).glob("*.md")
)
GENERATED = runpy.run_path(str(ROOT / "docs" / "generate.py"))


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def sections(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [page for page in GENERATED["PAGES"] if page != "backbones.md"])
def test_a_generated_page_says_what_the_code_says(page):
    assert (ROOT / "docs" / page).read_text() == GENERATED["PAGES"][page](), "stale: run `make docs`"


def test_the_page_on_backbones_has_a_line_for_each_and_says_what_the_code_says():
    """The figures are checked where each backbone is built anyway, in tests/modules/backbones."""
    page = (ROOT / "docs" / "backbones.md").read_text()
    lines = [line for line in page.splitlines() if line.split("|")[1:2] and line.split("|")[1].strip() in BACKBONES]
    assert [line.split("|")[1].strip() for line in lines] == list(BACKBONES)
    assert page == GENERATED["backbones_text"](lines), "stale: run `make docs`"


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_is_there(page):
    broken = []
    for link, section in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", text(page)):
        target = (ROOT / page).parent / link if link else ROOT / page
        if not target.exists() or (section and section not in sections(target)):
            broken.append(f"{link}#{section}")
    assert broken == []


def test_the_readme_is_short():
    assert len(text("README.md").splitlines()) <= 150


def test_every_page_is_in_the_index():
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"^\| \[.*?\]\(([^)]+)\)", text("docs/README.md"), re.MULTILINE)) == pages


def test_the_readme_has_a_table_of_all_pages():
    named = set(re.findall(r"\(docs/([^)#]+)\)", text("README.md")))
    assert named >= {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_every_example_is_in_the_table_of_examples():
    table = re.findall(r"^\| \[.*?\]\(([^)]+)\) \|", text("examples/README.md"), re.MULTILINE)
    assert sorted(table) == sorted(path.name for path in (ROOT / "examples").glob("*.yaml"))


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
    options = HeadConfig(kind="custom", function="heads_of_mine.attention")
    assert heads.build(options, (5, 5, 8), 3, seed=0).output_shape == (None, 3)
