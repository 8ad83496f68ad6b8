"""Subcommands about pushed models: `predict` and `versions`."""

from __future__ import annotations

import os
import sys

import click

from config.errors import ExitCode
from regraft import options

_directory = click.argument("directory", type=click.Path(file_okay=False))


@click.command(epilog=options.example("regraft predict workspace/fruit/serving photo.jpg another.png"))
@click.argument("model_dir", metavar="MODEL", type=click.Path())
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path())
@click.option("--why", is_flag=True, help="Also write IMAGE.why.png: the image with the places that decided marked.")
@click.option(
    "--why-dir",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="For the pictures of --why, which replace files of the same name; default: here.",
)
def predict(model_dir: str, images: tuple[str, ...], why: bool, why_dir: str | None) -> ExitCode:
    """Classify images; print one JSON object per line.

    MODEL is a version, or a folder of versions; then the newest is used. It may also be a file of the
    section `export`: .tflite or .onnx. IMAGE is a file that TensorFlow can decode: JPEG, PNG, GIF, BMP
    or WebP.
    """
    from pipeline import predict as prediction

    if why_dir is not None and not why:
        raise click.UsageError("--why-dir needs --why")
    return prediction.predict(model_dir, images, sys.stdout, (why_dir or os.curdir) if why else None)


@click.group(cls=options.Commands, epilog=options.example("regraft versions list workspace/fruit/serving"))
def versions() -> None:
    """List pushed versions; make another one current."""


@versions.command("list", epilog=options.example("regraft versions list workspace/fruit/serving"))
@_directory
def list_versions(directory: str) -> ExitCode:
    """List all versions.

    DIRECTORY is `push.directory` of the configuration, or <workspace>/<pipeline name>/serving.
    """
    from pipeline import versions as pushed

    pushed.print_versions(pushed.opened(directory), sys.stdout)
    return ExitCode.OK


@versions.command(epilog=options.example("regraft versions rollback workspace/fruit/serving --to 3"))
@_directory
@click.option("--to", "to", type=int, metavar="VERSION", help="Default: the newest other model not rolled back.")
def rollback(directory: str, to: int | None) -> ExitCode:
    """Make an earlier version current.

    Later runs do not push the rolled-back model again. DIRECTORY is `push.directory` of the configuration, or
    <workspace>/<pipeline name>/serving.
    """
    from pipeline import versions as pushed

    pushed.roll_back(pushed.opened(directory), to, sys.stdout)
    return ExitCode.OK


@versions.command(epilog=options.example("regraft versions promote models/staging 4 --into models/production"))
@_directory
@click.argument("version", type=int)
@click.option(
    "--into", metavar="DIRECTORY", type=click.Path(file_okay=False), help="Where it becomes current; default: here."
)
def promote(directory: str, version: int, into: str | None) -> ExitCode:
    """Make a version current, also in another directory.

    DIRECTORY is `push.directory` of the configuration, or <workspace>/<pipeline name>/serving.
    """
    from components.serving_directory import ServingDirectory
    from config.serving import check_is_local
    from pipeline import versions as pushed

    source = pushed.opened(directory)
    check_is_local(into or "")
    pushed.promote(source, version, ServingDirectory(into) if into else source, sys.stdout)
    return ExitCode.OK
