"""Container images of files, without a registry: archives that `ctr images import` reads."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Image:
    """An image of one layer.

    Attributes:
      names: with tags.
      files: path in the image to a file of this machine; all are executable.
      texts: path in the image to the content of a small file.
      links: path in the image to the target of a symbolic link.
      folders: empty folders of the image, with their permissions.
      config: of its containers, as in the OCI image specification: `Entrypoint`, `Cmd`, `Env`, `User`, `WorkingDir`.
    """

    names: tuple[str, ...]
    files: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


def write(image: Image, archive: Path) -> None:
    """Writes an image in the format of `docker save`."""
    layer = archive.with_suffix(".layer")
    try:
        with tarfile.open(layer, "w") as tar:
            _fill(tar, image)
        with layer.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": dict(image.config),
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            }
        ).encode()
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        manifest = [{"Config": config_name, "RepoTags": list(image.names), "Layers": ["layer.tar"]}]
        with tarfile.open(archive, "w") as tar:
            tar.add(layer, "layer.tar")
            _add(tar, config_name, config)
            _add(tar, "manifest.json", json.dumps(manifest).encode())
    finally:
        layer.unlink(missing_ok=True)


def _fill(tar: tarfile.TarFile, image: Image) -> None:
    for path, mode in image.folders.items():
        entry = tarfile.TarInfo(path.strip("/"))
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        tar.addfile(entry)
    for path, target in image.links.items():
        entry = tarfile.TarInfo(path.strip("/"))
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        tar.addfile(entry)
    for path, text in image.texts.items():
        _add(tar, path.strip("/"), text.encode())
    for path, source in image.files.items():
        tar.add(source, path.strip("/"), filter=_executable)


def _executable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755
    return entry


def _add(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
