import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.image_example_gen import listing, splitting
from modules.errors import BadInputError


@pytest.fixture
def tree(tmp_path) -> Path:
    for path in ("red/a.jpg", "red/deep/er/b.jpg", "green light/c.png", "लाल/ड.gif"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(path.encode())
    return tmp_path


def test_the_top_folder_is_the_class_however_deep_the_file_lies(tree):
    found = {file.path: file.label for file in listing.list_files(str(tree))}
    assert found == {
        "red/a.jpg": "red",
        "red/deep/er/b.jpg": "red",
        "green light/c.png": "green light",
        "लाल/ड.gif": "लाल",
    }


def test_clutter_is_left_out_and_files_without_a_class_are_not(tree):
    for path in (".DS_Store", "red/.hidden.jpg", "red/Thumbs.db", "__MACOSX/red/a.jpg", "red/.cache/x.jpg"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).touch()
    (tree / "stray.jpg").touch()
    labels = {file.path: file.label for file in listing.list_files(str(tree))}
    assert labels.pop("stray.jpg") == ""
    assert len(labels) == 4


def test_a_link_to_a_folder_is_listed_and_not_followed(tree):
    (tree / "red/loop").symlink_to(tree, target_is_directory=True)
    linked = [file for file in listing.list_files(str(tree)) if file.linked_folder]
    assert [(file.path, file.label) for file in linked] == [("red/loop", "red")]
    assert len(listing.list_files(str(tree))) == 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root.rmdir(), "one subfolder a class is expected"),
        (lambda root: None, r"two class folders or more.*Found: none"),
        (lambda root: _file(root / "only/a.jpg"), r"Found: \['only'\]"),
        (lambda root: (_file(root / "a/x"), _file(root / "b/x"), (root / "c").mkdir()), r"without any file: \['c'\]"),
        (lambda root: (_file(root / "a/x"), _file(root / "line\nbreak/x")), r"'line\\nbreak'.*can't print"),
        (lambda root: (_file(root / "a/x"), _file(root / os.fsdecode(b"\xff\xfe/x"))), "is not UTF-8"),
    ],
)
def test_a_folder_that_can_not_be_worked_with_is_refused(tmp_path, make, message):
    root = tmp_path / "data"
    root.mkdir()
    make(root)
    with pytest.raises(BadInputError, match=message):
        listing.list_files(str(root))


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def test_the_fingerprint_changes_with_whatever_changes(tree):
    def fingerprint() -> str:
        return listing.fingerprint(str(tree), listing.list_files(str(tree)))

    seen = [fingerprint()]
    assert fingerprint() == seen[0]

    def changed() -> bool:
        seen.append(fingerprint())
        return seen[-1] != seen[-2]

    # A corrected label: the file keeps its name, size and time of last change.
    (tree / "red/a.jpg").rename(tree / "green light/a.jpg")
    assert changed()
    (tree / "red/new.jpg").write_bytes(b"new")
    assert changed()
    (tree / "red/new.jpg").write_bytes(b"longer")
    assert changed()
    os.utime(tree / "red/new.jpg", ns=(0, 5))
    assert changed()
    (tree / "red/new.jpg").unlink()
    assert changed()


KEYS = st.binary(min_size=32, max_size=32).map(bytes.hex)
SHARES = st.fixed_dictionaries({name: st.integers(1, 20) for name in ("train", "eval", "test")})


@given(KEYS, SHARES)
def test_a_split_depends_on_the_bytes_and_the_shares_alone(key, shares):
    split = splitting.split_of(key, shares)
    assert split in shares
    assert splitting.split_of(key.upper(), dict(shares)) == split


@given(SHARES)
def test_each_split_gets_exactly_its_share_of_all_hashes(shares):
    total = sum(shares.values())
    found = [splitting.split_of(f"{number:064x}", shares) for number in range(total)]
    assert {name: found.count(name) for name in shares} == shares
