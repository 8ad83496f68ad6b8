"""Compiles the pipeline for Kubeflow Pipelines: for `regraft kubeflow compile`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from config import loading
from config.errors import BadInputError, ExitCode
from config.kubeflow import KubeflowConfig
from config.run import RunConfig
from config.stages import EXPORT, EXTERNAL_STATE, LABEL_CHECK, SCHEMA_GEN, STAGES, TRAINER, TRUNK_FEATURES, TUNER
from kubeflow.entrypoint import SHARED_FOLDER
from kubeflow.package import Package
from modules.files import check_output, make_folder
from pipeline import console

DEFAULT_FOLDER = Path("build/kubeflow")

_ENTRYPOINT = ["python", "-m", "kubeflow.entrypoint"]
_PUSH_DIRECTORY, _BLESS_ANYWAY = "push_directory", "bless_anyway"


def to_file(config_path: str, output: Path | None = None) -> ExitCode:
    """Compiles the pipeline into a file, and prints what is in it.

    Args:
      config_path: of the configuration file, which has a section `kubeflow`.
      output: the file; None: `build/kubeflow/<pipeline name>.yaml`.

    Raises:
      BadInputError: if the pipeline cannot run on Kubeflow Pipelines, or the file cannot be written.
    """
    config = load(config_path)
    output = output or DEFAULT_FOLDER / f"{config.name}.yaml"
    check_output("--output", output)
    make_folder(output.parent)
    log = output.with_suffix(".log")
    with console.redirected(log):
        package = build(config)
    package.write(output)
    on_gpu = [name for name in STAGES if name in package.tasks and section_of(config).stage(name).gpu]
    print(f"{output}: {len(package.tasks)} tasks; with a GPU: {', '.join(on_gpu) or 'none'}")
    print(f"parameters: {', '.join(sorted(package.parameters))}")
    print(f"details: {log}")
    return ExitCode.OK


def load(config_path: str) -> RunConfig:
    """Reads a configuration for a run on Kubeflow Pipelines.

    Raises:
      BadInputError: as `loading.load` has it; also if there is no section `kubeflow`, or it contradicts other sections.
    """
    config = loading.load(config_path, remote=True)
    try:
        check(config)
    except BadInputError as error:
        raise BadInputError(f"{config_path}: {error}") from None
    return config


def section_of(config: RunConfig) -> KubeflowConfig:
    """The section `kubeflow`.

    Raises:
      BadInputError: if there is none.
    """
    if config.kubeflow is None:
        raise BadInputError("kubeflow: is required; docs/configuration.md has its fields")
    return config.kubeflow


def check(config: RunConfig) -> None:
    """Refuses a configuration that cannot run on Kubeflow Pipelines.

    Raises:
      BadInputError: with the field.
    """
    section = section_of(config)
    if config.serving_check.tf_serving is not None:
        raise BadInputError(
            "serving_check.tf_serving: TFX's InfraValidator does not run on Kubeflow Pipelines v2; only null is "
            f"allowed. Received: {config.serving_check.tf_serving!r}"
        )
    if config.beam.runner != "local":
        _check_beam_cluster(config, section)
    elif section.shared_folder is not None:
        raise BadInputError(
            "kubeflow.shared_folder: only beam.runner flink and spark use it; null is allowed with local. Received: "
            f"{section.shared_folder!r}"
        )
    _check_files(config, section)
    reason = config.reason_for_pixels
    named = {*section.stages, *(stage for volume in section.volumes for stage in volume.stages or [])}
    named |= {stage for secret in section.secrets for stage in secret.stages or []}
    if reason and TRUNK_FEATURES in named:
        raise BadInputError(f"kubeflow: names {TRUNK_FEATURES}, which this pipeline does not have: {reason}")
    if config.tuner is None and TUNER in named:
        raise BadInputError(f"kubeflow: names {TUNER}, which this pipeline does not have: there is no section tuner")
    if config.label_check is None and LABEL_CHECK in named:
        raise BadInputError(f"kubeflow: names {LABEL_CHECK}, which this pipeline does not have: label_check is null")
    if config.export is None and EXPORT in named:
        raise BadInputError(f"kubeflow: names {EXPORT}, which this pipeline does not have: there is no section export")
    if config.tuner is not None and section.state_directory is not None:
        try:
            section.check_mounted("state_directory", section.state_directory, TUNER)
        except ValueError as error:
            raise BadInputError(f"kubeflow.{error}") from None


def _check_beam_cluster(config: RunConfig, section: KubeflowConfig) -> None:
    """Refuses workers that would not see a stage's artifacts, and GPUs of pods that only wait for the cluster."""
    runner = config.beam.runner
    if section.shared_folder is None:
        raise BadInputError(
            f"kubeflow.shared_folder: is required with beam.runner {runner}; the cluster's workers do not see the "
            "folders that Kubeflow's launcher copies artifacts to. Received: none"
        )
    absent = {TRUNK_FEATURES} if config.reason_for_pixels else set()
    for stage in (row.name for row in STAGES.values() if row.runs_on_beam and row.name not in absent):
        try:
            section.check_mounted("shared_folder", section.shared_folder, stage)
        except ValueError as error:
            raise BadInputError(f"kubeflow.{error}") from None
        if section.stage(stage).gpu:
            raise BadInputError(
                f"kubeflow.stages.{stage}.gpu: the pod only waits for beam.runner {runner}; set it to 0. "
                f"Received: {section.stage(stage).gpu}"
            )


def _check_files(config: RunConfig, section: KubeflowConfig) -> None:
    """Refuses a file in a volume that a stage which reads the file does not mount. Other files are in the image."""
    for path, stages in _stages_by_file(config).items():
        mounts = [volume.mount for volume in section.volumes if PurePosixPath(path).is_relative_to(volume.mount)]
        for stage in (EXTERNAL_STATE, *stages) if mounts else ():
            if not any(volume.mount in mounts for volume in section.volumes_of(stage)):
                raise BadInputError(
                    f"kubeflow.volumes: {stage} does not mount {mounts[0]}, which has {path!r}; add the stage to that "
                    "volume"
                )


def build(config: RunConfig) -> Package:
    """Compiles the pipeline. It is the same one that runs on a single machine.

    Args:
      config: from `load`.

    Raises:
      BadInputError: if it cannot run on Kubeflow Pipelines.
    """
    check(config)
    from kubeflow import extra_tasks, platform  # load TFX, which takes seconds

    section = section_of(config)
    package = _tfx_package(config, section)
    extra_tasks.add_external_state(package, section.image, config.data.ingestion, _stages_by_file(config))
    extra_tasks.add_report(package, section.image)
    extra_tasks.add_verdict(package, section.image)
    return platform.apply(package, section)


def _tfx_package(config: RunConfig, section: KubeflowConfig) -> Package:
    """What TFX's own compiler makes of the pipeline."""
    from tfx.orchestration.data_types import RuntimeParameter
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

    from pipeline import pipeline

    config = _for_cluster(config, section)
    defaults = _defaults(config)
    parameters = {
        name: RuntimeParameter(name=name, ptype=type(value), default=value) for name, value in defaults.items()
    }
    tfx_pipeline = pipeline.create_pipeline(
        config,
        pipeline_root=section.pipeline_root or "",
        push_directory=parameters.pop(_PUSH_DIRECTORY),
        state_directory=section.state_directory,
        bless_anyway=parameters.pop(_BLESS_ANYWAY),
        runtime_parameters=parameters,
        remote=True,
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


def _for_cluster(config: RunConfig, section: KubeflowConfig) -> RunConfig:
    """The configuration with the cluster's paths. Beam uses one process unless `beam.workers` has another number."""
    data = config.data.model_copy(update={"path": section.data_path})
    push = config.push.model_copy(update={"directory": section.push_directory})
    shared = [f"{SHARED_FOLDER}={section.shared_folder}"] if config.beam.runner != "local" else []
    beam = config.beam.model_copy(
        update={"workers": config.beam.workers or 1, "options": [*config.beam.options, *shared]}
    )
    return config.model_copy(update={"data": data, "push": push, "beam": beam})


def _defaults(config: RunConfig) -> dict[str, Any]:
    """The run's parameters and their values in the configuration."""
    from components import run_parameters

    configured = {name: run_parameters.configured(config, name) for name in run_parameters.PATHS}
    searched = {name for name, path in run_parameters.PATHS.items() if ".".join(path) in config.search_space}
    replaceable = {name: value for name, value in configured.items() if value is not None and name not in searched}
    return {**replaceable, _PUSH_DIRECTORY: config.push.directory, _BLESS_ANYWAY: ""}


def _description(name: str) -> str:
    from components import run_parameters

    own = {
        run_parameters.DATA_PATH: "The data: a path in the container, or a URI.",
        _PUSH_DIRECTORY: "Where a blessed model is pushed: a path in the container.",
        _BLESS_ANYWAY: "Why a model that is not blessed shall be pushed; empty: it is not pushed.",
    }
    return own.get(name) or f"{'.'.join(run_parameters.PATHS[name])} of the configuration."


def _stages_by_file(config: RunConfig) -> dict[str, tuple[str, ...]]:
    """The files that stages read besides the data: path to the names of these stages."""
    optional = {LABEL_CHECK: config.label_check, TUNER: config.tuner}
    readers = (TRUNK_FEATURES, *(stage for stage, section in optional.items() if section), TRAINER)
    stages = dict.fromkeys(config.backbone.files, readers)
    return {**stages, **({config.data.schema_: (SCHEMA_GEN,)} if config.data.schema_ else {})}
