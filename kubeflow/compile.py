"""Compiles the pipeline for Kubeflow Pipelines: `make kubeflow CONFIG=FILE`, `python -m kubeflow.compile`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from kubeflow.entrypoint import SHARED_FOLDER
from kubeflow.package import Package
from modules.errors import BadInputError
from pipeline import config, console
from pipeline.config import Config
from pipeline.kubeflow_section import BEAM_STAGES, STAGES, Kubeflow

DEFAULT_FOLDER = Path("build/kubeflow")
BAD_INPUT = 2

_ENTRYPOINT = ["python", "-m", "kubeflow.entrypoint"]
_PUSH_DIRECTORY, _BLESS_ANYWAY = "push_directory", "bless_anyway"


def main(arguments: Sequence[str]) -> int:
    """Writes the package that the arguments ask for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m kubeflow.compile", description=__doc__)
    parser.add_argument("--config", required=True, help="YAML file with a section kubeflow")
    parser.add_argument("--output", type=Path, help=f"default: {DEFAULT_FOLDER}/<name>.yaml")
    options = parser.parse_args(arguments)
    try:
        run_config = load(options.config)
        output = options.output or DEFAULT_FOLDER / f"{run_config.name}.yaml"
        _check_output(output)
        with console.redirected(output.with_suffix(".log")):
            package = build(run_config)
    except BadInputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    package.write(output)
    on_gpu = [name for name in STAGES if name in package.tasks and settings(run_config).stage(name).gpu]
    print(f"{output}: {len(package.tasks)} tasks; with a GPU: {', '.join(on_gpu) or 'none'}")
    print(f"parameters: {', '.join(sorted(package.parameters))}")
    print(f"details: {output.with_suffix('.log')}")
    return 0


def _check_output(output: Path) -> None:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"--output: {output.parent}: {error.strerror}") from None
    if output.is_dir():
        raise BadInputError(f"--output: a file is expected; {output} is a folder")


def load(path: str) -> Config:
    """Reads a configuration for a run on Kubeflow Pipelines.

    Raises:
      BadInputError: as config.load has it, and if there is no section `kubeflow`, or it disagrees with the others.
    """
    run_config = config.load(path, elsewhere=True)
    try:
        check(run_config)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None
    return run_config


def settings(run_config: Config) -> Kubeflow:
    """The section `kubeflow`.

    Raises:
      BadInputError: if there is none.
    """
    if run_config.kubeflow is None:
        raise BadInputError("kubeflow: is required; docs/configuration.md has its fields")
    return run_config.kubeflow


def check(run_config: Config) -> None:
    """Refuses what can't run there.

    Raises:
      BadInputError: with the field.
    """
    section = settings(run_config)
    if run_config.serving_check.tf_serving is not None:
        raise BadInputError(
            "serving_check.tf_serving: TFX's InfraValidator doesn't run on Kubeflow Pipelines v2; null is allowed. "
            f"Received: {run_config.serving_check.tf_serving!r}"
        )
    if run_config.beam.runner != "local":
        _check_cluster(run_config, section)
    elif section.shared_folder is not None:
        raise BadInputError(
            "kubeflow.shared_folder: is for beam.runner flink and spark; null is allowed with local. Found: "
            f"{section.shared_folder!r}"
        )
    _check_readers(run_config, section)
    reason = run_config.trains_on_pixels_because()
    named = {*section.stages, *(stage for volume in section.volumes for stage in volume.stages or [])}
    named |= {stage for secret in section.secrets for stage in secret.stages or []}
    if reason and "TrunkFeatures" in named:
        raise BadInputError(f"kubeflow: names TrunkFeatures, which this pipeline hasn't: {reason}")


def _check_cluster(run_config: Config, section: Kubeflow) -> None:
    """Refuses workers that would not see a stage's artifacts, and accelerators that would see no work."""
    runner = run_config.beam.runner
    if section.shared_folder is None:
        raise BadInputError(
            f"kubeflow.shared_folder: beam.runner {runner} needs it; workers elsewhere don't see the folders that "
            "Kubeflow's launcher copies artifacts to. Found: none"
        )
    absent = {"TrunkFeatures"} if run_config.trains_on_pixels_because() else set()
    for stage in BEAM_STAGES:
        if stage in absent:
            continue
        try:
            section.check_mounted("shared_folder", section.shared_folder, stage)
        except ValueError as error:
            raise BadInputError(f"kubeflow.{error}") from None
        if section.stage(stage).gpu:
            raise BadInputError(
                f"kubeflow.stages.{stage}.gpu: its pod computes nothing with beam.runner {runner}; 0 is allowed. "
                f"Found: {section.stage(stage).gpu}"
            )


def _check_readers(run_config: Config, section: Kubeflow) -> None:
    """Refuses a file on a volume that one of its readers doesn't mount; others are taken to be in the image."""
    for path, readers in _readers_of_files(run_config).items():
        mounts = [volume.mount for volume in section.volumes if PurePosixPath(path).is_relative_to(volume.mount)]
        for stage in ("OutsideState", *readers) if mounts else ():
            if not any(volume.mount in mounts for volume in section.volumes_of(stage)):
                raise BadInputError(f"kubeflow.volumes: {path!r} is below {mounts[0]}, which {stage} doesn't mount")


def build(run_config: Config) -> Package:
    """Compiles the pipeline: the same as runs anywhere else.

    Args:
      run_config: as `load` gives it.

    Raises:
      BadInputError: if something in it can't run there.
    """
    check(run_config)
    from kubeflow import own_tasks, platform  # TFX takes long; all that could be refused without it has been

    section = settings(run_config)
    package = _compiled(run_config, section)
    own_tasks.add_outside_state(package, section.image, run_config.ingestion(), _readers_of_files(run_config))
    own_tasks.add_verdict(package, section.image)
    return platform.apply(package, section)


def _compiled(run_config: Config, section: Kubeflow) -> Package:
    from tfx.orchestration.data_types import RuntimeParameter
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

    from pipeline import pipeline

    run_config = _as_there(run_config, section)
    defaults = _defaults(run_config)
    given = {name: RuntimeParameter(name=name, ptype=type(value), default=value) for name, value in defaults.items()}
    tfx_pipeline = pipeline.create_pipeline(
        run_config,
        pipeline_root=section.pipeline_root or "",
        push_directory=given.pop(_PUSH_DIRECTORY),
        state_directory=section.state_directory,
        bless_anyway=given.pop(_BLESS_ANYWAY),
        given=given,
        elsewhere=True,
    )
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=section.image, default_commands=_ENTRYPOINT, use_pipeline_spec_2_1=True
        )
    )
    package = Package(runner.run(tfx_pipeline, write_out=False)["pipelineSpec"], {})
    for name, parameter in package.parameters.items():
        parameter["defaultValue"] = defaults[name]  # TFX drops it
        parameter["description"] = _description(name)
    if section.pipeline_root:
        package.spec["defaultPipelineRoot"] = section.pipeline_root
    return package


def _as_there(run_config: Config, section: Kubeflow) -> Config:
    """The configuration with the paths of there, and a pod's own resources: Beam works in one process unless told."""
    data = run_config.data.model_copy(update={"path": section.data_path})
    push = run_config.push.model_copy(update={"directory": section.push_directory})
    passed = [f"{SHARED_FOLDER}={section.shared_folder}"] if run_config.beam.runner != "local" else []
    beam = run_config.beam.model_copy(
        update={"workers": run_config.beam.workers or 1, "options": [*run_config.beam.options, *passed]}
    )
    return run_config.model_copy(update={"data": data, "push": push, "beam": beam})


def _defaults(run_config: Config) -> dict[str, Any]:
    """The run's parameters and what the configuration says of them."""
    from components import run_parameters

    sections = run_config.model_dump(mode="json", by_alias=True)
    said = {name: run_parameters.value(sections, name) for name in run_parameters.PATHS}
    replaceable = {name: value for name, value in said.items() if value is not None}
    return {**replaceable, _PUSH_DIRECTORY: run_config.push.directory, _BLESS_ANYWAY: ""}


def _description(name: str) -> str:
    from components import run_parameters

    own = {
        run_parameters.DATA_PATH: "The data, in the container or at a URI.",
        _PUSH_DIRECTORY: "Where a blessed model goes, in the container.",
        _BLESS_ANYWAY: "Why a model that is not blessed is to be pushed all the same; empty: it is not.",
    }
    return own.get(name) or f"{'.'.join(run_parameters.PATHS[name])} of the configuration."


def _readers_of_files(run_config: Config) -> dict[str, tuple[str, ...]]:
    """What stages read beside the data folder: path to their names."""
    backbone = run_config.backbone
    of_backbone = (backbone.weights, backbone.saved_model, backbone.keras_model)
    readers = {path: ("TrunkFeatures", "Trainer") for path in of_backbone if path and Path(path).is_absolute()}
    return {**readers, **({run_config.data.schema_: ("SchemaGen",)} if run_config.data.schema_ else {})}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
