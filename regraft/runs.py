"""Subcommands about runs on this machine: `run`, `check`, `freeze`, `history`, `explain`, `report` and `clean`."""

from __future__ import annotations

import os
import sys
import webbrowser

import click

from config.errors import ExitCode
from regraft import options


@click.command(epilog=options.example("regraft run fruit.yaml", "regraft run fruit.yaml --gate-only models/fruit/3"))
@options.config
@options.workspace
@click.option("--gate-only", metavar="MODEL", help="Only judge this model; train and push nothing.")
@click.option("--bless-anyway", metavar="REASON", help="Push the model even if it is refused, and record the reason.")
def run(config: str, workspace: str, gate_only: str | None, bless_anyway: str | None) -> ExitCode:
    """Run the pipeline.

    CONFIG is a YAML file; without it, the environment variable PIPELINE_CONFIG names the file. MODEL is a SavedModel,
    or a folder of numbered versions.
    """
    if gate_only is not None and bless_anyway is not None:
        raise click.UsageError("--gate-only and --bless-anyway cannot be used together")
    if bless_anyway is not None and not bless_anyway.strip():
        raise click.UsageError("--bless-anyway: a reason is required; it is recorded with the version")
    from pipeline import local_runner

    _import_from_current_folder()
    if gate_only is not None:
        return local_runner.judge(config, workspace, gate_only)
    return local_runner.run(config, workspace, bless_anyway or "")


@click.command(epilog=options.example("regraft check fruit.yaml"))
@options.config
@options.workspace
@click.option(
    "--json", "json_path", metavar="FILE", type=click.Path(dir_okay=False), help="Also write the result to this file."
)
def check(config: str, workspace: str, json_path: str | None) -> ExitCode:
    """Check the configuration and the data; train nothing.

    CONFIG is a YAML file; without it, the environment variable PIPELINE_CONFIG names the file.
    """
    from pipeline import local_runner

    _import_from_current_folder()
    return local_runner.check(config, workspace, json_path)


@click.command(epilog=options.example("regraft freeze fruit.yaml --dry-run", "regraft freeze fruit.yaml"))
@options.config
@options.workspace
@click.option(
    "--values",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="best_hyperparameters.txt of a run on other machines; default: of the last run here that has a stage Tuner.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
def freeze(config: str, workspace: str, values: str | None, dry_run: bool) -> ExitCode:
    """Write the values that Tuner found into CONFIG.

    Later runs leave Tuner out.

    CONFIG is a YAML file; without it, the environment variable PIPELINE_CONFIG names the file.
    """
    from pipeline import freezing

    return freezing.freeze(config, workspace, values, dry_run, sys.stdout)


@click.command(
    epilog=options.example("regraft history workspace/fruit", "regraft history workspace/fruit --html fruit.html")
)
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write a page with charts, versions, data and drift to this file instead.",
)
def history(folder: str, page: str | None) -> ExitCode:
    """List all runs of a pipeline.

    FOLDER is <workspace>/<pipeline name>.
    """
    from pipeline import history as past

    if page is None:
        past.print_history(past.past_runs(folder), sys.stdout)
        return ExitCode.OK
    from modules.files import check_output
    from pipeline.report import history as pages

    check_output("--html", page)
    pages.write(folder, page)
    print(page)
    return ExitCode.OK


@click.command(epilog=options.example("regraft explain workspace/fruit", "regraft explain workspace/fruit --run 3"))
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--run", "number", type=int, metavar="N", help="Number of the run; default: the last one with a verdict.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def explain(folder: str, number: int | None, as_json: bool) -> ExitCode:
    """Print every check of one run.

    FOLDER is <workspace>/<pipeline name>.
    """
    from pipeline import history as past

    past.explain(past.chosen_run(past.past_runs(folder), number), as_json, sys.stdout)
    return ExitCode.OK


@click.command(
    epilog=options.example("regraft report workspace/fruit --open", "regraft report workspace/fruit --run 3")
)
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--run", "number", type=int, metavar="N", help="Number of the run; default: the last one with a verdict.")
@click.option("--open", "is_opened", is_flag=True, help="Show it in the web browser.")
@click.option("--again", is_flag=True, help="Make it again, from what is left of the run's files.")
def report(folder: str, number: int | None, is_opened: bool, again: bool) -> ExitCode:
    """Print where the report of a run is.

    It is one HTML file with pictures and charts. A run makes it at its end; this command makes it for older runs.
    FOLDER is <workspace>/<pipeline name>.
    """
    from pipeline.report import past
    from pipeline.workspace import display_path

    path = past.report(folder, number, again)
    print(display_path(path))
    if is_opened and not webbrowser.open(path.as_uri()):
        print("no web browser was found; open the file yourself", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.OK


@click.command(epilog=options.example("regraft clean workspace/fruit --dry-run", "regraft clean workspace/fruit"))
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--keep-runs",
    type=click.IntRange(min=1),
    metavar="N",
    default=3,
    show_default=True,
    help="Keep all artifacts of the last N runs.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed, and how much.")
def clean(folder: str, keep_runs: int, dry_run: bool) -> ExitCode:
    """Remove artifacts that are not needed any more.

    The last runs and the versions that are still pushed keep what they need, and every run keeps its verdict and its
    report. FOLDER is <workspace>/<pipeline name>.
    """
    from pipeline import cleaning

    cleaning.clean(folder, keep_runs, dry_run, sys.stdout)
    return ExitCode.OK


def _import_from_current_folder() -> None:
    """Lets `head.function` name a module in the current folder.

    The folder comes last, and after the project's own packages are imported, so it replaces none of them.
    """
    sys.path.append(os.getcwd())
