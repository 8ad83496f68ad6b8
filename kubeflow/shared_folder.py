"""Shares the artifacts of a stage with Beam workers on a cluster, through a folder in a volume that both mount.

Kubeflow's launcher copies artifacts to and from folders of the stage's pod, and the workers of a Flink or Spark cluster
do not see these folders.
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
    """Moves the artifacts to a folder of the stage's own in the shared folder for as long as the context lasts.

    The artifacts' addresses change with them. At the end, outputs are copied back, unless there was an error, and the
    folder is removed. If the pod is killed, its folder stays; it is named `stage-` and a random number.

    Args:
      folder: path in the volume.
      inputs: artifacts by name; one without files, such as the first run's baseline, has no files there either.
      outputs: artifacts by name.

    Yields:
      a path in the stage's folder for other files that workers need to see.
    """
    own = Path(folder, f"stage-{uuid.uuid4().hex}")
    originals: dict[str, str] = {}  # by the address in the shared folder
    artifacts = [artifact for several in (*inputs.values(), *outputs.values()) for artifact in several]
    try:
        for number, artifact in enumerate(artifacts):
            shared = str(own / "artifacts" / str(number))
            if Path(artifact.uri).exists():
                shutil.copytree(artifact.uri, shared)
            originals[shared], artifact.uri = artifact.uri, shared
        yield str(own / "temporary")
        for several in outputs.values():
            for artifact in several:
                _restore_properties(artifact, originals)
                shutil.copytree(artifact.uri, originals[artifact.uri], dirs_exist_ok=True)
    finally:
        for artifact in artifacts:
            artifact.uri = originals.get(artifact.uri, artifact.uri)
        shutil.rmtree(own, ignore_errors=True)


def _restore_properties(artifact: Any, originals: Mapping[str, str]) -> None:
    """Replaces shared addresses that an executor wrote into properties, as Evaluator does in its blessing."""
    for value in artifact.mlmd_artifact.custom_properties.values():
        if value.string_value in originals:
            value.string_value = originals[value.string_value]
