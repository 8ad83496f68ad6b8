"""Artifacts of a stage whose Beam workers are not in its pod: they pass through a folder that the workers see, too.

Kubeflow's launcher copies artifacts to and from folders of the pod; workers of a Flink or Spark cluster see none of
these. What they do see is a volume that is mounted in both.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def holding(folder: str, inputs: Mapping[str, list[Any]], outputs: Mapping[str, list[Any]]) -> Iterator[str]:
    """While it lasts, the artifacts lie in a folder of their own below the shared one, and say so.

    Outputs are copied back at its end, unless it ends with an error; the folder is removed. A pod that is killed leaves
    its folder, `stage-` and a random name.

    Args:
      folder: path on the volume.
      inputs: artifacts by name; one that isn't there, as the first run's baseline, still isn't.
      outputs: likewise.

    Yields:
      a path below it for other things that workers are to see.
    """
    own = Path(folder, f"stage-{uuid.uuid4().hex}")
    places: dict[str, str] = {}
    artifacts = [artifact for several in (*inputs.values(), *outputs.values()) for artifact in several]
    try:
        for number, artifact in enumerate(artifacts):
            there = str(own / "artifacts" / str(number))
            if Path(artifact.uri).exists():
                shutil.copytree(artifact.uri, there)
            places[there], artifact.uri = artifact.uri, there
        yield str(own / "temporary")
        for several in outputs.values():
            for artifact in several:
                _forget(artifact, places)
                shutil.copytree(artifact.uri, places[artifact.uri], dirs_exist_ok=True)
    finally:
        for artifact in artifacts:
            artifact.uri = places.get(artifact.uri, artifact.uri)
        shutil.rmtree(own, ignore_errors=True)


def _forget(artifact: Any, places: Mapping[str, str]) -> None:
    """Puts the artifacts' own addresses where an executor noted others, as Evaluator does in its blessing."""
    for value in artifact.mlmd_artifact.custom_properties.values():
        if value.string_value in places:
            value.string_value = places[value.string_value]
