"""Steps of a Beam pipeline that fail, each in another way; worker processes import this file."""

from __future__ import annotations

from typing import NoReturn

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from config.beam import BeamConfig
from config.errors import BadInputError


class PhotoError(BadInputError):
    """Beam can't make it a second time: it takes two arguments."""

    def __init__(self, photo: str, problem: str):
        super().__init__(f"{photo}: {problem}")


def bad_input(_: int) -> NoReturn:
    raise BadInputError("photos/a.png: has changed while it was read")


def subclass(_: int) -> NoReturn:
    raise PhotoError("photos/a.png", "has changed")


def several_lines(_: int) -> NoReturn:
    raise BadInputError("the images don't fit the schema:\n  label: unexpected\n\n  height: out of range")


def because_of_another(_: int) -> NoReturn:
    try:
        raise OSError(5, "Input/output error")
    except OSError as error:
        raise BadInputError("photos can't be read") from error


def after_bad_input(_: int) -> NoReturn:
    try:
        raise BadInputError("photos/a.png: has changed")
    except BadInputError:
        raise KeyError("height") from None


def system_error(_: int) -> NoReturn:
    raise OSError(28, "No space left on device", "shard-0")


# What a person reads of each, and whether it is bad input.
EXPECTED = {
    bad_input: ("photos/a.png: has changed while it was read", True),
    subclass: ("photos/a.png: has changed", True),
    several_lines: ("the images don't fit the schema:\n  label: unexpected\n\n  height: out of range", True),
    because_of_another: ("photos can't be read", True),
    after_bad_input: ('KeyError: "height"', False),
    system_error: ("shard-0: the disk is full, or a quota is used up; free some space, and try again", False),
}


def caught(step, section: BeamConfig) -> Exception:
    """Runs a pipeline with that step; gives the error that ends it."""
    try:
        with beam.Pipeline(options=PipelineOptions(list(section.arguments()))) as pipeline:
            _ = pipeline | beam.Create([1]) | beam.Reshuffle() | "Write/Shard" >> beam.Map(step)
    except Exception as error:
        return error
    raise AssertionError(f"{step.__name__} did not fail")
