"""The exports of a candidate: what a version's manifest and model card say about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx import types
from tfx.types import artifact_utils

from components.evaluator import export_checks
from components.serving_directory import ServingDirectory
from modules.exporting import export_files

_Inputs = Mapping[str, Sequence[types.Artifact]]


def folder_of(input_dict: _Inputs) -> Path | None:
    """The folder of the exports; None if the pipeline makes none."""
    artifacts = input_dict.get("exports")
    return Path(artifact_utils.get_single_uri(list(artifacts))) if artifacts else None


def if_complete(directory: ServingDirectory, version: int | None, input_dict: _Inputs) -> int | None:
    """A version, unless it lacks a format that the candidate, which is the same model, has.

    Args:
      directory: the push directory.
      version: of it; None for none.
      input_dict: Pusher's.
    """
    if version is None:
        return None
    wanted = for_manifest(input_dict).get("exports", {})
    return version if wanted.keys() <= directory.manifest(version).get("exports", {}).keys() else None


def for_manifest(input_dict: _Inputs) -> dict[str, Any]:
    """`exports`: format to file, bytes and SHA-256; nothing without exports."""
    folder = folder_of(input_dict)
    return {"exports": export_files.read_index(folder)["formats"]} if folder else {}


def for_card(input_dict: _Inputs) -> dict[str, dict[str, Any]]:
    """Format to its record in the manifest and the figures of the gate."""
    records = for_manifest(input_dict).get("exports", {})
    figures = export_checks.read(artifact_utils.get_single_uri(list(input_dict["model_blessing"]))) if records else {}
    return {name: {**record, **figures.get(name, {})} for name, record in records.items()}
