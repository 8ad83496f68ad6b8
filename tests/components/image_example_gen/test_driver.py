"""The state of the data in ImageExampleGen's cache key, in which the path of the data does not count."""

import os
import shutil
import types
from pathlib import Path

import pytest
from drawing import encode, flat

from components.image_example_gen.driver import Driver
from config.data import IngestionConfig


@pytest.fixture
def photos(tmp_path) -> Path:
    """BMP files with one time, as an archive may set it."""
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            file = tmp_path / "photos" / name / f"{number}.bmp"
            file.write_bytes(encode(flat("cyan", seed=number), "BMP"))
            os.utime(file, ns=(0, 0))
    return tmp_path / "photos"


def state(path: Path) -> str:
    properties = {"data_path": str(path), "ingestion": IngestionConfig().serialized()}
    return Driver(None).state(types.SimpleNamespace(exec_properties=properties))


def test_a_folder_that_was_moved_is_the_same_data(photos):
    before = state(photos)
    assert state(photos.rename(photos.with_name("moved"))) == before


def test_other_images_of_the_same_names_sizes_and_times_are_other_data(photos):
    others = shutil.copytree(photos, photos.with_name("others"))
    for file in others.rglob("*.bmp"):
        size = file.stat().st_size
        file.write_bytes(encode(flat("yellow", seed=1), "BMP"))
        assert file.stat().st_size == size
        os.utime(file, ns=(0, 0))
    assert state(others) != state(photos)


def test_a_pipe_among_the_images_is_not_opened(photos):
    os.mkfifo(photos / "a" / "pipe.bmp")
    assert state(photos) == state(photos)
