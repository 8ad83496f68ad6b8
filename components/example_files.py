"""The files of a split of examples."""

from __future__ import annotations

import tensorflow as tf
from tfx import types
from tfx.types import artifact_utils
from tfx.utils import io_utils


def of_split(examples: types.Artifact, split: str) -> list[str]:
    """Paths of the TFRecords of one split, compressed with gzip, sorted.

    Args:
      examples: as ImageExampleGen writes them.
      split: its name.
    """
    return sorted(tf.io.gfile.glob(io_utils.all_files_pattern(artifact_utils.get_split_uri([examples], split))))
