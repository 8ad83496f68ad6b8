"""What a source lists, and what it rejects before any image is read."""

import csv
import json
import os
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.image_example_gen import sources
from components.image_example_gen.sources import filesystem, manifest, names, spans, values
from config.data import IngestionConfig
from config.errors import BadInputError


@pytest.fixture
def tree(tmp_path) -> Path:
    for path in ("red/a.jpg", "red/deep/er/b.jpg", "green light/c.png", "लाल/ड.gif"):
        touch(tmp_path / path)
    return tmp_path


def touch(path: Path, content: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.name if content is None else content)
    return path


def listed(path: Path | str, **config) -> dict[str, str]:
    """Path to label, or to the reason why it is rejected."""
    items = sources.open_source(str(path), IngestionConfig(**config)).items()
    return {item.path: item.rejection.reason if item.rejection else item.label for item in items}


class TestFolders:
    def test_the_top_folder_is_the_class_of_all_files_below_it(self, tree):
        assert listed(tree) == {
            "red/a.jpg": "red",
            "red/deep/er/b.jpg": "red",
            "green light/c.png": "green light",
            "लाल/ड.gif": "लाल",
        }

    def test_files_of_operating_systems_are_not_listed_but_files_without_a_class_are(self, tree):
        for path in (".DS_Store", "red/.hidden.jpg", "red/Thumbs.db", "__MACOSX/red/a.jpg", "red/.cache/x.jpg"):
            touch(tree / path)
        touch(tree / "stray.jpg")
        found = listed(tree)
        assert found.pop("stray.jpg") == "no-label"
        assert len(found) == 4

    def test_a_link_to_a_folder_is_listed_and_not_followed(self, tree):
        (tree / "red/loop").symlink_to(tree, target_is_directory=True)
        found = listed(tree)
        assert found.pop("red/loop") == "unreadable"
        assert len(found) == 4

    def test_a_class_folder_may_be_a_link_only_if_that_is_allowed(self, tree, tmp_path_factory):
        outside = touch(tmp_path_factory.mktemp("outside") / "blue" / "x.jpg").parent
        (tree / "blue").symlink_to(outside, target_is_directory=True)
        with pytest.raises(BadInputError, match=r"contains links: \['blue'\].*data\.outside_files"):
            listed(tree)
        assert listed(tree, outside_files=True)["blue/x.jpg"] == "blue"

    def test_a_link_to_a_file_is_followed_only_within_the_folder(self, tree, tmp_path_factory):
        outside = touch(tmp_path_factory.mktemp("outside") / "secret.jpg")
        (tree / "red/inside.jpg").symlink_to(tree / "red/a.jpg")
        (tree / "red/outside.jpg").symlink_to(outside)
        found = listed(tree)
        assert (found["red/inside.jpg"], found["red/outside.jpg"]) == ("red", "unreadable")
        assert listed(tree, outside_files=True)["red/outside.jpg"] == "red"

    def test_two_unicode_forms_of_a_name_are_one_class(self, tree):
        composed, decomposed = "caf\u00e9", "cafe\u0301"
        touch(tree / composed / "1.jpg")
        touch(tree / decomposed / "2.jpg")
        source = sources.open_source(str(tree), IngestionConfig())
        assert source.classes() == sorted(["red", "green light", "लाल", composed])

    def test_a_class_without_a_folder_is_an_error(self, tree):
        with pytest.raises(BadInputError, match=r"data\.classes: there is no image of \['blue'\]"):
            listed(tree, classes=["red", "green light", "blue"])

    def test_other_folders_are_named_where_a_class_has_no_folder(self, tree):
        with pytest.raises(
            BadInputError, match=r"4 images can't be used: 4 unknown-label, such as .*'green light' is not in"
        ):
            listed(tree, classes=["Red", "Green"])

    @pytest.mark.parametrize("name", ["nan", "NaN", "inf", "-Infinity"])
    def test_a_folder_named_like_a_missing_number_is_an_error(self, tree, name):
        """Programs make such folders of labels that are missing."""
        touch(tree / name / "1.jpg")
        with pytest.raises(BadInputError, match=rf"folder '{name}' .*for a missing number; rename the folder"):
            listed(tree)

    def test_folders_with_one_form_of_a_name_are_one_class(self, tree):
        for name in ("1", "1.0", " red", "001"):
            touch(tree / name / f"{name}.jpg")
        assert {"1", "red", "001"} < set(sources.open_source(str(tree), IngestionConfig()).classes())
        assert not {"1.0", " red"} & set(listed(tree).values())

    def test_a_class_that_is_not_allowed_is_rejected(self, tree):
        found = listed(tree, classes=["red", "green light"])
        assert found["लाल/ड.gif"] == "unknown-label"
        assert found["red/a.jpg"] == "red"

    @pytest.mark.parametrize(
        "name", ["क्\u200dष", "👩\u200d🔬 lab", "a/b".replace("/", "∕"), "two  spaces", "-dash", "ÅÄÖ"]
    )
    def test_class_names_may_contain_any_printable_character(self, tree, name):
        touch(tree / name / "1.jpg")
        assert name in sources.open_source(str(tree), IngestionConfig()).classes()

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda root: root.rmdir(), "one subfolder per class is expected"),
            (lambda root: None, r"needs two or more class folders.*Found: none"),
            (lambda root: touch(root / "only/a.jpg"), r"Found: \['only'\]"),
            (lambda root: (touch(root / "a/x"), touch(root / "b/x"), (root / "c").mkdir()), r"any file: \['c'\]"),
            (lambda root: (touch(root / "a/x"), touch(root / "line\nbreak/x")), r"'line\\nbreak'.*can't be printed"),
            (lambda root: (touch(root / "a/x"), touch(root / os.fsdecode(b"\xff\xfe/x"))), "is not UTF-8"),
        ],
    )
    def test_an_unusable_folder_is_an_error(self, tmp_path, make, message):
        root = tmp_path / "data"
        root.mkdir()
        make(root)
        with pytest.raises(BadInputError, match=message):
            listed(root)

    def test_the_state_changes_with_every_change(self, tree):
        def state() -> str:
            return sources.open_source(str(tree), IngestionConfig()).state()

        states = [state()]
        assert state() == states[0]

        def changed() -> bool:
            states.append(state())
            return states[-1] != states[-2]

        # A corrected label: the file keeps its name, size and time of last change.
        (tree / "red/a.jpg").rename(tree / "green light/a.jpg")
        assert changed()
        new = touch(tree / "red/new.jpg", "new")
        assert changed()
        touch(new, "longer")
        assert changed()
        os.utime(new, ns=(0, 5))
        assert changed()
        (tree / "red/link.jpg").symlink_to(new)
        assert changed()
        os.utime(new, ns=(0, 6))
        assert changed()
        new.unlink()
        assert changed()


TEXT = st.text(string.ascii_letters + 'é"', min_size=1, max_size=8)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "path": TEXT.map(lambda name: f"{name}.jpg"),
            "label": st.sampled_from(["red", "green", "blue, or so"]),
            "split": st.sampled_from(["", "train", "val", "test"]),
            "group": st.one_of(st.just(""), TEXT.filter(lambda text: not values.means_missing(text))),
            "weight": st.one_of(st.just(""), st.floats(0, 100).map(str)),
        }
    ),
    min_size=1,
    max_size=20,
)
TWO_CLASSES = [{"path": "1.jpg", "label": "red"}, {"path": "2.jpg", "label": "green"}]


def write(path: Path, rows: list[dict]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


class TestManifest:
    @settings(deadline=None)
    @given(ROWS)
    def test_csv_and_jsonl_give_the_same_items(self, tmp_path_factory, rows):
        folder = tmp_path_factory.mktemp("manifest")
        rows = [*rows, *TWO_CLASSES]
        found = [
            manifest.ManifestSource(str(write(folder / name, rows)), IngestionConfig(source="manifest")).items()
            for name in ("m.csv", "m.jsonl")
        ]
        assert found[0] == found[1]
        for row, item in zip(rows, found[0], strict=True):
            assert (item.path, item.label, item.group) == (row["path"], row["label"], row.get("group", ""))
            assert item.uri == str(folder / row["path"])
            assert item.weight == float(row.get("weight") or 1)
            assert item.split == {"": "", "val": "eval"}.get(row.get("split", ""), row.get("split", ""))

    def test_a_csv_file_from_excel_is_read(self, tmp_path):
        file = tmp_path / "m.csv"
        file.write_bytes("\ufeffpath,label\r\n1.jpg,red\r\n2.jpg,grün\r\n".encode())
        assert listed(file, source="manifest") == {"1.jpg": "red", "2.jpg": "grün"}

    def test_columns_can_have_other_names(self, tmp_path):
        file = write(tmp_path / "m.jsonl", [{"file": "1.jpg", "y": "red"}, {"file": "2.jpg", "y": 7}])
        found = listed(file, source="manifest", fields={"image": "file", "label": "y"})
        assert found == {"1.jpg": "red", "2.jpg": "7"}

    def test_paths_are_relative_to_the_root_and_stay_below_it(self, tmp_path, monkeypatch):
        monkeypatch.setattr(filesystem, "check_reachable", lambda uri: None)
        rows = [
            *TWO_CLASSES,
            {"path": "../3.jpg", "label": "red"},
            {"path": "/etc/passwd", "label": "red"},
            {"path": "s3://other/4.jpg", "label": "red"},
            {"path": "", "label": "red"},
            {"path": "5.jpg", "label": ""},
            {"path": f"file://{tmp_path}/photos/6%20a.jpg", "label": "red"},
        ]
        file = write(tmp_path / "m.csv", rows)
        root = tmp_path / "photos"
        root.mkdir()
        found = listed(file, source="manifest", root=str(root))
        assert found == {
            "1.jpg": "red",
            "2.jpg": "green",
            "../3.jpg": "unreadable",
            "/etc/passwd": "unreadable",
            "s3://other/4.jpg": "unreadable",
            "m.csv:7": "unreadable",
            "5.jpg": "no-label",
            f"file://{tmp_path}/photos/6%20a.jpg": "red",
        }
        allowed = sources.open_source(
            str(file), IngestionConfig(source="manifest", root=str(root), outside_files=True)
        ).items()
        assert [item.uri for item in allowed[2:5]] == [str(root / "../3.jpg"), "/etc/passwd", "s3://other/4.jpg"]
        remote = sources.open_source(str(file), IngestionConfig(source="manifest", root="s3://other")).items()
        assert [item.uri for item in remote if not item.rejection] == [
            *("s3://other/1.jpg", "s3://other/2.jpg", "s3://other/4.jpg")
        ]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            (
                "m.csv",
                "path,labels\n1.jpg,red",
                r"there is no column 'label' \(label\).*data\.fields\.label.*Found: labels, path",
            ),
            ("m.csv", "path,label\n", "the table has no rows"),
            ("m.csv", "path,label\n1.jpg,red", "two classes or more are needed. Found: .'red'."),
            ("m.csv", "path,label\n1.jpg,red,5", "line 2: the line has more values than the header"),
            ("m.csv", 'path,label\n1.jpg,"red', "line 2: unexpected end of data"),
            ("m.csv", "path,label,weight\n1.jpg,red,1\n2.jpg,green,-1", "line 3: weight: a number of 0 or more"),
            ("m.csv", "path,label,weight\n1.jpg,red,x", "line 2: weight: a number of 0 or more.*'x'"),
            ("m.csv", "path,label,weight\n1.jpg,red,nan", "line 2: weight"),
            (
                "m.csv",
                "path,label,split\n1.jpg,red,holdout",
                "line 2: split: train, eval .*or an empty value.*'holdout'",
            ),
            ("m.csv", "path:label\n1.jpg:red", "columns must be separated by commas"),
            ("m.csv", "path,label,label\n1.jpg,red,green", "line 1: several columns have the same name.*: label"),
            ("m.csv", "path,split,Split ,label\n1.jpg,a,b,red", "'split' and 'Split ' have the same name"),
            (
                "m.csv",
                "path,label\na\0b.jpg,red",
                "line 2: path: the text has characters that aren't allowed.*a.x00b.jpg",
            ),
            ("m.tsv", "path\tlabel", "the name of a manifest must end with .csv, .jsonl"),
            ("m.jsonl", '{"path": "1.jpg", "label": ["red"]}', "line 1: label: text or a number is allowed"),
            ("m.jsonl", '{"path": "1.jpg", "label": true}', "line 1: label: text or a number is allowed"),
            (
                "m.jsonl",
                '{"path": "1.jpg", "label": "red", "group": "\\ud800"}',
                "line 1: group: the text has characters that aren't allowed",
            ),
            ("m.jsonl", '{"path": "1.jpg", "label": ' + "9" * 5000 + "}", "line 1: the line is not valid JSON"),
            ("m.jsonl", "[" * 100_000, "line 1: the line is not valid JSON"),
            ("m.jsonl", '{"path": "1.jpg", "label": "red"}\n{"path"', "line 2: the line is not valid JSON"),
            ("m.jsonl", '["1.jpg", "red"]', "line 1: a JSON object is expected"),
        ],
    )
    def test_a_mistake_in_the_table_is_reported_with_its_line(self, tmp_path, name, content, message):
        with pytest.raises(BadInputError, match=message):
            listed(touch(tmp_path / name, content), source="manifest")

    def test_upper_case_and_spaces_around_a_column_name_do_not_matter(self, tmp_path):
        file = touch(tmp_path / "m.csv", "Path, Label ,SPLIT,Group\n1.jpg,red,test,a\n2.jpg,green,,b")
        items = sources.open_source(str(file), IngestionConfig(source="manifest")).items()
        assert [(item.label, item.split, item.group) for item in items] == [("red", "test", "a"), ("green", "", "b")]

    def test_a_whole_number_and_the_same_float_are_one_class(self, tmp_path):
        rows = [{"path": "1.jpg", "label": 1}, {"path": "2.jpg", "label": 1.0}, {"path": "3.jpg", "label": 2.5}]
        assert set(listed(write(tmp_path / "m.jsonl", rows), source="manifest").values()) == {"1", "2.5"}

    def test_a_missing_root_is_an_error(self, tmp_path):
        file = write(tmp_path / "m.csv", TWO_CLASSES)
        with pytest.raises(BadInputError, match=r"data\.root: a folder is expected"):
            listed(file, source="manifest", root=str(tmp_path / "gone"))

    def test_a_table_that_is_missing_or_not_text_is_an_error(self, tmp_path):
        with pytest.raises(BadInputError, match="a CSV or JSONL file is expected"):
            listed(tmp_path / "gone.csv", source="manifest")
        (tmp_path / "m.csv").write_bytes(b"path,label\n\xff\xfe,red")
        with pytest.raises(BadInputError, match="line 2: byte 0xff after '' is not UTF-8"):
            listed(tmp_path / "m.csv", source="manifest")

    def test_the_state_changes_with_the_table_and_with_the_files(self, tmp_path):
        file = write(tmp_path / "m.csv", TWO_CLASSES)
        image = touch(tmp_path / "1.jpg")
        before = sources.open_source(str(file), IngestionConfig(source="manifest")).state()
        os.utime(image, ns=(0, 5))
        touched = sources.open_source(str(file), IngestionConfig(source="manifest")).state()
        write(file, [*TWO_CLASSES[:1], {"path": "2.jpg", "label": "blue"}])
        labelled = sources.open_source(str(file), IngestionConfig(source="manifest")).state()
        assert len({before, touched, labelled}) == 3


class TestSpans:
    def test_the_newest_span_and_its_newest_version_are_taken(self, tmp_path):
        for path in ("s-1/v-9", "s-02/v-1", "s-02/v-10", "s-02/v-9", "s-x/v-99", "s-3"):
            (tmp_path / path / "red").mkdir(parents=True)
        found = spans.resolve(f"{tmp_path}/s-{{SPAN}}/v-{{VERSION}}", None)
        assert found == spans.ResolvedPath(f"{tmp_path}/s-02/v-10", 2, 10)
        assert spans.resolve(f"{tmp_path}/s-{{SPAN}}/v-{{VERSION}}", 1).path == f"{tmp_path}/s-1/v-9"
        assert spans.resolve(f"{tmp_path}/s-{{SPAN}}", None) == spans.ResolvedPath(f"{tmp_path}/s-3", 3)

    def test_the_path_after_the_span_stays(self, tmp_path):
        for span in ("7", "11"):
            touch(tmp_path / f"day[{span}]" / "m.csv")
        found = spans.resolve(f"{tmp_path}/day[{{SPAN}}]/m.csv", None)
        assert found == spans.ResolvedPath(f"{tmp_path}/day[11]/m.csv", 11)

    @pytest.mark.parametrize(
        ("path", "span", "message"),
        [
            ("x-{SPAN}", None, "no file or folder matches"),
            ("s-{SPAN}", 5, "no file or folder with span 5 matches"),
            ("s-1", 1, r"data\.span: is set, but data\.path has no {SPAN}.*1"),
            ("s-{SPAN}/{SPAN}", None, "{SPAN} is allowed once"),
            ("v-{VERSION}", None, "{SPAN} is allowed once, and with it {VERSION} once"),
        ],
    )
    def test_a_path_without_a_match_and_wrong_placeholders_are_errors(self, tmp_path, path, span, message):
        (tmp_path / "s-1").mkdir()
        with pytest.raises(BadInputError, match=message):
            spans.resolve(f"{tmp_path}/{path}", span)


def test_folders_and_files_that_exist_are_not_taken_for_patterns(tmp_path):
    for name in ("set[1]/a.tfrecord", "set[1]/b?.tfrecord", "set1/c.tfrecord"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")

    def found(pattern: str) -> list[tuple[str, ...]]:
        return [file.parts for file in filesystem.list_matching(f"{tmp_path}/{pattern}").files]

    assert found("set[1]/*.tfrecord") == [("a.tfrecord",), ("b?.tfrecord",)]
    assert found("set[1]/b?.tfrecord") == [("b?.tfrecord",)]
    assert found("set*/a*") == [("set[1]", "a.tfrecord")]
    assert found("set?/*") == [("set1", "c.tfrecord")]
    assert found("none/*") == []


def test_other_names_of_splits_are_known():
    assert [names.standard_split_name(name) for name in ("Train", "validation", "dev", "TEST", "")] == [
        *("train", "eval", "eval", "test", "")
    ]
    assert names.standard_split_name("holdout") is None
