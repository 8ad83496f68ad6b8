"""Writes the pages that are tables of what the code says: `make docs`. A test fails if one is stale."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pydantic
import yaml

from pipeline.config import Config

FOLDER = Path(__file__).parent


def configuration() -> str:
    """The page on the configuration: every field, in the order of pipeline/config.py."""
    lines = [
        "# Configuration",
        "",
        "One YAML file describes a run. This page is made from `pipeline/config.py` by `make docs`.",
        "",
        "Unknown fields, a field given twice, wrong types and values out of range are refused before any stage starts,",
        "with the field's path, what was given and what is allowed. Relative paths are relative to the file.",
        "",
        "```yaml",
        _example(),
        "```",
    ]
    for path, section in _sections("", Config):
        lines += ["", f"## {path or 'The file'}", ""]
        if path:
            lines += [_text(section.__doc__), ""]
        lines += ["| field | meaning |", "|---|---|"]
        for name, field in section.model_fields.items():
            nested = _section_of(field.annotation)
            meaning = _text(field.description or (nested.__doc__ if nested else ""))
            if nested:
                meaning += f" See [{_join(path, name)}](#{_join(path, name).replace('.', '')})."
            lines.append(f"| `{field.alias or name}` | {meaning} |")
    return "\n".join(lines) + "\n"


PAGES = {"configuration.md": configuration}


def _example() -> str:
    defaults = Config.model_validate({"name": "fruit", "data": {"path": "photos/fruit"}})
    return yaml.safe_dump(defaults.model_dump(by_alias=True), sort_keys=False, default_flow_style=None).strip()


def _sections(path: str, section: type[pydantic.BaseModel]) -> Iterator[tuple[str, type[pydantic.BaseModel]]]:
    yield path, section
    for name, field in section.model_fields.items():
        if nested := _section_of(field.annotation):
            yield from _sections(_join(path, name), nested)


def _section_of(annotation: object) -> type[pydantic.BaseModel] | None:
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, pydantic.BaseModel):
            return option
    return None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _text(docstring: str | None) -> str:
    return " ".join((docstring or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    for page, make in PAGES.items():
        (FOLDER / page).write_text(make(), encoding="utf-8")
