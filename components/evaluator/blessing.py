"""TFX's ModelBlessing, where a check that TFMA does not make refuses a candidate."""

from __future__ import annotations

import os

from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.io import fileio
from tfx.utils import io_utils


def withdraw(blessing: types.Artifact) -> None:
    """Makes the blessing that TFX's Evaluator gave a refusal, as TFX writes one; a refusal stays as it is.

    Args:
      blessing: a ModelBlessing, as TFX's Evaluator leaves it.
    """
    blessed = os.path.join(blessing.uri, constants.BLESSED_FILE_NAME)
    # The refusal is there before the blessing goes: whoever reads the folder meanwhile finds a refusal.
    io_utils.write_string_file(os.path.join(blessing.uri, constants.NOT_BLESSED_FILE_NAME), "")
    if fileio.exists(blessed):
        fileio.remove(blessed)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.NOT_BLESSED_VALUE)
