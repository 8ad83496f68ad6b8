"""The section `novelty`: whether the served model says that an image is unlike its training images."""

from __future__ import annotations

from pydantic import Field

from config.section import Section


class NoveltyConfig(Section):
    """The outputs `novelty` and `in_scope` of the served model; `novelty: null` leaves them out.

    docs/serving.md says how the score is computed. It changes no label and no probability.
    """

    max_false_rejects: float = Field(0.01, gt=0, le=0.5, allow_inf_nan=False)
    """Share of images like those of eval that the threshold may reject: `in_scope` is false for at most so many of
    them, on average over draws of eval; above 0 to 0.5; default 0.01. An eval split of fewer than 1/share - 1 images
    cannot guarantee it; Trainer then says so."""
