"""Runs a TFX stage in its container: `python -m kubeflow.entrypoint`, with the arguments that TFX compiles in.

It replaces tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor, takes the same arguments and calls the
same helpers. kubeflow/executor_io.py describes the differences.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from components import artifact_files
from components.image_example_gen.quarantine import BadImagesError
from config import garbage_collection, interruption
from config.errors import ExitCode
from config.kubeflow import GPUS
from kubeflow import executor_io, shared_folder
from modules.files import atomic_write
from pipeline import worker_errors

_log = logging.getLogger("regraft.kubeflow")

SHARED_FOLDER = "--shared_folder"  # kubeflow/compile.py sets this option


def main(arguments: Sequence[str]) -> ExitCode:
    """Runs one executor.

    Returns:
      OK, BAD_INPUT or FAILED; TERMINATED if the pod is ended.
    """
    parser = argparse.ArgumentParser(prog="python -m kubeflow.entrypoint", allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True, type=json.loads)
    parser.add_argument("--json_serialized_inputs_spec_args", default={}, type=json.loads)
    parser.add_argument(SHARED_FOLDER, help="folder for the artifacts of a Beam stage whose workers run on a cluster")
    options, beam_args = parser.parse_known_args(arguments)
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("regraft").setLevel(logging.INFO)  # the libraries' own messages stay out of the pod's log
    executor_input = options.json_serialized_invocation_args
    with interruption.handled():  # Kubernetes sends SIGTERM before it ends a pod
        try:
            with interruption.first():
                output = _run(options, executor_input, beam_args)
        except KeyboardInterrupt:
            _log.error("the stage was %s", interruption.message())
            return interruption.exit_code()
        except Exception as error:
            return _failed(error)
    atomic_write(executor_io.local_path(executor_input["outputs"]["outputFile"]), json.dumps(output))
    return ExitCode.OK


def _failed(error: Exception) -> ExitCode:
    """Logs why the stage failed."""
    found = worker_errors.failure(error)
    if not found.bad_input:
        _log.error("the stage failed", exc_info=error)
    if isinstance(error, BadImagesError):  # nothing else is left of a pod that failed
        for row in error.rows:
            _log.error("%s", json.dumps(row))
    _log.error("%s", found.message)
    return ExitCode.BAD_INPUT if found.bad_input else ExitCode.FAILED


def _run(options: argparse.Namespace, executor_input: Mapping[str, Any], beam_args: list[str]) -> dict[str, Any]:
    """Runs the executor, and returns its `ExecutorOutput` for the launcher."""
    with garbage_collection.paused_for_imports():
        from absl import flags
        from google.protobuf import json_format
        from kfp.pipeline_spec import pipeline_spec_pb2
        from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as utils
        from tfx.orchestration.portable import outputs_utils
        from tfx.utils import import_utils

        executor_class = import_utils.import_class_by_path(options.executor_class_path)

    flags.FLAGS(["entrypoint"])  # executors read absl's flags
    inputs_spec = options.json_serialized_inputs_spec_args
    message = json_format.ParseDict(
        executor_io.for_executor(executor_input, inputs_spec),
        pipeline_spec_pb2.ExecutorInput(),
        ignore_unknown_fields=True,  # servers newer than this SDK send more
    )
    spec = json_format.ParseDict(inputs_spec, pipeline_spec_pb2.ComponentInputsSpec())
    names: dict[int, str] = {}
    inputs = utils.parse_raw_artifact_dict(message.inputs.artifacts, names)
    outputs = utils.parse_raw_artifact_dict(message.outputs.artifacts, names)
    properties = utils.parse_execution_properties(message.inputs.parameter_values, {}, spec)
    for (artifact,) in outputs.values():
        Path(artifact.uri).mkdir(parents=True, exist_ok=True)
    _check_gpus()
    _check_inputs(inputs)
    _execute(executor_class, options.shared_folder, beam_args, inputs, outputs, properties)
    for (artifact,) in outputs.values():
        written = artifact_files.digest(artifact_files.record(artifact.uri))
        artifact.set_string_custom_property(artifact_files.DIGEST_PROPERTY, written)
    outputs_utils.tag_output_artifacts_with_version(outputs)
    _name_models(outputs, names)
    translated = utils.translate_executor_output(outputs, names)
    answer = pipeline_spec_pb2.ExecutorOutput(artifacts=translated)
    return executor_io.for_launcher(json_format.MessageToDict(answer), executor_input)


def _execute(
    executor_class: Any,
    shared: str | None,
    beam_args: list[str],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    properties: dict[str, Any],
) -> None:
    from tfx.dsl.components.base import base_beam_executor, base_executor

    folder: AbstractContextManager[str] = tempfile.TemporaryDirectory(prefix="stage-")
    context = functools.partial(base_executor.BaseExecutor.Context, extra_flags=beam_args)
    if issubclass(executor_class, base_beam_executor.BaseBeamExecutor):
        context = functools.partial(base_beam_executor.BaseBeamExecutor.Context, beam_pipeline_args=beam_args)
        if shared:
            folder = shared_folder.holding(shared, inputs, outputs)
    with folder as temporary:
        executor_class(context(tmp_dir=temporary, unique_id="1")).Do(inputs, outputs, properties)


def _check_inputs(inputs: Mapping[str, list[Any]]) -> None:
    """Compares the inputs' files with the digests of what their stages have written.

    Raises:
      DamagedArtifactError: if files are missing, or are other ones. Kubeflow's cache, and its launcher, do not notice.
    """
    for name, several in inputs.items():
        for artifact in several:
            written = artifact_files.recorded_digest(artifact)
            if written and written != artifact_files.digest(artifact_files.record(artifact.uri)):
                raise artifact_files.DamagedArtifactError(
                    f"{name}: the files in {artifact.uri} are not those that were written; to write them again, start "
                    "a run with --no-cache"
                )


def _check_gpus() -> None:
    """Warns of a GPU that costs money and is not used: TensorFlow itself continues without a message."""
    requested = os.environ.get(GPUS, "0")
    if requested == "0":
        return
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        _log.warning(
            "  WARNING: GPUs requested for this stage: %s, found: none; build the image with ACCELERATOR=gpu", requested
        )


def _name_models(outputs: Mapping[str, list[Any]], names: Mapping[int, str]) -> None:
    """Puts names of models in place of their numbers in a blessing: Kubeflow knows artifacts by name."""
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as utils
    from tfx.types import standard_artifacts

    for (artifact,) in outputs.values():
        if isinstance(artifact, standard_artifacts.ModelBlessing):
            utils.refactor_model_blessing(artifact, names)


def _exit(code: ExitCode) -> None:
    """Ends the process without the destructors of TensorFlow and ML Metadata, which can crash after a stage's work."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _exit(main(sys.argv[1:]))
