"""The subcommands of `regraft`, and what becomes of their errors.

Subcommands import what they need when they run: help, completion and usage errors must not wait for TensorFlow.
"""

from __future__ import annotations

import contextlib
from typing import Any

import click

from config import interruption
from config.errors import OF_THE_MACHINE, BadInputError, ExitCode
from pipeline import metadata_lock, system_errors
from regraft import completion, kubeflow_commands, labels, models, options, runs


class _Regraft(options.Commands):
    """All subcommands. The result of a subcommand is the exit code."""

    def invoke(self, context: click.Context) -> Any:
        """Runs a subcommand, and exits; a person sees an expected error as one message."""
        with interruption.handled():
            code = self._code(context)
        context.exit(code)

    def _code(self, context: click.Context) -> Any:
        try:
            with interruption.first():
                return super().invoke(context)
        except BadInputError as error:
            click.echo(str(error), err=True)
            return ExitCode.BAD_INPUT
        except OSError as error:
            if error.errno in OF_THE_MACHINE:
                click.echo(system_errors.sentence(str(error)), err=True)
                return ExitCode.FAILED
            if error.filename is None:
                raise
            click.echo(f"{error.filename}: {error.strerror}", err=True)
            return ExitCode.BAD_INPUT
        except metadata_lock.MetadataError as error:
            click.echo(str(error), err=True)
            return ExitCode.FAILED
        except KeyboardInterrupt:
            with contextlib.suppress(OSError):  # the terminal may be gone
                click.echo(interruption.message(), err=True)
            return interruption.exit_code()


@click.group(
    cls=_Regraft,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=options.example("regraft run fruit.yaml"),
)
@click.version_option(package_name="regraft", message="%(prog)s %(version)s")
def main() -> None:
    """Retrain image classifiers, and promote a model only after it passes every check."""


for command in (
    runs.run,
    runs.check,
    runs.freeze,
    models.predict,
    labels.relabel,
    runs.history,
    runs.explain,
    runs.report,
    runs.clean,
    models.versions,
    kubeflow_commands.group,
    completion.completion,
):
    main.add_command(command)
