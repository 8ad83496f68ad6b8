"""Runs and schedules the pipeline on a Kubeflow Pipelines server: for `regraft kubeflow`."""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from config import interruption
from config.errors import BadInputError, ExitCode
from kubeflow import parameters

if TYPE_CHECKING:
    from config.kubeflow import KubeflowConfig, Schedule
    from config.run import RunConfig
    from kubeflow.client import Server, Version
    from kubeflow.package import Package
    from kubeflow.schedule import Removed

_TOKEN = "KFP_TOKEN"  # noqa: S105  the variable's name


@dataclass(frozen=True)
class ServerOptions:
    """Which server, and which part of it.

    Attributes:
      host: address of Kubeflow Pipelines, with http:// or https://; None or empty is refused.
      namespace: the user's; None on a server for a single user.
      experiment: name; None: the pipeline's name.
      ca_certificate: file with the certificate of the authority that signed the server's; None: a public one.
    """

    host: str | None
    namespace: str | None = None
    experiment: str | None = None
    ca_certificate: str | None = None


@dataclass(frozen=True)
class Session:
    """A connection to a server for one pipeline.

    Attributes:
      config: of the pipeline.
      section: its section `kubeflow`.
      experiment: name.
      server: where it is.
    """

    config: RunConfig
    section: KubeflowConfig
    experiment: str
    server: Server


def run(
    config_path: str,
    options: ServerOptions,
    changes: Sequence[str] = (),
    service_account: str | None = None,
    use_cache: bool = True,
    wait: bool = True,
) -> ExitCode:
    """Uploads the pipeline, starts a run, and waits until the run ends.

    Args:
      config_path: of the configuration file.
      options: of the server.
      changes: `name=value` for parameters that have another value in this run.
      service_account: of the pods; None: that of the configuration.
      use_cache: whether Kubeflow's cache may answer for stages.
      wait: whether to wait.

    Returns:
      OK if the run succeeded, or was only started; NOT_BLESSED, INTERRUPTED or FAILED.

    Raises:
      BadInputError: if an option or the configuration is wrong.
    """
    texts = parameters.split(changes)

    def work(session: Session) -> ExitCode:
        config, section, server = session.config, session.section, session.server
        package, path = _compiled(config, use_cache)
        values = parameters.values(texts, package, config)
        version = _upload(server, config.name, path)
        run_id = server.start(
            server.experiment(session.experiment),
            f"{config.name} {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC",
            version,
            values,
            section.pipeline_root,
            service_account or section.service_account,
        )
        print(f"run {run_id}: {server.run_url(run_id)}", flush=True)
        return _wait(server, run_id, list(package.tasks)) if wait else ExitCode.OK

    return _connected(config_path, options, work)


def schedule(config_path: str, options: ServerOptions, service_account: str | None = None) -> ExitCode:
    """Uploads the pipeline, and schedules it in place of its schedule so far.

    Args:
      config_path: of the configuration file, which has `kubeflow.schedule`.
      options: of the server.
      service_account: of the pods; None: that of the configuration.

    Raises:
      BadInputError: if an option or the configuration is wrong.
    """

    def work(session: Session) -> ExitCode:
        from kubeflow import schedule as schedules

        config, section, server = session.config, session.section, session.server
        wanted = _schedule_of(config_path, section)
        _, path = _compiled(config)
        removed = schedules.replace(
            server,
            server.experiment(session.experiment),
            config.name,
            _upload(server, config.name, path),
            pipeline_root=section.pipeline_root,
            service_account=service_account or section.service_account,
            **schedules.settings(wanted),
        )
        when = f"at {wanted.cron} (UTC)" if wanted.cron else f"every {wanted.interval_minutes} minutes"
        print(f"{config.name}: runs {when}; {_removed_line(removed)}")
        return ExitCode.OK

    return _connected(config_path, options, work, check=lambda section: _schedule_of(config_path, section))


def unschedule(config_path: str, options: ServerOptions) -> ExitCode:
    """Stops the schedule of the pipeline.

    Raises:
      BadInputError: if an option or the configuration is wrong.
    """

    def work(session: Session) -> ExitCode:
        from kubeflow import schedule as schedules

        name = session.config.name
        found = session.server.find_experiment(session.experiment)
        removed = schedules.remove(session.server, found, name) if found else schedules.Removed(0, 0)
        print(f"{name}: {_removed_line(removed)}")
        return ExitCode.OK

    return _connected(config_path, options, work)


def status(config_path: str, options: ServerOptions, as_json: bool = False) -> ExitCode:
    """Prints the schedule and the last runs of the pipeline.

    Raises:
      BadInputError: if an option or the configuration is wrong.
    """

    def work(session: Session) -> ExitCode:
        from kubeflow import status as statuses

        found = statuses.collect(session.server, session.experiment)
        if as_json:
            print(json.dumps(found, indent=2))
        else:
            statuses.show(found, sys.stdout)
        return ExitCode.OK

    return _connected(config_path, options, work)


def report(run_id: str, options: ServerOptions, output: str | None = None) -> ExitCode:
    """Downloads the report that a run has made.

    Args:
      run_id: the server's id of the run.
      options: of the server; its address is that of the user interface.
      output: the file to write; None: `report-<run id>.html` in the current folder.

    Raises:
      BadInputError: if an option or the id is wrong, or the file cannot be written.
    """
    if not re.fullmatch(r"[0-9A-Za-z-]{1,64}", run_id):
        raise BadInputError(f"RUN: an id is expected; `regraft kubeflow status` lists them. Received: {run_id!r}")
    host = _checked_host(options)
    from kubeflow import artifact_store, connection
    from modules.files import atomic_write, check_output

    path = output or f"report-{run_id}.html"
    check_output("--output", path)
    try:
        store = artifact_store.ArtifactStore(host, options.namespace, _token(), options.ca_certificate)
        atomic_write(path, store.page(run_id))
    except connection.ServerError as error:
        print(error, file=sys.stderr)
        return ExitCode.FAILED
    print(path)
    return ExitCode.OK


def _connected(
    config_path: str,
    options: ServerOptions,
    work: Callable[[Session], ExitCode],
    check: Callable[[KubeflowConfig], object] = lambda section: None,
) -> ExitCode:
    """Does the work on the server. What is wrong without the server is refused before it is asked."""
    host = _checked_host(options)
    from kubeflow import client, connection  # kfp takes a second
    from kubeflow import compile as compiler

    config = compiler.load(config_path)
    section = compiler.section_of(config)
    check(section)
    try:
        server = client.Server(host, options.namespace, _token(), options.ca_certificate)
        return work(Session(config, section, options.experiment or config.name, server))
    except connection.ServerError as error:
        print(error, file=sys.stderr)
        return ExitCode.FAILED


def _checked_host(options: ServerOptions) -> str:
    """The server's address; refuses wrong options."""
    if not options.host or not _is_address(options.host):
        raise BadInputError(
            "--host: an address with http:// or https:// is expected; the environment variable KFP_HOST also sets it. "
            + (f"Received: {options.host!r}" if options.host else "No address was given")
        )
    if re.search(r"[^!-~]", _token() or ""):
        raise BadInputError(f"{_TOKEN}: a token without spaces and line breaks is expected")
    if options.ca_certificate and not Path(options.ca_certificate).is_file():
        raise BadInputError(f"--ca-certificate: there is no such file. Received: {options.ca_certificate!r}")
    return options.host


def _is_address(host: str) -> bool:
    try:
        address = urlsplit(host)
        return address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:  # wrong brackets, or a port that is not a number
        return False


def _token() -> str | None:
    """The token, without the line break that it has if it was read from a file."""
    return os.environ.get(_TOKEN, "").strip() or None


def _schedule_of(config_path: str, section: KubeflowConfig) -> Schedule:
    if section.schedule is None:
        raise BadInputError(f"{config_path}: kubeflow.schedule: is required; docs/configuration.md has its fields")
    return section.schedule


def _compiled(config: RunConfig, use_cache: bool = True) -> tuple[Package, Path]:
    """The package and its file."""
    from kubeflow import compile as compiler
    from pipeline import console

    path = compiler.DEFAULT_FOLDER / f"{config.name}{'' if use_cache else '.no-cache'}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    print("compiling", flush=True)
    with console.redirected(path.with_suffix(".log")):  # TensorFlow and TFX print a lot
        package = compiler.build(config)
    if not use_cache:
        # The package itself must say so: the server runs an uploaded version as it is, and kfp.Client ignores its own
        # option for the cache unless a file is sent together with the run.
        for task in package.tasks.values():
            task.pop("cachingOptions", None)
    package.write(path)
    return package, path


def _upload(server: Server, name: str, path: Path) -> Version:
    version = server.upload(name, path)
    print(f"{name}: {'uploaded as version' if version.new else 'unchanged, is version'} {version.name}", flush=True)
    return version


def _wait(server: Server, run_id: str, tasks: list[str]) -> ExitCode:
    from kubeflow import watch
    from kubeflow.connection import ServerError

    url = server.run_url(run_id)
    try:
        return watch.wait(server, run_id, tasks)
    except KeyboardInterrupt:
        print(f"{interruption.message()}; the run continues: {url}", file=sys.stderr)
        return interruption.exit_code()
    except ServerError as error:
        raise ServerError(f"{error}; the run continues: {url}") from None


def _removed_line(removed: Removed) -> str:
    line = f"recurring runs removed: {removed.deleted}"
    if removed.kept:
        line += (
            f"; disabled, because a run of theirs has not ended: {removed.kept} (deleting them now would end that run; "
            "the next schedule or unschedule deletes them)"
        )
    return line
