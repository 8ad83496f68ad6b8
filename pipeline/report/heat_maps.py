"""Heat maps on the images that are shown large: which part of an image the model's answer depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from config.errors import BadInputError
from config.stages import CANDIDATE, TRAINER
from pipeline.report import pictures

if TYPE_CHECKING:
    from pipeline.report.album import Album
    from pipeline.report.run import ReportedRun


@dataclass(frozen=True)
class HeatMaps:
    """The pictures.

    Attributes:
      pictures: key to picture.
      reason: why there are none, in a sentence; empty if there are some.
    """

    pictures: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def collect(run: ReportedRun, album: Album) -> HeatMaps:
    """Draws them; a model that cannot explain its answers has none."""
    model = run.uri(TRAINER, "model") or run.uri(CANDIDATE, "result")
    if model is None or not album.files:
        return HeatMaps()
    import tensorflow as tf
    from tfx.utils import path_utils

    from pipeline.heat_maps import draw

    try:
        drawn = draw(path_utils.serving_model_path(model), list(album.files.values()))
    except BadInputError as error:
        return HeatMaps(reason=f"There are no heat maps: {error}")
    except (OSError, tf.errors.NotFoundError, tf.errors.DataLossError):
        return HeatMaps(reason="There are no heat maps: the files of the model are gone or damaged.")
    return HeatMaps({key: pictures.large_of(one.overlay) for key, one in zip(album.files, drawn, strict=True)})
