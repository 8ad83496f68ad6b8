"""Runs the pipeline on this machine: for `regraft run` and `regraft check`, and as the tfx CLI's pipeline file.

The tfx CLI runs this file as a script and passes no arguments on. The environment variables PIPELINE_CONFIG and
PIPELINE_WORKSPACE then name the configuration and the workspace.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
    # Run as a script, Python looks for modules beside this file first, and takes pipeline.py for the package.
    del sys.path[0]

from components import serving_directory
from components.image_example_gen import sources
from components.image_example_gen.quarantine import BadImagesError
from components.image_example_gen.sources import item_checks
from config import garbage_collection, interruption, loading
from config.errors import BadInputError, ExitCode, listed, one_line
from config.run import RunConfig
from config.stages import EVALUATOR
from modules.files import atomic_write, check_output, check_output_folder, is_special
from pipeline import console, predict, worker_errors
from pipeline.workspace import DEFAULT_WORKSPACE, RunFolder, display_path, temporary_files

if TYPE_CHECKING:
    from typing import TextIO

    from tfx.orchestration import pipeline as tfx_pipeline

    from pipeline.stage_runner import LocalRunner


@dataclass(frozen=True)
class Session:
    """One command that works on a pipeline's folder.

    Attributes:
      config: of the run.
      config_path: the file it was read from.
      folder: of the pipeline.
      terminal: what a person reads; everything else goes to the log.
    """

    config: RunConfig
    config_path: str
    folder: RunFolder
    terminal: TextIO

    @property
    def push_directory(self) -> str:
        return self.config.push.directory or str(self.folder.serving)

    def runner(self, on_start: Callable[[], None] = lambda: None, is_check: bool = False) -> LocalRunner:
        from pipeline import stage_cache, stage_runner

        locations = stage_cache.locations(self.config, self.folder.path, self.push_directory)
        return stage_runner.LocalRunner(self.folder, locations, on_start, is_check)


def run(config_path: str, workspace: str, bless_anyway: str = "") -> ExitCode:
    """Runs every stage, and prints the summary.

    Args:
      config_path: of the configuration file.
      workspace: where runs are kept.
      bless_anyway: why a candidate that is not blessed shall be pushed; empty: it is not pushed.

    Returns:
      OK if a model was pushed, or there was nothing new to push; NOT_BLESSED, BAD_INPUT, INTERRUPTED or FAILED.
    """
    if _is_only_compiled():
        return _compile(config_path, workspace)

    def work(session: Session) -> ExitCode:
        from pipeline import summary
        from pipeline.report import writing

        folder = session.folder
        runner = session.runner(on_start=folder.remove_results)
        runner.run(_create_pipeline(session, bless_anyway))
        result = summary.collect(session.config, config_path, session.push_directory, runner.records, runner.times)
        summary.write_json(result, folder.summary)
        report = writing.write(result, session.config, runner.records, runner.run_id, folder)
        summary.print_summary(result, session.terminal, report)
        return ExitCode.OK if result.pushed else ExitCode.NOT_BLESSED

    return _session(config_path, workspace, work, builds_model=True)


def _is_only_compiled() -> bool:
    """Whether the tfx CLI only asks for the pipeline: it then replaces LocalDagRunner.run, and no stage runs."""
    module = sys.modules.get("tfx.orchestration.local.local_dag_runner")
    return module is not None and hasattr(module.LocalDagRunner.run, "__wrapped__")


def _compile(config_path: str, workspace: str) -> ExitCode:
    """Gives the tfx CLI the pipeline; leaves nothing in the workspace."""
    try:
        config = loading.load(config_path)
        folder = RunFolder(workspace, config.name)
        _check_images(config, config_path, folder)
        session = Session(config, config_path, folder, sys.stdout)
        made = _create_pipeline(session)
    except BadInputError as error:
        print(error, file=sys.stderr)
        return ExitCode.BAD_INPUT
    session.runner().run(made)
    return ExitCode.OK


def _create_pipeline(session: Session, bless_anyway: str = "") -> tfx_pipeline.Pipeline:
    from pipeline import pipeline

    folder = session.folder
    return pipeline.create_pipeline(
        session.config,
        str(folder.artifacts),
        session.push_directory,
        str(folder.training_state),
        folder.connection(),
        bless_anyway=bless_anyway,
    )


def judge(config_path: str, workspace: str, model: str) -> ExitCode:
    """Prints what the gate says about a model that exists already; trains and pushes nothing.

    Args:
      config_path: of the configuration file.
      workspace: where runs are kept.
      model: a SavedModel with the served signatures, or a folder of numbered versions.

    Returns:
      OK if the model would be blessed, NOT_BLESSED if it would be refused; BAD_INPUT, INTERRUPTED or FAILED.
    """

    def work(session: Session) -> ExitCode:
        from components.evaluator import slice_findings, verdict
        from modules.serving import signatures
        from pipeline import pipeline, run_metadata, verdict_table

        candidate = predict.version_folder(Path(model))
        predict.check_signatures(candidate, signatures.OF_A_CANDIDATE)
        runner = session.runner()
        runner.run(
            pipeline.create_gate_pipeline(
                session.config,
                candidate,
                str(session.folder.artifacts),
                session.push_directory,
                session.folder.connection(),
            )
        )
        blessing = runner.records[EVALUATOR].outputs["blessing"].uri
        found, search = verdict.load(blessing), slice_findings.read(blessing)
        verdict_table.show(found, run_metadata.baseline_version(runner.records), search, session.terminal)
        answer = "blessed" if found.blessed else "refused"
        reasons = f": {listed(verdict_table.refusals(found), 3)}" if not found.blessed else ""
        print(f"{display_path(candidate)} would be {answer}; nothing was pushed{reasons}", file=session.terminal)
        return ExitCode.OK if found.blessed else ExitCode.NOT_BLESSED

    return _session(config_path, workspace, work, check_more=lambda: predict.version_folder(Path(model)))


def check(config_path: str, workspace: str, json_path: str | None = None) -> ExitCode:
    """Checks the configuration and the data, and prints what was found; trains nothing.

    Args:
      config_path: of the configuration file.
      workspace: where runs are kept; a run takes the results from its cache.
      json_path: file for `data` and `warnings`, in the form of summary.json; None: no file. It is deleted first, so
        that there is none if the check fails.

    Returns:
      OK if a run could start; BAD_INPUT, INTERRUPTED or FAILED.

    Raises:
      BadInputError: if the file cannot be written.
    """
    if json_path is not None:
        check_output("--json", json_path)
        if not is_special(json_path):
            Path(json_path).unlink(missing_ok=True)  # nobody shall take an old result for that of a check that fails

    def work(session: Session) -> ExitCode:
        from pipeline import data_summary, pipeline

        runner = session.runner(is_check=True)
        runner.run(
            pipeline.create_check_pipeline(
                session.config, str(session.folder.artifacts), session.push_directory, session.folder.connection()
            )
        )
        found = data_summary.collect(runner.records, session.config.gate)
        found.warnings.extend(data_summary.gate_warnings(found.counts, session.config.gate))
        data_summary.print_table(found, session.terminal)
        data_summary.print_warnings(found, session.terminal)
        for line in data_summary.gate_power(found.counts, session.config.gate):
            print(line, file=session.terminal)
        if json_path is not None:
            content = {"data": data_summary.as_json(found), "warnings": found.warnings}
            atomic_write(json_path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        print(
            f"no errors, {_counted(len(found.warnings))}; nothing was trained; to train: regraft run "
            f"{display_path(config_path)}",
            file=session.terminal,
        )
        return ExitCode.OK

    return _session(config_path, workspace, work, builds_model=True)


def _counted(warnings: int) -> str:
    return {0: "no warnings", 1: "1 warning"}.get(warnings, f"{warnings} warnings")


def _session(
    config_path: str,
    workspace: str,
    work: Callable[[Session], ExitCode],
    builds_model: bool = False,
    check_more: Callable[[], object] = lambda: None,
) -> ExitCode:
    """Reads the configuration, refuses what can be refused at once, and does the work; errors become exit codes.

    Args:
      config_path: of the configuration file.
      workspace: where runs are kept.
      work: what to do.
      builds_model: whether the model is built first, to see that it can be.
      check_more: raises BadInputError for further errors that can be found before TFX is loaded.
    """
    with interruption.handled():
        try:
            with interruption.first():
                return _open_session(config_path, workspace, work, builds_model, check_more)
        except KeyboardInterrupt:
            with contextlib.suppress(OSError):  # the terminal may be gone
                print(
                    f"{interruption.message()}; run the same command again: finished stages come from the cache, and a "
                    "training continues",
                    file=sys.stderr,
                )
            return interruption.exit_code()


def _open_session(
    config_path: str,
    workspace: str,
    work: Callable[[Session], ExitCode],
    builds_model: bool,
    check_more: Callable[[], object],
) -> ExitCode:
    folders: list[str | Path] = [workspace]
    try:
        config = loading.load(config_path)
        folder = RunFolder(workspace, config.name)
        classes = _check_images(config, config_path, folder)
        _check_docker(config)
        if builds_model and config.push.directory:
            check_output_folder(f"{config_path}: push.directory", config.push.directory)
        folders.append(config.push.directory or folder.serving)
        _check_production(str(folders[-1]))
        with folder.locked(), temporary_files():
            serving_directory.ServingDirectory(folders[-1]).remove_incomplete()
            check_more()
            log = folder.new_log()
            print(f"{config.name}: {display_path(config_path)}; details go to {display_path(log)}", flush=True)
            if builds_model:
                print(config.recipe, flush=True)
            with console.redirected(log) as terminal:
                return _work(Session(config, config_path, folder, terminal), classes if builds_model else None, work)
    except BadInputError as error:
        interruption.check(error)
        print(error, file=sys.stderr)
        return ExitCode.BAD_INPUT
    except OSError as error:
        interruption.check(error)
        print(worker_errors.failure(error, folders).message, file=sys.stderr)
        return ExitCode.FAILED


def _work(session: Session, classes: list[str] | None, work: Callable[[Session], ExitCode]) -> ExitCode:
    print("loading TFX", file=session.terminal)
    with garbage_collection.paused_for_imports():
        from pipeline import stage_runner  # takes seconds, and everything that can be refused without it has been
    console.log_everything()
    session.folder.rejected.unlink(missing_ok=True)
    try:
        if classes is not None:
            _check_model(session, classes)
        return work(session)
    except stage_runner.StageFailedError as failure:
        what, cause = failure.stage, failure.__cause__ or failure
    except BadInputError as error:
        interruption.check(error)
        print(error, file=session.terminal)
        return ExitCode.BAD_INPUT
    except Exception as error:
        interruption.check(error)
        what, cause = "the run", error
    logging.error("%s failed", what, exc_info=cause)
    found = worker_errors.failure(cause, [session.folder.path, session.push_directory], session.folder.metadata)
    print(f"{what} failed: {found.message}{_keep_list(session.folder, cause)}", file=session.terminal)
    return ExitCode.BAD_INPUT if found.bad_input else ExitCode.FAILED


def _keep_list(folder: RunFolder, error: BaseException) -> str:
    """Keeps the whole list of images that the error is about; returns the end of a sentence that names the file.

    TFX deletes what a failed stage has written.
    """
    if not isinstance(error, BadImagesError) or not error.rows:
        return ""
    atomic_write(folder.rejected, "".join(json.dumps(row) + "\n" for row in error.rows))
    return f"; all {len(error.rows)} are listed in {display_path(folder.rejected)}"


def _check_images(config: RunConfig, config_path: str, folder: RunFolder) -> list[str] | None:
    """Refuses data that cannot be used, or bounds for other classes, before anything is loaded.

    Returns:
      the classes; None if they are known only after all records have been read.
    """
    try:
        source = sources.open_source(config.data.path, config.data.ingestion)
        item_checks.check(source.items(), config.data.max_bad_fraction)
        if (classes := source.classes()) is not None:
            config.gate.check_classes(classes)
        return classes
    except BadInputError as error:
        raise BadInputError(f"{config_path}: {error}{_keep_list(folder, error)}") from None


def _check_docker(config: RunConfig) -> None:
    """Refuses TF Serving in Docker on a machine without Docker, before any stage runs."""
    if config.serving_check.tf_serving is None:
        return
    import docker

    try:
        docker.from_env(timeout=10).ping()
    except docker.errors.DockerException as error:
        raise BadInputError(
            "serving_check.tf_serving: Docker does not answer on this machine; start it, or remove the field "
            f"({one_line(error)})"
        ) from None


def _check_production(directory: str) -> None:
    """Refuses a damaged version in production, with which no candidate could be compared, and unclear names."""
    serving = serving_directory.ServingDirectory(directory)
    serving.check_names()
    for newest in serving.versions()[-1:]:
        serving.check_in_production(newest)


def _check_model(session: Session, classes: list[str]) -> None:
    """Refuses a backbone, head or training that cannot be built, before any stage runs."""
    from modules import preflight
    from pipeline import export_trial

    try:
        preflight.check(session.config.classifier, classes)
        export_trial.check(session.config, classes, session.folder.path)
    except BadInputError as error:
        raise BadInputError(f"{session.config_path}: {error}") from error


def main(arguments: Sequence[str]) -> int:
    """The entry for the tfx CLI; a person uses `regraft run`."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.local_runner", description="Runs the pipeline here.")
    environment = os.environ.get
    parser.add_argument("--config", default=environment("PIPELINE_CONFIG"), help="YAML file; $PIPELINE_CONFIG")
    parser.add_argument(
        "--workspace",
        default=environment("PIPELINE_WORKSPACE") or DEFAULT_WORKSPACE,
        help=f"where runs are kept; $PIPELINE_WORKSPACE, or {DEFAULT_WORKSPACE}",
    )
    options = parser.parse_args(arguments)
    if not options.config:
        parser.error("name a configuration file: --config FILE, or the environment variable PIPELINE_CONFIG")
    return run(options.config, options.workspace)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
