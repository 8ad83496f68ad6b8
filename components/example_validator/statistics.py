"""Where StatisticsGen keeps the statistics of a split."""

from __future__ import annotations

import os

from tfx import types
from tfx.types import artifact_utils

_FILE = "FeatureStats.pb"


def path(statistics: types.Artifact, split: str) -> str:
    """The file of a split's statistics."""
    return os.path.join(artifact_utils.get_split_uri([statistics], split), _FILE)
