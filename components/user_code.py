"""Module files: the user code that TFX calls."""

from __future__ import annotations

from pathlib import Path

from components import code_digest


def import_path(module_file: str) -> str:
    """The import path of a module file that belongs to this project.

    TFX would pack the flat .py files beside a module file into a wheel, and install that for the stage. The project is
    installed wherever a stage runs, and its other modules are imported from there in any case, so the wheel would add
    nothing but seconds, and a cache key that misses every file in a subfolder. components/code_digest.py is the better
    key.

    Args:
      module_file: path of the file.

    Raises:
      ValueError: if it is not a file of this project.
    """
    path = Path(module_file).resolve()
    if not (path.is_file() and path.is_relative_to(code_digest.ROOT)):
        raise ValueError(f"{module_file}: a module file below {code_digest.ROOT} is expected")
    return ".".join(path.relative_to(code_digest.ROOT).with_suffix("").parts)
