"""A number that was measured on a sample of images, with its confidence bounds. This file loads no libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.gate import JudgedBy


@dataclass(frozen=True)
class Estimate:
    """A share, or a difference of two on the same images, and its one-sided confidence bounds; each in [-1, 1]."""

    value: float
    lower: float
    upper: float

    def judged_by(self, judged: JudgedBy) -> float:
        """The number itself, or one of its bounds."""
        return {"value": self.value, "lower": self.lower, "upper": self.upper}[judged]
