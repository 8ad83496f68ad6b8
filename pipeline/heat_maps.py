"""Heat maps of the places that speak for a served model's answers: for `regraft predict --why` and the report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from config.errors import BadInputError
from modules.serving import EXPLAIN

if TYPE_CHECKING:
    from PIL import Image

_BATCH = 32  # images
_COLOURS = "inferno"  # of matplotlib: as bright as it is hot, also to the colour-blind
_OPACITY = 0.7  # of the hottest place
_SMALLEST_SIDE = 320  # pixels of an overlay


@dataclass(frozen=True)
class HeatMap:
    """What a model answered to an image, and where it looked.

    Attributes:
      label: class name of the answer, which the heat speaks for.
      score: its probability.
      heat: float32 [rows, columns] in [0, 1]; the hottest place is 1.
      pixels: uint8 [height, width, 3], RGB: the image as the model saw it, which the rows and columns divide evenly.
    """

    label: str
    score: float
    heat: np.ndarray
    pixels: np.ndarray

    @property
    def overlay(self) -> Image.Image:
        """The image as the model saw it, with the heat on it; each side has 320 pixels or more."""
        from matplotlib import colormaps
        from PIL import Image

        height, width = self.pixels.shape[:2]
        factor = -(-_SMALLEST_SIDE // min(height, width))
        size = width * factor, height * factor
        photo = np.asarray(Image.fromarray(self.pixels).resize(size, Image.Resampling.BICUBIC), np.float32)
        heat = np.asarray(Image.fromarray(self.heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
        colours = 255 * colormaps[_COLOURS](heat)[..., :3]
        opacity = _OPACITY * heat[..., np.newaxis]
        return Image.fromarray(np.rint((1 - opacity) * photo + opacity * colours).astype(np.uint8))


def draw(model_dir: str | Path, images: Sequence[bytes]) -> list[HeatMap]:
    """Draws the heat map of each image.

    Args:
      model_dir: folder of a version, or of any SavedModel that Trainer has made.
      images: encoded, as the model decodes them.

    Raises:
      BadInputError: if it has no heat maps.
      tf.errors.InvalidArgumentError: if it cannot decode an image.
    """
    from modules.serving import loaded

    with _graphs_as_they_are():
        model = loaded.load(model_dir)  # its signatures hold its variables weakly
        explain = signature(model, Path(model_dir))
        return [
            heat_map
            for start in range(0, len(images), _BATCH)
            for heat_map in explained(explain, images[start : start + _BATCH])
        ]


@contextlib.contextmanager
def _graphs_as_they_are() -> Iterator[None]:
    """TensorFlow does not optimise graphs: for a few images, that would take longer than it saves."""
    import tensorflow as tf

    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False, **before})


def signature(model: Any, version: Path) -> Any:
    """The signature that draws heat maps.

    Args:
      model: as tf.saved_model.load gives it.
      version: its folder, for the message.

    Raises:
      BadInputError: if it has none.
    """
    if EXPLAIN not in model.signatures:
        raise BadInputError(
            f"{version}: the model draws no heat maps (it has no signature {EXPLAIN}): its backbone has no feature "
            "map, or it was trained before Regraft made the signature; train again, or leave out --why"
        )
    return model.signatures[EXPLAIN]


def explained(explain: Any, images: Sequence[bytes]) -> list[HeatMap]:
    """The heat maps of one batch of encoded images, with what `signature` gives."""
    import tensorflow as tf

    answer = {name: tensor.numpy() for name, tensor in explain(images=tf.constant(list(images))).items()}
    columns = (answer[name] for name in ("label", "score", "heat_maps", "pixels"))
    return [
        HeatMap(label.decode("utf-8"), float(score), heat, pixels)
        for label, score, heat, pixels in zip(*columns, strict=True)
    ]
