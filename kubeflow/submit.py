"""Runs the pipeline on Kubeflow Pipelines, or has it run by itself: `python -m kubeflow.submit run|schedule|…`."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kubeflow import parameters
from modules.errors import BadInputError

if TYPE_CHECKING:
    from kubeflow.client import Server, Version
    from kubeflow.package import Package
    from kubeflow.schedule import Removed
    from pipeline.config import Config
    from pipeline.kubeflow_section import Schedule

SUCCEEDED, FAILED, BAD_INPUT = 0, 1, 2
INTERRUPTED = 130  # what shells give for SIGINT


def main(arguments: Sequence[str]) -> int:
    """Does what the arguments say.

    Returns:
      the exit code: 0 done, and if a run was waited for, it succeeded; 2 bad input or configuration, 3 the run failed
      since the model was not blessed, 130 interrupted by Ctrl-C, 1 anything else.
    """
    options = _parse(arguments)
    try:
        _check(options)
        return _carry_out(options)
    except BadInputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m kubeflow.submit", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="upload the pipeline, run it and wait for the end")
    schedule = commands.add_parser("schedule", help="upload the pipeline and have it run as kubeflow.schedule says")
    unschedule = commands.add_parser("unschedule", help="have it run by itself no more")
    status = commands.add_parser("status", help="list what runs by itself, and the last runs")
    for command in (run, schedule, unschedule, status):
        _add_server(command)
    for command in (run, schedule):
        command.add_argument("--service-account", metavar="NAME", help="of the pods (default: as configured)")
    run.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for this run, instead of what the configuration says; may be given several times",
    )
    run.add_argument("--no-cache", action="store_true", help="run every stage, even if nothing has changed")
    run.add_argument("--no-wait", action="store_true", help="return as soon as the run is created")
    status.add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args(arguments)


def _add_server(command: argparse.ArgumentParser) -> None:
    environment = os.environ.get
    command.add_argument("--config", required=True, help="YAML file with a section kubeflow")
    command.add_argument(
        "--host", default=environment("KFP_HOST"), metavar="URL", help="of Kubeflow Pipelines (default: $KFP_HOST)"
    )
    command.add_argument(
        "--namespace",
        default=environment("KFP_NAMESPACE") or None,
        metavar="NAME",
        help="where several users share the server (default: $KFP_NAMESPACE)",
    )
    command.add_argument("--experiment", metavar="NAME", help="default: the pipeline's name")
    command.add_argument("--ca-certificate", metavar="FILE", help="of the authority that signed the server's")


def _check(options: argparse.Namespace) -> None:
    """Refuses what can be refused by the arguments alone."""
    if not _is_address(options.host or ""):
        raise BadInputError(f"--host: http://… or https://… is expected, or in KFP_HOST. Received: {options.host!r}")
    if re.search(r"[^!-~]", _token() or ""):
        raise BadInputError("KFP_TOKEN: a token without spaces and line breaks is expected")
    if options.ca_certificate and not Path(options.ca_certificate).is_file():
        raise BadInputError(f"--ca-certificate: there is no such file. Received: {options.ca_certificate!r}")
    if options.command == "run":
        parameters.split(options.parameter)


def _is_address(host: str) -> bool:
    try:
        address = urlsplit(host)
        return address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:  # brackets, or a port, that are none
        return False


def _token() -> str | None:
    """Without the line break that a token from a file comes with."""
    return os.environ.get("KFP_TOKEN", "").strip() or None


def _carry_out(options: argparse.Namespace) -> int:
    from kubeflow import client, connection  # kfp takes a second
    from kubeflow import compile as compiler

    run_config = compiler.load(options.config)
    options.experiment = options.experiment or run_config.name
    if options.command == "schedule":
        _wanted(options, run_config)
    try:
        server = client.Server(options.host, options.namespace, _token(), options.ca_certificate)
        return _COMMANDS[options.command](options, run_config, server)
    except connection.ServerError as error:
        print(error, file=sys.stderr)
        return FAILED


def _wanted(options: argparse.Namespace, run_config: Config) -> Schedule:
    if run_config.kubeflow is None or run_config.kubeflow.schedule is None:
        raise BadInputError(f"{options.config}: kubeflow.schedule: is required; docs/configuration.md has its fields")
    return run_config.kubeflow.schedule


def _compiled(run_config: Config, cached: bool = True) -> tuple[Package, Path]:
    """The package and its file."""
    from kubeflow import compile as compiler
    from pipeline import console

    path = compiler.DEFAULT_FOLDER / f"{run_config.name}{'' if cached else '.no-cache'}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    print("compiling", flush=True)
    with console.redirected(path.with_suffix(".log")):  # TensorFlow and TFX have much to say
        package = compiler.build(run_config)
    if not cached:
        # In the package, since the server runs an uploaded version as it is: kfp.Client takes a switch for the cache,
        # but drops it silently for anything but a file that is sent along with the run.
        for task in package.tasks.values():
            task.pop("cachingOptions", None)
    package.write(path)
    return package, path


def _upload(server: Server, name: str, path: Path) -> Version:
    version = server.upload(name, path)
    print(f"{name}: {'uploaded as version' if version.new else 'unchanged, is version'} {version.name}", flush=True)
    return version


def _run(options: argparse.Namespace, run_config: Config, server: Server) -> int:
    from kubeflow import compile as compiler

    section = compiler.settings(run_config)
    package, path = _compiled(run_config, cached=not options.no_cache)
    given = parameters.values(parameters.split(options.parameter), package, section)
    version = _upload(server, run_config.name, path)
    run_id = server.start(
        server.experiment(options.experiment),
        f"{run_config.name} {datetime.datetime.now():%Y-%m-%d %H:%M:%S}",
        version,
        given,
        section.pipeline_root,
        options.service_account or section.service_account,
    )
    print(f"run {run_id}: {server.run_url(run_id)}", flush=True)
    if options.no_wait:
        return SUCCEEDED
    return _wait(server, run_id, list(package.tasks))


def _wait(server: Server, run_id: str, tasks: list[str]) -> int:
    from kubeflow import watch  # loads TFX, as compiling did
    from kubeflow.connection import ServerError

    url = server.run_url(run_id)
    try:
        return watch.wait(server, run_id, tasks)
    except KeyboardInterrupt:
        print(f"interrupted; the run goes on: {url}", file=sys.stderr)
        return INTERRUPTED
    except ServerError as error:
        raise ServerError(f"{error}; the run goes on: {url}") from None


def _schedule(options: argparse.Namespace, run_config: Config, server: Server) -> int:
    from kubeflow import compile as compiler
    from kubeflow import schedule

    wanted = _wanted(options, run_config)
    _, path = _compiled(run_config)
    removed = schedule.replace(
        server,
        server.experiment(options.experiment),
        run_config.name,
        _upload(server, run_config.name, path),
        pipeline_root=compiler.settings(run_config).pipeline_root,
        service_account=options.service_account or compiler.settings(run_config).service_account,
        **schedule.settings(wanted),
    )
    rhythm = f"at {wanted.cron} (UTC)" if wanted.cron else f"every {wanted.interval_minutes} minutes"
    print(f"{run_config.name}: runs {rhythm}; {_told(removed)}")
    return SUCCEEDED


def _unschedule(options: argparse.Namespace, run_config: Config, server: Server) -> int:
    from kubeflow import schedule

    experiment_id = server.find_experiment(options.experiment)
    removed = schedule.remove(server, experiment_id, run_config.name) if experiment_id else schedule.Removed(0, 0)
    print(f"{run_config.name}: {_told(removed)}")
    return SUCCEEDED


def _told(removed: Removed) -> str:
    line = f"recurring runs removed: {removed.deleted}"
    if removed.kept:
        line += (
            f"; disabled, since a run of theirs goes on: {removed.kept} (deleting them would end it; the next schedule "
            "or unschedule deletes them)"
        )
    return line


def _status(options: argparse.Namespace, run_config: Config, server: Server) -> int:
    from kubeflow import status

    found = status.collect(server, options.experiment)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        status.show(found, sys.stdout)
    return SUCCEEDED


_COMMANDS = {"run": _run, "schedule": _schedule, "unschedule": _unschedule, "status": _status}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
