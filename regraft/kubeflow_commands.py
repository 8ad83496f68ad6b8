"""The subcommands `regraft kubeflow`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from config.errors import ExitCode
from kubeflow.submit import ServerOptions
from regraft import options

_ADDRESS = (
    click.option("--host", metavar="URL", envvar="KFP_HOST", show_envvar=True, help="Address of Kubeflow Pipelines."),
    click.option(
        "--namespace", metavar="NAME", envvar="KFP_NAMESPACE", show_envvar=True, help="On a server with several users."
    ),
    click.option("--ca-certificate", metavar="FILE", help="Certificate of a private authority."),
)
_EXPERIMENT = click.option("--experiment", metavar="NAME", help="Default: the pipeline's name.")
_service_account = click.option(
    "--service-account", metavar="NAME", help="Service account of the pods; default: that of the configuration."
)
_EXAMPLE = options.example("export KFP_HOST=https://kubeflow.example.com/pipeline", "regraft kubeflow {} fruit.yaml")


def _of_the_server(command: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
    """Adds the options that say which server."""
    for option in reversed(_ADDRESS):
        command = option(command)
    return command


def _server_options(command: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
    """Adds the options about the server and the experiment."""
    return _of_the_server(_EXPERIMENT(command))


@click.group("kubeflow", cls=options.Commands, epilog=_EXAMPLE.format("run"))
def group() -> None:
    """Run or schedule the pipeline on Kubeflow Pipelines.

    The environment variable KFP_TOKEN may have a token, which is sent with every request.
    """


@group.command("compile", epilog=options.example("regraft kubeflow compile fruit.yaml"))
@options.config
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path), help="Default: build/kubeflow/<pipeline name>.yaml."
)
def compile_pipeline(config: str, output: Path | None) -> ExitCode:
    """Compile the pipeline into a file; this needs no server.

    CONFIG is a YAML file with a section `kubeflow`.
    """
    from kubeflow import compile as compiler

    return compiler.to_file(config, output)


@group.command(epilog=_EXAMPLE.format("run"))
@options.config
@click.option(
    "--parameter",
    "changes",
    metavar="NAME=VALUE",
    multiple=True,
    help="Another value of a parameter in this run; may be repeated.",
)
@click.option("--no-cache", is_flag=True, help="Run every stage, even if nothing has changed.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the run is started.")
@_service_account
@_server_options
def run(
    config: str,
    changes: tuple[str, ...],
    no_cache: bool,
    no_wait: bool,
    service_account: str | None,
    **server: Any,
) -> ExitCode:
    """Upload the pipeline, run it once, and wait for the end.

    CONFIG is a YAML file with a section `kubeflow`.
    """
    from kubeflow import submit

    return submit.run(
        config, ServerOptions(**server), changes, service_account, use_cache=not no_cache, wait=not no_wait
    )


@group.command(epilog=_EXAMPLE.format("schedule"))
@options.config
@_service_account
@_server_options
def schedule(config: str, service_account: str | None, **server: Any) -> ExitCode:
    """Upload the pipeline, and create or replace its schedule.

    CONFIG is a YAML file; `kubeflow.schedule` in it says when the pipeline runs.
    """
    from kubeflow import submit

    return submit.schedule(config, ServerOptions(**server), service_account)


@group.command(epilog=_EXAMPLE.format("unschedule"))
@options.config
@_server_options
def unschedule(config: str, **server: Any) -> ExitCode:
    """Stop the schedule.

    CONFIG is a YAML file with a section `kubeflow`.
    """
    from kubeflow import submit

    return submit.unschedule(config, ServerOptions(**server))


@group.command(epilog=_EXAMPLE.format("status"))
@options.config
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@_server_options
def status(config: str, as_json: bool, **server: Any) -> ExitCode:
    """List the schedule and the last runs.

    CONFIG is a YAML file with a section `kubeflow`.
    """
    from kubeflow import submit

    return submit.status(config, ServerOptions(**server), as_json)


@group.command(
    epilog=options.example(
        "export KFP_HOST=https://kubeflow.example.com/pipeline",
        "regraft kubeflow report 5b1d9d9e-93f2-4a3e-9a1c-0a3f0a4f8d0c",
    )
)
@click.argument("run_id", metavar="RUN")
@click.option(
    "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Default: report-RUN.html in the current folder."
)
@_of_the_server
def report(run_id: str, output: str | None, **server: Any) -> ExitCode:
    """Download the report of a run.

    RUN is the id that `run` and `status` print. The address is that of the user interface, which has the files.
    """
    from kubeflow import submit

    return submit.report(run_id, ServerOptions(**server), output)
