"""The commands of `regraft versions`, without the command line."""

import io
import shutil
from pathlib import Path

import pytest

from components.serving_directory import ServingDirectory, ServingError
from config.errors import BadInputError
from pipeline import versions


def model(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    return folder


@pytest.fixture
def directory(tmp_path) -> ServingDirectory:
    """Versions 1 and 2, which Regraft pushed, and version 7, which another program copied."""
    directory = ServingDirectory(tmp_path / "serving")
    for name in "ab":
        directory.push(model(tmp_path / name, name), {"note": name})
    model(directory.path / "7", "foreign")
    return directory


def output(command, *arguments) -> str:
    terminal = io.StringIO()
    command(*arguments, terminal)
    return terminal.getvalue()


def remarks(directory: ServingDirectory) -> dict[str, str]:
    """Version to the last column of the table."""
    rows = [line.split() for line in output(versions.print_versions, directory).splitlines()]
    return {row[0]: " ".join(row[5:]) for row in rows if row and row[0].isdecimal()}


def test_versions_are_listed_rolled_back_and_promoted(directory):
    path = directory.path
    assert remarks(directory) == {"1": "", "2": "", "7": "current, not pushed by Regraft"}
    assert output(versions.roll_back, directory, 1) == f"version 7 is rolled back; the current version is {path}/8\n"
    assert output(versions.promote, directory, 2, directory) == f"the current version is {path}/9\n"
    listed = remarks(directory)
    assert list(listed) == ["1", "2", "7", "8", "9"]
    assert listed["7"] == "rolled back, not pushed by Regraft"
    assert listed["8"] == "restored when version 7 was rolled back"
    assert listed["9"] == f"current, promoted from {path}/2"


def test_what_was_done_with_a_pushed_version_is_known(directory):
    def since(version: int) -> list[str]:
        return list(versions.since_push(directory, version))

    assert since(1) == since(2) == []
    output(versions.roll_back, directory, 1)
    output(versions.promote, directory, 2, directory)
    assert (since(1), since(2), since(7)) == (["restored as version 8"], ["promoted as version 9"], ["rolled back"])
    output(versions.roll_back, directory, 1)
    assert since(2) == ["promoted as version 9", "rolled back"]
    shutil.rmtree(directory.path / "9")
    assert since(9) == ["rolled back"], "also if push.keep has removed it"


def test_a_padded_version_is_listed_under_its_name(directory):
    (directory.path / "7").rename(directory.path / "00000007")
    assert remarks(directory)["00000007"] == "current, not pushed by Regraft"
    model(directory.path / "7", "another")
    listed = output(versions.print_versions, directory)
    assert listed.endswith(
        f"warning: {directory.path}: TF Serving reads the names '00000007' and '7' as version 7; keep one of them\n"
    )


def test_a_damaged_version_is_marked(directory):
    (directory.path / "2" / "saved_model.pb").write_text("junk")
    (directory.path / "1" / "assets.extra" / "regraft.json").write_text("{")
    listed = remarks(directory)
    assert listed["2"] == "DAMAGED: its files are not the ones that were pushed"
    assert listed["1"] == "DAMAGED: assets.extra/regraft.json is not a JSON object"


def test_a_version_is_promoted_into_another_directory(directory, tmp_path):
    production = ServingDirectory(tmp_path / "production")
    assert output(versions.promote, directory, 2, production) == f"the current version is {production.path}/1\n"
    assert production.fingerprint(1) == directory.fingerprint(2)


def test_a_folder_without_versions_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="gone: "):
        versions.opened(tmp_path / "gone")
    with pytest.raises(BadInputError, match="gs://models/serving: pushed versions are kept in"):
        versions.opened("gs://models/serving")
    with pytest.raises(ServingError):
        versions.print_versions(versions.opened(tmp_path), io.StringIO())
