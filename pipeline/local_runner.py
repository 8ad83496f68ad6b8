"""Runs the pipeline on this machine: `make run`, `python -m pipeline.local_runner`, and the tfx CLI's pipeline file.

The tfx CLI runs this file as a script and passes no arguments on; PIPELINE_CONFIG and PIPELINE_WORKSPACE name the
configuration and the workspace then.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
    # Run as a script, Python looks for modules beside this file first, and takes pipeline.py for the package.
    del sys.path[0]

from components import serving_directory
from components.image_example_gen import sources
from modules.errors import BadInputError
from pipeline import config, console, worker_errors
from pipeline.workspace import DEFAULT_WORKSPACE, RunFolder, shown, temporary_files

if TYPE_CHECKING:
    from typing import TextIO

PUSHED, FAILED, BAD_INPUT, NOT_BLESSED = 0, 1, 2, 3
INTERRUPTED = 130  # what shells give for SIGINT


def main(arguments: Sequence[str]) -> int:
    """Runs the pipeline that the arguments or the environment name.

    Returns:
      the exit code: 0 pushed (or nothing new to push, or --gate-only would bless), 2 bad input or configuration,
      3 not blessed, 1 anything else.
    """
    options = _parse(arguments)
    try:
        run_config = config.load(options.config)
        classes = _check_images(run_config, options.config)
        _check_docker(run_config)
        folder = RunFolder(options.workspace, run_config.name)
        _check_production(run_config.push.directory or str(folder.serving))
        with folder.locked(), temporary_files():
            return _run(run_config, classes, options, folder)
    except BadInputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted; the next run goes on after the last stage that ended", file=sys.stderr)
        return INTERRUPTED


def _check_images(run_config: config.Config, config_path: str) -> list[str] | None:
    """Refuses data that can't be worked with, or bounds for other classes, while it costs no time.

    Returns:
      the classes; None if only reading all records can tell.
    """
    try:
        source = sources.open_source(run_config.data.path, run_config.ingestion())
        source.items()
        if (classes := source.classes()) is not None:
            run_config.gate.check_classes(classes)
        return classes
    except BadInputError as error:
        raise BadInputError(f"{config_path}: {error}") from None


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipeline.local_runner", description="Runs the pipeline here.")
    parser.add_argument(
        "--config", default=os.environ.get("PIPELINE_CONFIG"), help="YAML file (default: $PIPELINE_CONFIG)"
    )
    parser.add_argument(
        "--workspace",
        default=os.environ.get("PIPELINE_WORKSPACE") or DEFAULT_WORKSPACE,
        help=f"where runs are kept (default: $PIPELINE_WORKSPACE, or {DEFAULT_WORKSPACE})",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--gate-only",
        metavar="MODEL",
        help="train and push nothing; say what the gate makes of this SavedModel, or of a folder's newest version",
    )
    instead.add_argument(
        "--bless-anyway",
        metavar="REASON",
        help="push the candidate even if the gate or the serving check refuses it; the reason is kept with the version",
    )
    options = parser.parse_args(arguments)
    if options.bless_anyway is not None and not options.bless_anyway.strip():
        parser.error("--bless-anyway: a reason is wanted; it is kept with the version")
    if not options.config:
        parser.error("name a configuration file: --config FILE, or the environment variable PIPELINE_CONFIG")
    return options


def _run(run_config: config.Config, classes: list[str] | None, options: argparse.Namespace, folder: RunFolder) -> int:
    config_path = options.config
    log = folder.new_log()
    print(f"{run_config.name}: {shown(config_path)}; details go to {shown(log)}", flush=True)
    with console.redirected(log) as terminal:
        print("loading TFX", file=terminal)
        from pipeline import stage_runner  # takes long; all that could be refused without it has been

        console.log_everything()
        try:
            if options.gate_only:
                return _gate_only(run_config, options.gate_only, folder, terminal)
            if classes is not None:
                _check_model(run_config, classes, config_path)
            return _run_stages(run_config, options, folder, terminal)
        except stage_runner.StageFailedError as failure:
            what, cause = failure.stage, failure.__cause__ or failure
        except BadInputError as error:
            print(error, file=terminal)
            return BAD_INPUT
        except Exception as error:
            what, cause = "the run", error
        logging.error("%s failed", what, exc_info=cause)
        found = worker_errors.failure(cause)
        print(f"{what} failed: {found.message}", file=terminal)
        return BAD_INPUT if found.bad_input else FAILED


def _check_docker(run_config: config.Config) -> None:
    """Refuses TF Serving in Docker where there is none, before the stages have worked for it."""
    if run_config.serving_check.tf_serving is None:
        return
    import docker

    try:
        docker.from_env(timeout=10).ping()
    except docker.errors.DockerException as error:
        raise BadInputError(f"serving_check.tf_serving: needs Docker on this machine: {error}") from None


def _check_production(directory: str) -> None:
    """Refuses a production that no candidate could be held against, before one is trained."""
    serving = serving_directory.ServingDirectory(directory)
    for newest in serving.versions()[-1:]:
        serving.check_in_production(newest)


def _check_model(run_config: config.Config, classes: list[str], config_path: str) -> None:
    """Refuses a backbone, head or training that can't be built, before the stages have worked for it."""
    from modules import assembly

    try:
        assembly.check(run_config.model_dump(), classes)
    except BadInputError as error:
        raise BadInputError(f"{config_path}: {error}") from error


def _gate_only(run_config: config.Config, model: str, folder: RunFolder, terminal: TextIO) -> int:
    """Evaluates a model that is there already, and changes nothing."""
    from tfx.orchestration import metadata

    from components.evaluator import verdict
    from pipeline import pipeline, predict, stage_runner, verdict_table

    candidate = predict.version_folder(Path(model))
    connection = metadata.sqlite_metadata_connection_config(str(folder.metadata))
    runner = stage_runner.LocalRunner(connection, on_start=lambda: None)
    push_directory = run_config.push.directory or str(folder.serving)
    runner.run(pipeline.create_gate_pipeline(run_config, candidate, str(folder.artifacts), push_directory, connection))
    found = verdict.load(runner.records["Evaluator"].outputs["blessing"].uri)
    baseline = runner.records["BaselineModel"].outputs["baseline_model"].custom_properties["version"].int_value
    verdict_table.show(found, baseline or None, terminal)
    print(f"{shown(candidate)} would be {'blessed' if found.blessed else 'refused'}; nothing was pushed", file=terminal)
    return PUSHED if found.blessed else NOT_BLESSED


def _run_stages(run_config: config.Config, options: argparse.Namespace, folder: RunFolder, terminal: TextIO) -> int:
    from tfx.orchestration import metadata

    from pipeline import pipeline, stage_runner, summary

    connection = metadata.sqlite_metadata_connection_config(str(folder.metadata))
    runner = stage_runner.LocalRunner(connection, on_start=lambda: folder.summary.unlink(missing_ok=True))
    push_directory = run_config.push.directory or str(folder.serving)
    runner.run(
        pipeline.create_pipeline(
            run_config,
            str(folder.artifacts),
            push_directory,
            str(folder.training_state),
            connection,
            bless_anyway=options.bless_anyway or "",
        )
    )
    if not runner.times:  # the tfx CLI only wanted to know the pipeline's name
        return PUSHED
    result = summary.collect(run_config, options.config, runner.records, runner.times)
    summary.write_json(result, folder.summary)
    summary.print_table(result, terminal)
    return PUSHED if result.pushed else NOT_BLESSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
