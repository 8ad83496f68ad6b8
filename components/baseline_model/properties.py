"""Properties of BaselineModel's output artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfx import types

VERSION = "version"  # the version in production that the artifact is a copy of
ABSENT = "absent"  # 1 if nothing was in production; then the artifact has no model


def is_absent(baseline: types.Artifact) -> bool:
    """Whether nothing was in production when BaselineModel ran."""
    return bool(baseline.get_int_custom_property(ABSENT))
