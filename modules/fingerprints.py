"""Names content by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

_BLOCK = 1 << 20


def fingerprint(path: str | Path, without: Collection[Path] = ()) -> str:
    """SHA-256 of a file, or of a folder: the paths and bytes of all files below it.

    Args:
      path: the file or folder.
      without: relative paths below the folder that don't count.

    Returns:
      64 hexadecimal digits.
    """
    root = Path(path)
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*")) if root.is_dir() else (root,):
        relative = file.relative_to(root)
        if file.is_file() and relative not in without:
            digest.update(f"{relative.as_posix()}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as content:
                while block := content.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()
