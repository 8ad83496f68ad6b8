"""The subcommand about labels: `relabel`."""

from __future__ import annotations

import sys

import click

from config.errors import ExitCode
from regraft import options


@click.command(epilog=options.example("regraft relabel suspects.csv --config fruit.yaml --output labels.csv"))
@click.argument("suspects", type=click.Path(dir_okay=False))
@click.option(
    "--config",
    required=True,
    envvar="PIPELINE_CONFIG",
    show_envvar=True,
    metavar="CONFIG",
    type=click.Path(dir_okay=False),
    help="The configuration file whose data is relabelled.",
)
@click.option(
    "--output",
    metavar="FILE",
    default="labels.csv",
    show_default=True,
    type=click.Path(dir_okay=False),
    help="The manifest; it must not exist yet.",
)
def relabel(suspects: str, config: str, output: str) -> ExitCode:
    """Write a manifest with your labels of suspect images.

    No image is changed.

    SUSPECTS is a copy of the suspects.csv of a run. Its column `decision` has the right class of an image, `-` to
    leave the image out, or nothing to leave the label as it is.
    """
    from pipeline import relabelling

    return relabelling.relabel(suspects, config, output, sys.stdout)
