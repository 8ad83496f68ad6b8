import runpy
from pathlib import Path

import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "data" / "prepare_traffic_lights.py"


@pytest.fixture
def prepare():
    return runpy.run_path(str(SCRIPT))["prepare"]


def test_all_photos_are_laid_out_by_class(prepare, tmp_path):
    folder = tmp_path / "photos"
    assert prepare(folder) == 1484
    counts = {child.name: len(list(child.iterdir())) for child in folder.iterdir()}
    assert counts == {"red": 904, "green": 536, "yellow": 44}
    with Image.open(next((folder / "yellow").iterdir())) as photo:
        assert photo.format == "JPEG"
    assert prepare(folder) == 0, "nothing is done twice"


def test_the_folder_appears_only_when_it_is_complete(prepare, tmp_path, monkeypatch):
    folder, copied = tmp_path / "photos", []

    def interrupted(source, target):
        copied.append(target)
        if len(copied) == 100:
            raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copyfile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(folder)
    assert not folder.exists()
    monkeypatch.undo()
    assert prepare(folder) == 1484
    assert [child.name for child in tmp_path.iterdir()] == ["photos"]
