"""TFX's launcher of one stage, with the cache of this project, and with a record of the files that the stage writes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx import types
from tfx.orchestration.portable import data_types, launcher
from tfx.proto.orchestration import execution_result_pb2

from components import artifact_files
from config import interruption
from pipeline import run_metadata
from pipeline.stage_cache import StageCache


class StageLauncher(launcher.Launcher):
    """Runs one stage, unless the cache has its result."""

    def __init__(self, cache: StageCache, **arguments: Any):
        """Makes a launcher.

        Args:
          cache: of this stage.
          **arguments: as TFX's launcher takes them.
        """
        super().__init__(**arguments)
        self._cache = cache

    def _prepare_execution(self) -> Any:
        with _instead_of_tfx_cache(self._cache):
            return super()._prepare_execution()

    def _run_executor(self, execution_info: data_types.ExecutionInfo) -> execution_result_pb2.ExecutorOutput:
        """Runs the executor in empty folders, and adds the record to each output that it describes.

        A folder has files already if ML Metadata's database was deleted or restored, so that it counts from a lower
        number again. They would be read as a part of the new output.

        Raises:
          DamagedArtifactError: if an input lost files since the run took it from the cache or wrote it, or if the
            executor fails and an input has other bytes than were written.
        """
        for name, artifact, damage in _damaged_inputs(execution_info):
            raise artifact_files.DamagedArtifactError(
                f"{name}: {damage} in {artifact.uri}, since this run began; run again"
            )
        for several in execution_info.output_dict.values():
            for artifact in several:
                if not artifact.is_external and Path(artifact.uri).is_dir():
                    shutil.rmtree(artifact.uri)
        try:
            output = super()._run_executor(execution_info)
        except Exception as error:
            interruption.check(error)
            self._refuse_damaged_inputs(execution_info)
            raise
        for several in output.output_artifacts.values():
            for artifact in several.artifacts:
                recorded = artifact_files.record(artifact.uri)
                artifact.custom_properties[artifact_files.PROPERTY].string_value = recorded
        return output

    def _refuse_damaged_inputs(self, execution_info: data_types.ExecutionInfo) -> None:
        """Takes inputs with other bytes than were written out of the cache, and names the first."""
        damaged = list(_damaged_inputs(execution_info, read_all=True))
        if not damaged:
            return
        with self._mlmd_connection as metadata_handle:
            artifacts = [artifact.mlmd_artifact for _, artifact, _ in damaged]
            run_metadata.mark_deleted(metadata_handle.store, artifacts)
        name, artifact, damage = damaged[0]
        raise artifact_files.DamagedArtifactError(
            f"{name}: {damage} in {artifact.uri} after they were written, as on a failing disk; check the disk, and "
            "run again: the stage that wrote them then runs again"
        )


def _damaged_inputs(
    execution_info: data_types.ExecutionInfo, read_all: bool = False
) -> Iterator[tuple[str, types.Artifact, str]]:
    """Name, artifact and damage of each input that is not as it was recorded."""
    for name, several in execution_info.input_dict.items():
        for artifact in several:
            recorded = artifact.get_string_custom_property(artifact_files.PROPERTY)
            if recorded and (damage := artifact_files.damage(artifact.uri, recorded, read_all)):
                yield name, artifact, damage


@contextlib.contextmanager
def _instead_of_tfx_cache(cache: StageCache) -> Iterator[None]:
    """TFX 1.21 has no extension point for its cache: the launcher calls the functions of this module by its name."""
    original = launcher.cache_utils
    launcher.cache_utils = cache
    try:
        yield
    finally:
        launcher.cache_utils = original
