"""The section `label_check`: which labels are called wrong, and which images are worth a look."""

from __future__ import annotations

from pydantic import Field

from config.section import PositiveShare, Section


class LabelCheckConfig(Section):
    """The stage LabelCheck, which looks for wrong labels in all splits; `label_check: null` switches it off.

    docs/data.md says how it finds them. Nothing of its results goes to Trainer.
    """

    wrong: PositiveShare = 0.45
    """A label is `likely wrong` if the probability that it is wrong is at least this; above 0, at most 1; default 0.45,
    with which nine of ten that are named are wrong; see docs/benchmarks.md."""
    unexpected: PositiveShare = 0.1
    """Any other label is worth a `check` if a classifier that has not seen the image gives it less than this
    probability; above 0, at most 1; default 0.1."""
    most: int = Field(1000, ge=1, le=1_000_000)
    """How many images of each kind and split are listed, the most suspect first; 1 to 1,000,000; default 1000."""
