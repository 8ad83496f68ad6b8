"""TFX's local runner, one stage at a time, so that a person sees when each stage ends."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable, Mapping

from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import local_dag_runner, runner_utils
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from config import interruption
from pipeline import metadata_lock, run_metadata, unfinished
from pipeline.stage_cache import StageCache
from pipeline.stage_launcher import StageLauncher
from pipeline.summary import StageTime
from pipeline.workspace import RunFolder

_log = logging.getLogger("regraft.runner")


class StageFailedError(Exception):
    """A stage raised an error, which is the cause of this one."""

    def __init__(self, stage: str):
        super().__init__(stage)
        self.stage = stage


class LocalRunner(local_dag_runner.LocalDagRunner):
    """Runs a pipeline, and keeps the record of each stage.

    Attributes:
      times: one entry per stage that has ended.
      records: stage id to what ML Metadata recorded.
      run_id: as ML Metadata has it; empty before the run.
    """

    def __init__(
        self, folder: RunFolder, locations: Mapping[str, str], on_start: Callable[[], None], is_check: bool = False
    ):
        """Makes a runner.

        Args:
          folder: of the pipeline; this process holds its lock.
          locations: see stage_cache.locations.
          on_start: called once, before the first stage.
          is_check: whether only the data is checked; such runs are no part of the history.
        """
        super().__init__()
        self._folder, self._locations = folder, locations
        self._on_start, self._is_check = on_start, is_check
        self._connection = folder.connection()
        self.times: list[StageTime] = []
        self.records: dict[str, run_metadata.StageRecord] = {}
        self.run_id = ""

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None) -> None:
        """Runs each stage.

        Raises:
          StageFailedError: naming the first stage that fails; the later ones don't run.
          KeyboardInterrupt: if a signal arrives.
        """
        metadata_lock.wait(self._folder.metadata)
        left_over = unfinished.close_executions(self._connection, self._folder.artifacts)
        logging.info("executions that an earlier run left unfinished: %s", left_over)
        self._on_start()
        run_id = run_metadata.CHECK_PREFIX * self._is_check + datetime.datetime.now(datetime.UTC).isoformat()
        self.run_id = run_id
        try:
            self._run_stages(pipeline, run_id)
        except KeyboardInterrupt:
            self._close(run_metadata.Stop.INTERRUPTED, run_id)
            raise
        except StageFailedError:  # TFX leaves an execution open whose driver failed
            try:
                self._close(run_metadata.Stop.FAILED)
            except Exception:  # the stage's own error says more
                logging.exception("the failed execution was not closed")
            raise

    def _close(self, stop: run_metadata.Stop, interrupted_run: str | None = None) -> None:
        if not metadata_lock.is_locked(self._folder.metadata):  # otherwise the next run does this
            unfinished.close_executions(self._connection, self._folder.artifacts, stop, interrupted_run)

    def _run_stages(self, pipeline: pipeline_pb2.Pipeline, run_id: str) -> None:
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
        )
        moved = run_metadata.relocate(self._connection, pipeline.runtime_spec.pipeline_root.field_value.string_value)
        if moved:
            _log.info("the workspace is in another place now: %d recorded paths were corrected", moved)
        for node in pipeline.nodes:
            self._run_stage(pipeline, node.pipeline_node, run_id)

    def _run_stage(self, pipeline: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode, run_id: str) -> None:
        start, name = time.monotonic(), node.node_info.id
        try:
            metadata_lock.wait(self._folder.metadata)
            with metadata_lock.reported(self._folder.metadata):
                self._launcher(pipeline, node).launch()
            record = run_metadata.read_stage(self._connection, pipeline.pipeline_info.id, run_id, name)
        except Exception as error:
            interruption.check(error)
            raise StageFailedError(name) from error
        interruption.check()
        seconds = time.monotonic() - start
        self.records[name] = record
        self.times.append(StageTime(name, round(seconds, 1), record.cached))
        _log.info("%-17s %s", name, "cached" if record.cached else f"{seconds:.1f} s")

    def _launcher(self, pipeline: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode) -> StageLauncher:
        """As TFX's LocalDagRunner makes one."""
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        name = node.node_info.id
        return StageLauncher(
            StageCache(self._locations),
            pipeline_node=node,
            mlmd_connection=metadata.Metadata(self._connection),
            pipeline_info=pipeline.pipeline_info,
            pipeline_runtime_spec=pipeline.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, name),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
        )
