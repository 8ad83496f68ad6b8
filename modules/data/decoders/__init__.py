"""One decoder per file format, as TensorFlow operations of the transform graph.

Each makes the pixels that Pillow makes of the same file: TensorFlow's own decoders ignore masks, palettes, offsets,
transparency and orientation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import tensorflow as tf


class Decoder(Protocol):
    """What each module in this folder is that decodes a format."""

    @property
    def MAGIC(self) -> bytes:
        """The first bytes of a file of the format."""

    def decode(self, encoded: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Decodes a file of the format.

        Args:
          encoded: string scalar.
          max_pixels: a picture with more pixels is refused before it is decoded.

        Returns:
          uint8 [height, width, 3], as stored, and the orientation, int32 scalar, 1 to 8.

        Raises:
          tf.errors.InvalidArgumentError: see `decoding.decode`.
        """
