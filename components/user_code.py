"""Module files: the user code that TFX calls."""

from __future__ import annotations

from pathlib import Path


def import_path(module_file: str) -> str:
    """The import path of a module file that belongs to an installed package, such as `modules.trainer`.

    TFX would pack the flat .py files beside a module file into a wheel, and install that for the stage. This project is
    installed wherever a stage runs, and its other modules are imported from there in any case. So the wheel would add
    nothing but seconds, and a cache key that misses every file in a subfolder. components/code_digest.py makes a better
    key.

    Args:
      module_file: path of the file.

    Raises:
      ValueError: if it is not a file in a package.
    """
    path = Path(module_file).resolve()
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if not path.is_file() or len(parts) == 1:
        raise ValueError(f"{module_file}: a module file in a package is expected")
    return ".".join(parts)
