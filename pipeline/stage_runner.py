"""TFX's local runner, one stage at a time, so that a person sees when each stage ends."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable, Mapping

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import local_dag_runner, runner_utils
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from pipeline import run_metadata
from pipeline.stage_cache import StageCache
from pipeline.stage_launcher import StageLauncher
from pipeline.summary import StageTime

_log = logging.getLogger("regraft.runner")


class StageFailedError(Exception):
    """A stage raised an error, which is the cause of this one."""

    def __init__(self, stage: str):
        super().__init__(stage)
        self.stage = stage


class LocalRunner(local_dag_runner.LocalDagRunner):
    """Runs a pipeline, and keeps the record of each stage.

    The tfx CLI replaces LocalDagRunner.run while it only asks for the pipeline's name; then no stage runs.

    Attributes:
      times: one entry per stage that has ended.
      records: stage id to what ML Metadata recorded.
    """

    def __init__(
        self,
        connection: metadata_store_pb2.ConnectionConfig,
        locations: Mapping[str, str],
        on_start: Callable[[], None],
        is_check: bool = False,
    ):
        """Makes a runner.

        Args:
          connection: of the ML Metadata store that the pipeline uses.
          locations: see stage_cache.locations.
          on_start: called once, before the first stage.
          is_check: whether only the data is checked; such runs are no part of the history.
        """
        super().__init__()
        self._connection, self._locations = connection, locations
        self._on_start, self._is_check = on_start, is_check
        self.times: list[StageTime] = []
        self.records: dict[str, run_metadata.StageRecord] = {}

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None) -> None:
        """Runs each stage.

        Raises:
          StageFailedError: naming the first stage that fails; the later ones don't run.
        """
        self._on_start()
        run_id = run_metadata.CHECK_PREFIX * self._is_check + datetime.datetime.now().isoformat()
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
            self._launcher(pipeline, node).launch()
            record = run_metadata.read_stage(self._connection, pipeline.pipeline_info.id, run_id, name)
        except Exception as error:
            raise StageFailedError(name) from error
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
