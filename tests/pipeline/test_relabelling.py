import csv
import hashlib
import io
import shutil
from pathlib import Path

import command_line
import pytest
import yaml
from drawing import colour_tree

from components.image_example_gen import sources
from config import loading
from config.errors import BadInputError
from pipeline import relabelling

HEADER = "file,label,likely_label,score,kind,split,key,decision\n"


@pytest.fixture
def relabel(tmp_path):
    """Writes a configuration and decisions; gives the items of the manifest that is made of them."""
    photos = colour_tree(tmp_path / "photos", 3)

    def run(rows: str, header: str = HEADER, **data):
        section = {"path": str(photos), **data}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({"name": "x", "data": section}))
        (tmp_path / "suspects.csv").write_text(header + rows, encoding="utf-8")
        output = io.StringIO()
        arguments = (str(tmp_path / "suspects.csv"), str(tmp_path / "config.yaml"), str(tmp_path / "labels.csv"))
        assert relabelling.relabel(*arguments, output) == 0
        return output.getvalue()

    return run


def row(file: str, label: str, decision: str, key: str = "") -> str:
    return f"{file},{label},x,0.9,likely wrong,test,{key},{decision}\n"


def items(manifest: Path, root: Path) -> dict[str, str]:
    """What a run would read: path to label."""
    config = {"name": "x", "data": {"source": "manifest", "path": str(manifest), "root": str(root)}}
    (manifest.parent / "next.yaml").write_text(yaml.safe_dump(config))
    data = loading.load(str(manifest.parent / "next.yaml")).data
    listed = sources.open_source(data.path, data.ingestion).items()
    assert all(Path(item.uri).is_file() for item in listed)
    return {item.path: item.label for item in listed}


def test_decisions_are_in_a_manifest_that_a_run_reads_and_images_stay_as_they_are(relabel, tmp_path):
    before = {path: path.read_bytes() for path in (tmp_path / "photos").rglob("*.png")}
    decisions = [("cyan/0.png", "cyan", " magenta "), ("yellow/1.png", "yellow", "-"), ("cyan/1.png", "cyan", "")]
    said = relabel("".join(row(*one) for one in decisions))
    found = items(tmp_path / "labels.csv", tmp_path / "photos")
    assert found.pop("cyan/0.png") == "magenta"
    assert len(found) == 7 and "yellow/1.png" not in found
    assert all(label == path.partition("/")[0] for path, label in found.items())
    assert "labels.csv: 8 images, 1 of them with another label; 1 left out" in said
    assert "source: manifest, path: labels.csv, root: photos" in said
    assert before == {path: path.read_bytes() for path in (tmp_path / "photos").rglob("*.png")}


def test_a_manifest_keeps_its_columns(relabel, tmp_path):
    names = [f"cyan/{index}.png,cyan,test,scene {index},0.5,north,{index}" for index in range(3)]
    names += [f"yellow/{index}.png,yellow,train,,1,,{index}" for index in range(3)]
    (tmp_path / "table.csv").write_text("\n".join(["path,colour,split,group,weight,Farm,note", *names]))
    data = {"source": "manifest", "path": str(tmp_path / "table.csv"), "root": str(tmp_path / "photos")}
    relabel(row("cyan/0.png", "cyan", "yellow"), **data, fields={"label": "colour"}, slice_columns=["farm", "group"])
    rows = list(csv.DictReader((tmp_path / "labels.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == {
        **{"path": "cyan/0.png", "colour": "yellow", "split": "test", "group": "scene 0", "weight": "0.5"},
        "farm": "north",
    }
    assert len(rows) == 6 and rows[-1]["weight"] == "1.0" and rows[-1]["group"] == rows[-1]["farm"] == ""


def test_a_spreadsheet_may_have_saved_the_table_again(relabel, tmp_path):
    table = (HEADER + row("cyan/0.png", "cyan", "yellow")).replace(",", ";")
    relabel("", header="\ufeff" + table)
    assert items(tmp_path / "labels.csv", tmp_path / "photos")["cyan/0.png"] == "yellow"


REFUSED = {
    "a misspelt class": (row("cyan/0.png", "cyan", "yelow"), "line 2: decision: .* did you mean 'yellow'"),
    "an image that is not there": (row("cyan/9.png", "cyan", "yellow"), "line 2: cyan/9.png: is not among the images"),
    "a label that has changed": (row("cyan/0.png", "yellow", "magenta"), "has the label 'cyan' now"),
    "no decision": (row("cyan/0.png", "cyan", ""), "decision: changes no label"),
    "two decisions": (
        row("cyan/0.png", "cyan", "yellow") + row("cyan/1.png", "cyan", "") + row("cyan/0.png", "cyan", "-"),
        "lines 2 and 4: cyan/0.png has two decisions, 'yellow' and '-'; keep one",
    ),
    "a file that has changed": (
        row("cyan/1.png", "cyan", "yellow") + row("cyan/0.png", "cyan", "yellow", "0" * 64),
        "line 3: cyan/0.png: the file is another one now",
    ),
    "only the label that it has": (row("cyan/0.png", "cyan", "cyan"), "decision: changes no label"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_decision_that_cannot_be_followed_is_refused(fault, relabel, tmp_path):
    rows, message = REFUSED[fault]
    with pytest.raises(BadInputError, match=message):
        relabel(rows)
    assert not (tmp_path / "labels.csv").exists()


def test_a_decision_is_about_identical_copies_too(relabel, tmp_path):
    photos = tmp_path / "photos"
    for copy in ("cyan/copy.png", "cyan/another copy.png"):
        shutil.copyfile(photos / "cyan/0.png", photos / copy)
    shutil.copyfile(photos / "yellow/0.png", photos / "yellow/copy.png")
    key = hashlib.sha256((photos / "cyan/0.png").read_bytes()).hexdigest()
    said = relabel(row("cyan/0.png", "cyan", "yellow", key) + row("yellow/copy.png", "yellow", "-"))
    found = items(tmp_path / "labels.csv", photos)
    assert {found[f"cyan/{name}.png"] for name in ("0", "copy", "another copy")} == {"yellow"}
    assert not {"yellow/0.png", "yellow/copy.png"} & set(found)
    assert "labels.csv: 10 images, 3 of them with another label; 2 left out" in said
    assert "these numbers include 3 identical copies" in said


def test_decisions_about_identical_copies_must_agree(relabel, tmp_path):
    shutil.copyfile(tmp_path / "photos/cyan/0.png", tmp_path / "photos/cyan/copy.png")
    rows = row("cyan/0.png", "cyan", "yellow") + row("cyan/copy.png", "cyan", "cyan")
    with pytest.raises(BadInputError, match=r"lines 2 and 3: cyan/copy.png, which is identical to cyan/0.png, has two"):
        relabel(rows)


def test_rows_that_are_too_short_to_have_a_decision_are_named(relabel):
    said = relabel("cyan/1.png,cyan,yellow\n" + row("cyan/0.png", "cyan", "yellow"))
    assert "suspects.csv: line 2: ends before the column decision, which counts as no decision" in said


def test_paths_are_relative_to_the_current_folder(relabel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert relabel(row("cyan/0.png", "cyan", "yellow")).startswith("labels.csv: ")
    with pytest.raises(BadInputError, match=r"^--output: labels.csv: exists already"):
        relabel("")
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(BadInputError, match=r"^suspects.csv: line 2: "):
        relabel(row("cyan/9.png", "cyan", "yellow"))


def test_a_table_of_something_else_is_refused(relabel):
    with pytest.raises(BadInputError, match="column 'decision'"):
        relabel("cyan/0.png,cyan\n", header="file,label\n")


def test_an_existing_file_is_not_overwritten(relabel, tmp_path):
    (tmp_path / "labels.csv").write_text("mine")
    with pytest.raises(BadInputError, match="exists already"):
        relabel(row("cyan/0.png", "cyan", "yellow"))
    assert (tmp_path / "labels.csv").read_text() == "mine"


def test_a_manifest_that_cannot_be_written_is_refused_before_the_images_are_read():
    with pytest.raises(BadInputError, match=r"^--output: /proc/x: the folder cannot be made"):
        relabelling.relabel("nowhere.csv", "nowhere.yaml", "/proc/x/labels.csv", io.StringIO())


def test_a_name_that_no_manifest_can_hold_is_refused(relabel, tmp_path):
    (tmp_path / "photos/cyan/0.png").rename(tmp_path / "photos/cyan" / "\udcff.png")
    with pytest.raises(BadInputError, match="the name is not UTF-8"):
        relabel(row("cyan/1.png", "cyan", "yellow"))


def test_the_command_needs_no_tensorflow(tmp_path):
    photos = colour_tree(tmp_path / "photos", 2)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"name": "x", "data": {"path": str(photos)}}))
    (tmp_path / "suspects.csv").write_text(HEADER + row("cyan/0.png", "cyan", "yellow"))
    files = (str(tmp_path / name) for name in ("suspects.csv", "config.yaml", "labels.csv"))
    suspects, config, labels = files
    done, imported = command_line.imports("relabel", suspects, "--config", config, "--output", labels)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "labels.csv").is_file()
    assert not imported & {"tfx", "tensorflow"}
