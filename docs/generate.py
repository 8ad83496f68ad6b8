"""Writes the pages that hold tables of what the code defines: `make docs`. A test fails if a page is out of date.

`make docs ARGS=configuration.md` writes one page: the one on backbones takes minutes, because it builds each of them.
"""

from __future__ import annotations

import string
import sys
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from config.backbone import DEFAULT_BACKBONE
from config.backbone_table import BACKBONES, BUNDLED, NONE, BackboneRow
from config.head import OPTIONS, HeadConfig
from config.run import RunConfig
from config.section import Section, section_of
from modules import heads
from modules.backbones import blocks, builders

if typing.TYPE_CHECKING:
    import keras

FOLDER = Path(__file__).parent
SIZE = 160  # of the images for which the page on backbones builds each one
_FEATURES = (5, 5, 1280)  # what EfficientNetLite0 gives at that size


def configuration() -> str:
    """The page on the configuration: every section, and every field."""
    sections = ["\n".join(_section_lines(path, section)) for path, section in _sections("", RunConfig)]
    return _filled("configuration.md", example=_example(), sections="\n".join(sections))


def backbones_page() -> str:
    """The page on the backbones, each of which is built once to measure it."""
    import keras

    lines = []
    for row in BACKBONES.values():
        lines.append(backbone_line(row, builders.build(row.name, SIZE, NONE)))
        keras.backend.clear_session()
    return backbones_text(lines)


def backbone_line(row: BackboneRow, model: keras.Model) -> str:
    """One line of the table; `model` is the backbone, built for images of SIZE."""
    shape = "×".join(map(str, model.output_shape[1:]))
    weights = ", ".join([*row.weights, *(f"`{suffix}` file" for suffix in row.weight_files)])
    preprocessing = row.preprocessing
    if row.bundled_preprocessing:
        preprocessing += f"; {BUNDLED}: {row.bundled_preprocessing}"
    return _row(
        *(row.name, row.image_size, row.min_image_size, f"{model.count_params():,}", shape),
        *(preprocessing, row.interpolation, weights),
    )


def backbones_text(lines: list[str]) -> str:
    """The page around the table's lines."""
    columns = ("name", "native size", "smallest", "parameters", "feature map")
    return _filled(
        "backbones.md", size=SIZE, table=_table((*columns, "preprocessing", "interpolation", "weights"), lines)
    )


def heads_page() -> str:
    """The page on the heads, each of which is built once to count its parameters."""
    lines = []
    for kind, row in heads.HEADS.items():
        options = ", ".join(f"`{option}`" for option in OPTIONS[kind]) or "none"
        lines.append(_row(f"`{kind}`", row.purpose, row.too_much, _parameters(kind), options))
    return _filled(
        "heads.md",
        features="×".join(map(str, _FEATURES)),
        limit=f"{heads.PARAMETERS_PER_IMAGE:,}",
        table=_table(("kind", "what it is for", "when it is too much", "parameters", "its own options"), lines),
    )


PAGES = {"configuration.md": configuration, "backbones.md": backbones_page, "heads.md": heads_page}


def _parameters(kind: str) -> str:
    if kind == "custom":
        return "yours"
    config = HeadConfig.model_validate({"kind": kind})
    features = _FEATURES
    if config.pooled_blocks:
        features = blocks.pooled(builders.build(DEFAULT_BACKBONE, SIZE, NONE), config.pooled_blocks).output_shape[1:]
    model = heads.build(config, features, 3, seed=0)
    return f"{model.count_params():,}"


def _section_lines(path: str, section: type[Section]) -> Iterator[str]:
    yield from ("", f"## {path or 'The file'}", "")
    if path:
        yield from (_text(section.__doc__), "")
    lines = []
    for name, field in section.ordered_fields().items():
        nested = section_of(field.annotation)
        meaning = _text(field.description or (nested.__doc__ if nested else ""))
        if nested:
            nested_path = _join(path, field.alias or name)
            meaning += f" See [{nested_path}](#{nested_path.replace('.', '')})."
        lines.append(_row(f"`{field.alias or name}`", meaning + _values(field.annotation, meaning)))
    yield _table(("field", "meaning"), lines)


def _values(annotation: object, meaning: str) -> str:
    """The values that a field may have, if its meaning does not name them all."""
    parts = [annotation, *typing.get_args(annotation)]
    values = [value for part in parts if typing.get_origin(part) is typing.Literal for value in typing.get_args(part)]
    unnamed = [value for value in values if f"`{value}`" not in meaning]
    return f" One of {', '.join(f'`{value}`' for value in values)}." if unnamed else ""


def _sections(path: str, section: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    yield path, section
    for name, field in section.ordered_fields().items():
        if nested := section_of(field.annotation):
            yield from _sections(_join(path, field.alias or name), nested)


def _example() -> str:
    """A configuration that says every default; it can be loaded."""
    defaults = RunConfig.model_validate({"name": "fruit", "data": {"path": "photos/fruit"}})
    return yaml.safe_dump(_in_order(defaults), sort_keys=False, default_flow_style=None).strip()


def _in_order(section: Section) -> dict[str, Any]:
    """A section as `model_dump` gives it, with its fields in the order for a person."""
    content = section.model_dump(by_alias=True)
    ordered = {}
    for name, field in section.ordered_fields().items():
        value, key = getattr(section, name), field.alias or name
        if key in content:
            ordered[key] = _in_order(value) if isinstance(value, Section) else content[key]
    return ordered


def _filled(template: str, **values: object) -> str:
    text = (FOLDER / "_templates" / template).read_text(encoding="utf-8")
    return string.Template(text).substitute({name: str(value) for name, value in values.items()})


def _table(columns: Iterable[str], lines: list[str]) -> str:
    names = list(columns)
    return "\n".join([_row(*names), "|" + "---|" * len(names), *lines])


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _text(docstring: str | None) -> str:
    return " ".join((docstring or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    if unknown := [page for page in sys.argv[1:] if page not in PAGES]:
        sys.exit(f"generated pages are {', '.join(PAGES)}. Received: {', '.join(unknown)}")
    for page in sys.argv[1:] or PAGES:
        (FOLDER / page).write_text(PAGES[page](), encoding="utf-8")
