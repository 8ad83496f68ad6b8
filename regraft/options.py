"""Arguments and options that several subcommands share."""

from __future__ import annotations

import click

from pipeline.workspace import DEFAULT_WORKSPACE


class Commands(click.Group):
    """Subcommands, listed in the order in which they were added."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)


def example(*lines: str) -> str:
    """The epilog of a help text: example commands, which click does not rewrap."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def _required(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if value is None:
        raise click.UsageError("CONFIG is required; name a YAML file, or set the environment variable PIPELINE_CONFIG")
    return value


config = click.argument(
    "config", required=False, envvar="PIPELINE_CONFIG", type=click.Path(dir_okay=False), callback=_required
)
workspace = click.option(
    "--workspace",
    metavar="DIR",
    default=DEFAULT_WORKSPACE,
    envvar="PIPELINE_WORKSPACE",
    show_default=True,
    show_envvar=True,
    type=click.Path(file_okay=False),
    help="Folder for the files of all runs.",
)
