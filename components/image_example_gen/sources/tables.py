"""The rows of a table: CSV as Excel, pandas and databases write it, or JSON lines."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from config.errors import BadInputError

Row = tuple[int, Mapping[str, Any]]  # line number from 1, values by column

_SEPARATORS = ",;\t|"
# A first line that tells Excel the separator; Excel itself adds empty cells when it saves the file again.
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?[,;\t|]*\s*', re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")
# UTF-32 comes first: the mark of UTF-16 is the beginning of its mark.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Files of other programs by their first bytes, and what to do with them.
_OTHER_FILES = {
    b"PK\x03\x04": "this is an Excel workbook or another zip file; save the table as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "this is an old Excel workbook; save the table as CSV UTF-8",
    b"\x1f\x8b": "the file is gzipped; unpack it",
    b"PAR1": "this is a Parquet file; write the table as CSV or JSON lines",
}
_OTHER_ENDINGS = {
    (".tsv", ".tab", ".txt"): "; rename a file of values with tabs between them to .csv",
    (".xlsx", ".xls", ".ods"): "; save a spreadsheet as CSV UTF-8",
    (".json",): "; write one JSON object per line into a .jsonl file",
    (".gz", ".zip"): "; unpack it",
}
_CONTEXT = 20  # bytes shown before one that is not UTF-8


def read(path: str, content: bytes, needed: Collection[str]) -> list[Row]:
    """The rows that are not empty; where a line of CSV ends early, its last values are None.

    Args:
      path: of the file; its ending says what it is.
      content: of the file, in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.
      needed: names of columns, by which the separator of a CSV file is found.

    Raises:
      BadInputError: if the file is no such table, with the line.
    """
    reader = next((reader for ending, reader in _READERS.items() if path.lower().endswith(ending)), None)
    if reader is None:
        hint = next((hint for endings, hint in _OTHER_ENDINGS.items() if path.lower().endswith(endings)), "")
        raise BadInputError(
            f"data.path: the name of a manifest must end with {', '.join(_READERS)}{hint}. Received: {path!r}"
        )
    rows = list(reader(path, _decode(path, content), needed))
    if not rows:
        raise BadInputError(f"{path}: the table has no rows; add some")
    return rows


def clean(column: str) -> str:
    """The name of a column, as names are compared: upper case, and spaces around it, do not matter."""
    return column.strip().strip("\ufeff\u200b").strip().casefold()


def _decode(path: str, content: bytes) -> str:
    for start, advice in _OTHER_FILES.items():
        if content.startswith(start):
            raise BadInputError(f"{path}: {advice}")
    encoding = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in content[:4]:
        raise BadInputError(
            f"{path}: line 1: byte {content[:4].index(0) + 1} is 0, so this is not UTF-8; it may be UTF-16 without a "
            "byte order mark; save the file as UTF-8"
        )
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding in ("utf-16", "utf-32"):
            raise BadInputError(
                f"{path}: the file begins as {encoding.upper()}, but byte {error.start + 1} is not ({error.reason}); "
                "save it as UTF-8"
            ) from None
        before = content[: error.start]
        line = len(_LINE_END.findall(before.decode("latin-1"))) + 1
        begin = max(before.rfind(b"\n"), before.rfind(b"\r"), error.start - _CONTEXT - 1) + 1
        shown = before[begin:].decode("utf-8", "replace")
        raise BadInputError(
            f"{path}: line {line}: byte 0x{content[error.start]:02x} after {shown!r} is not UTF-8; save the file as "
            "UTF-8 (in Excel: Save As, CSV UTF-8). In Windows-1252, which Excel's plain CSV often is, the byte is "
            f"{bytes([content[error.start]]).decode('cp1252', 'replace')!r}"
        ) from None


def _read_csv(path: str, text: str, needed: Collection[str]) -> Iterator[Row]:
    separator, has_separator_line = _find_separator(text, needed)
    header: list[str] | None = None
    for line, cells in _csv_cells(path, text, separator):
        if not any(cell.strip() for cell in cells):
            continue
        if has_separator_line:
            has_separator_line = False
            continue
        if header is None:
            header = _without_empty_end(cells)
            _check_header(path, line, header)
            continue
        cells = cells[: len(header)] + _without_empty_end(cells[len(header) :])
        if len(cells) > len(header):
            raise BadInputError(
                f"{path}: line {line}: the line has more values than the header has columns; quote values that "
                f"contain {separator!r}. Received: {cells[len(header)]!r}"
            )
        padded = [*cells, *[None] * (len(header) - len(cells))]
        yield line, {name: cell for name, cell in zip(header, padded, strict=True) if name.strip()}


def _find_separator(text: str, needed: Collection[str]) -> tuple[str, bool]:
    """The separator of a CSV file's values, and whether the first line that is not empty names it."""
    lines = io.StringIO(text, newline="")
    first = next((line for line in lines if line.strip(f'{_SEPARATORS}" \r\n')), "")
    if named := _SEPARATOR_LINE.fullmatch(first):
        return named[1], True
    for separator in _SEPARATORS:
        columns = {clean(cell) for cells in csv.reader([first], delimiter=separator) for cell in cells}
        if {clean(name) for name in needed} <= columns:
            return separator, False
    return ",", False


def _csv_cells(path: str, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line number, the first one of a row with several lines, and the row's cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadInputError(f"{path}: line {line}: {error}; check the quotes in this line") from None
        yield line, cells


def _without_empty_end(cells: list[str]) -> list[str]:
    """Excel writes empty cells after the last column."""
    count = len(cells)
    while count and not cells[count - 1].strip():
        count -= 1
    return cells[:count]


def _check_header(path: str, line: int, header: list[str]) -> None:
    if repeated := sorted({name for name in header if name.strip() and header.count(name) > 1}):
        raise BadInputError(
            f"{path}: line {line}: several columns have the same name; rename them: {', '.join(repeated)}"
        )


def _read_jsonl(path: str, text: str, needed: Collection[str]) -> Iterator[Row]:
    del needed
    for line, content in enumerate(_LINE_END.split(text), start=1):
        if not content.strip():
            continue
        try:
            values = json.loads(content, object_pairs_hook=_without_repeated_keys)
        except _RepeatedKeyError as error:
            raise BadInputError(
                f"{path}: line {line}: the key {error.args[0]!r} is in one object twice; keep one"
            ) from None
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{path}: line {line}: the line is not valid JSON: {error}") from None
        if not isinstance(values, dict):
            raise BadInputError(f"{path}: line {line}: a JSON object is expected. Received: {content[:80]!r}")
        if values:
            yield line, values


class _RepeatedKeyError(Exception):
    """A key that a JSON object has more than once; of its values, Python's reader would use the last."""


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKeyError(key)
        found[key] = value
    return found


_READERS = {".csv": _read_csv, ".jsonl": _read_jsonl, ".ndjson": _read_jsonl}
