"""The section `tuner`: how many trials there are, and what they search."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from config.section import Section


class TunerConfig(Section):
    """The stage Tuner, which tries values of the sections `head` and `training` before Trainer trains with the best.

    docs/tuning.md describes the search, and the fields that are searched by default.
    """

    trials: int = Field(20, ge=1, le=1000)
    """Combinations of values that are tried; the first one is the configuration as it is. 1 to 1000; default 20."""
    minutes: float | None = Field(None, gt=0, allow_inf_nan=False)
    """No trial begins after this many minutes; above 0; default: no limit."""
    search: dict[str, list[Any]] | None = Field(None, min_length=1)
    """The fields to search, and the values to try for each of them: `training.head.learning_rate: [1.0e-3, 3.0e-3]`.
    They are searched even if the configuration sets them. Default: the fields in docs/tuning.md that the configuration
    does not set."""
    cross_validate_below: int = Field(500, ge=0)
    """With fewer images in `eval` than this, trials are scored by cross-validation over `train` and `eval` together; 0
    or more; default 500."""
