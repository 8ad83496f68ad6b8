"""Tables as programs write them, and what is said of those that cannot be read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.image_example_gen import sources
from components.image_example_gen.sources import item_checks, tables
from config.data import IngestionConfig
from config.errors import BadInputError

TWO = {"1.jpg": "red", "2.jpg": "grün"}


def labels(file: Path, content: str | bytes, **config: object) -> dict[str, str]:
    """Path to label, or to the detail of the rejection."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    items = sources.open_source(str(file), IngestionConfig(source="manifest", **config)).items()
    return {item.path: item.rejection.detail if item.rejection else item.label for item in items}


@pytest.mark.parametrize(
    "content",
    [
        "path,label\r\n1.jpg,red\r\n2.jpg,grün\r\n",
        "path,label\r1.jpg,red\r2.jpg,grün",
        "\ufeffpath,label\n1.jpg,red\n2.jpg,grün",
        "path,label,,\n1.jpg,red,,\n2.jpg,grün,,\n",  # empty columns
        "path,label\n1.jpg,red,,,\n2.jpg,grün\n",
        ",,\n,path,label\n0,1.jpg,red\n1,2.jpg,grün\n",  # an index without a name, as pandas writes it
        ",path,,label,\n,1.jpg,,red,\n,2.jpg,,grün,\n",
        "\n\npath,label\n\n1.jpg,red\n,\n  , \n2.jpg,grün\n,,,,\n\n",  # empty rows
        "sep=,\npath,label\n1.jpg,red\n2.jpg,grün\n",
        "\ufeffsep=;\r\npath;label\r\n1.jpg;red\r\n2.jpg;grün\r\n",
        'SEP=;\npath;label\n"1.jpg";"red"\n2.jpg;grün\n',
        "sep=\t\npath\tlabel\n1.jpg\tred\n2.jpg\tgrün\n",
        '"sep=,"\npath,label\n1.jpg,red\n2.jpg,grün\n',
        "sep=,,\npath,label,\n1.jpg,red,\n2.jpg,grün,\n",
        "path;label\n1.jpg;red\n2.jpg;grün\n",
        "path\tlabel\n1.jpg\tred\n2.jpg\tgrün\n",
        "path|label\n1.jpg|red\n2.jpg|grün\n",
        "path;label;a, b\n1.jpg;red;\n2.jpg;grün;x, y\n",
        ' Path , "LABEL"\n1.jpg,red\n2.jpg,grün\n'.replace(', "LABEL"', ',"LABEL"'),
        '"path","label"\n" 1.jpg "," red"\n"2.jpg","grün"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_table_from_excel_pandas_or_a_database_is_read(tmp_path, content, encoding):
    encoded = content.removeprefix("\ufeff").encode("utf-16") if encoding == "utf-16" else content.encode()
    assert labels(tmp_path / "m.csv", encoded) == TWO


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_json_lines_in_any_encoding_with_a_mark_are_read(tmp_path, encoding, end):
    lines = [json.dumps({"path": path, "label": label}, ensure_ascii=False) for path, label in TWO.items()]
    assert labels(tmp_path / "m.jsonl", end.join(lines).encode(encoding)) == TWO


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=5)


@settings(deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.sampled_from(",;\t|"), st.booleans())
def test_what_a_csv_writer_wrote_is_read(rows, separator, is_named):
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([("path", "label"), *rows])
    text = (f"sep={separator}\n" if is_named else "") + out.getvalue()
    expected = [row for row in rows if any(cell.strip() for cell in row)]
    if not expected:
        with pytest.raises(BadInputError, match="the table has no rows"):
            tables.read("m.csv", text.encode(), ["path", "label"])
        return
    found = tables.read("m.csv", text.encode(), ["path", "label"])
    assert [(values["path"], values["label"]) for _, values in found] == expected


def test_line_numbers_are_those_of_an_editor(tmp_path):
    text = 'sep=,\n\npath,label\n1.jpg,"a\nb"\n\n2.jpg,x\n'
    assert [line for line, _ in tables.read("m.csv", text.encode(), ["path", "label"])] == [4, 7]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "path,label\n1.jpg,red\n2.jpg,grün\n".encode("cp1252"),
            r"m\.csv: line 3: byte 0xfc after '2\.jpg,gr' is not UTF-8; save the file as UTF-8 \(in Excel.*'ü'",
        ),
        ("path,label\r1.jpg,grün".encode("cp1252"), "line 2: byte 0xfc"),
        ("path,label\n1.jpg,red".encode("utf-16-le"), "line 1: byte 2 is 0.*UTF-16 without a byte order mark"),
        ("path,label\n1.jpg,red".encode("utf-16")[:-1], r"begins as UTF-16, but byte \d+ is not"),
        ("path,label,\n1.jpg,red,x\n", r"line 2: the line has more values than the header has columns.*Received: 'x'"),
        ("path,label\n1.jpg,red, or blue\n", r"line 2: the line has more values.*quote values that contain ','"),
        ('path,label\n1.jpg,red\n2.jpg,"blue\n3.jpg,red\n', "line 3: unexpected end of data; check the quotes"),
        ('path,label\n1.jpg,"red"x\n', "line 2: .*expected after.*check the quotes"),
        ("name,class\n1.jpg,red\n", r"there is no column 'path' \(image\).*Found: class, name"),
        ("path,label,path\n1.jpg,red,2.jpg\n", "line 1: several columns have the same name; rename them: path"),
        ("path,label,,\n,,,\n", "the table has no rows"),
        ("", "the table has no rows"),
        (b"PK\x03\x04\x14\0\x06\0", "this is an Excel workbook or another zip file; save the table as CSV UTF-8"),
        (b"\x1f\x8b\x08\0", "the file is gzipped; unpack it"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path, content, message):
    with pytest.raises(BadInputError, match=message):
        labels(tmp_path / "m.csv", content)


ELSEWHERE = "the file is outside {root}; data.root or data.outside_files can allow it"
WEB = "web addresses are not read; download the images, or copy them to a bucket"
WINDOWS = "this is a path on a Windows computer; copy the images to this machine"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/mnt/photos/{}.jpg", ELSEWHERE),
        ("../{}.jpg", ELSEWHERE),
        ("gs://other/{}.jpg", ELSEWHERE),
        ("https://example.org/{}.jpg", WEB),
        ("HTTP://example.org/{}.jpg", WEB),
        ("ftp://example.org/{}.jpg", WEB),
        (r"C:\photos\{}.jpg", WINDOWS),
        ("d:/photos/{}.jpg", WINDOWS),
        (r"\\server\share\{}.jpg", WINDOWS),
        ("file:///C:/photos/{}.jpg", WINDOWS),
    ],
)
@pytest.mark.parametrize("classes", [None, ["red", "blue"]])
def test_paths_that_cannot_be_read_are_the_reason_that_is_given(tmp_path, path, detail, classes):
    """Not: two classes are needed, none was found."""
    rows = "".join(f"{path.format(i)},{'red' if i % 2 else 'blue'}\n" for i in range(4))
    with pytest.raises(BadInputError) as caught:
        labels(tmp_path / "m.csv", f"path,label\n{rows}", classes=classes)
    told = str(caught.value)
    assert f"4 images can't be used: 4 unreadable, such as {path.format(0)} (line 2)" in told
    assert detail.format(root=tmp_path) in told
    assert told.index(detail.format(root=tmp_path)) < told.index("Found: none")
    assert len(caught.value.rows) == 4


def test_web_addresses_are_no_files_even_where_files_may_be_outside(tmp_path):
    rows = "path,label\na.jpg,red\nb.jpg,blue\nhttps://x.org/c.jpg,red\n"
    assert labels(tmp_path / "m.csv", rows, outside_files=True)["https://x.org/c.jpg"].startswith(WEB)


def test_backslashes_between_folders_are_read_unless_they_are_part_of_a_name(tmp_path):
    (tmp_path / "red").mkdir()
    for name in ("red/1.jpg", r"blue\2.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "m.csv").write_text("path,label\nred\\1.jpg,red\nblue\\2.jpg,blue\n")
    items = sources.open_source(str(tmp_path / "m.csv"), IngestionConfig(source="manifest")).items()
    assert [item.uri for item in items] == [str(tmp_path / "red/1.jpg"), str(tmp_path / r"blue\2.jpg")]


def check(folder: Path, rows: list[str], **config: object) -> None:
    (folder / "m.csv").write_text("path,label\n" + "\n".join(rows))
    settings = IngestionConfig(source="manifest", **config)
    item_checks.check(sources.open_source(str(folder / "m.csv"), settings).items(), settings.max_bad_fraction)


def test_a_table_of_files_that_do_not_exist_is_refused_early(tmp_path):
    with pytest.raises(
        BadInputError,
        match=r"none of the 2 files that were looked for exists.*data\.root.*1\.jpg \(line 2\) was looked for at '/",
    ):
        check(tmp_path, ["1.jpg,red", "2.jpg,blue"])
    (tmp_path / "2.jpg").touch()
    check(tmp_path, ["1.jpg,red", "2.jpg,blue"])


def test_a_table_whose_first_files_are_missing_is_not(tmp_path):
    """They may be fewer than data.max_bad_fraction allows."""
    (tmp_path / "there.jpg").touch()
    check(tmp_path, [f"{i}.jpg,red" for i in range(300)] + ["there.jpg,blue"] * 9700)


def test_a_table_of_which_too_much_is_rejected_is_refused_early(tmp_path):
    (tmp_path / "1.jpg").touch()
    rows = ["1.jpg,red", "2.jpg,blue", "3.jpg,", "4.jpg,nan"]
    with pytest.raises(
        BadInputError, match=r"2 of 4 files can't be used, more than data\.max_bad_fraction 0\.05.*3\.jpg \(line 4\)"
    ) as caught:
        check(tmp_path, rows)
    assert [row["path"] for row in caught.value.rows] == ["3.jpg (line 4)", "4.jpg (line 5)"]
    check(tmp_path, rows, max_bad_fraction=0.5)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("m.tsv", "rename a file of values with tabs"),
        ("m.XLSX", "as CSV UTF-8"),
        ("m.json", "one JSON object per line"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_to_do(tmp_path, name, hint):
    with pytest.raises(BadInputError, match=rf"must end with \.csv, \.jsonl, \.ndjson; .*{hint}.*Received: '.*{name}'"):
        labels(tmp_path / name, "path,label\n1.jpg,red\n")


@pytest.mark.parametrize(
    "line",
    ['{"path": "2.jpg", "label": "a", "label": "b"}', '{"path": "2.jpg", "label": "a", "x": {"label": 1, "label": 1}}'],
)
def test_a_key_that_an_object_has_twice_is_refused_with_its_line(tmp_path, line):
    with pytest.raises(BadInputError, match=r"m\.jsonl: line 2: the key 'label' is in one object twice"):
        labels(tmp_path / "m.jsonl", f'{{"path": "1.jpg", "label": "red"}}\n{line}\n')
