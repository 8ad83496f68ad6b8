"""The pixels of a file: those that the transform graph makes, if Pillow makes the same.

TensorFlow's picture of each file is held against Pillow's. Where TensorFlow cannot decode the file, or makes another
picture, the example holds Pillow's picture as PNG. A file that is damaged is rejected, also if decoders fill up what is
missing.
"""

from __future__ import annotations

import functools
import threading
from typing import NamedTuple

import numpy as np
import PIL.Image
import tensorflow as tf

from components.image_example_gen import comparison, jpeg_scans, near_duplicates, png_repair, reference
from components.image_example_gen.quarantine import Reason, UnusableError
from config.errors import one_line, op_message
from modules.data import decoding, features
from modules.data.decoders import png

_UNUSABLE = (
    tf.errors.InvalidArgumentError,
    tf.errors.ResourceExhaustedError,
    tf.errors.DataLossError,
    tf.errors.OutOfRangeError,
)
_making_graphs = threading.Lock()
_CUT = "the file ends before its picture does"


class Decoded(NamedTuple):
    """An image.

    Attributes:
      size: width and height, pixels, upright.
      small: RGB, see `near_duplicates.shrink`.
      transcoded: whether the example must hold `transcode_to_png` of the file.
    """

    size: tuple[int, int]
    small: PIL.Image.Image
    transcoded: bool


def open_image(encoded: bytes) -> PIL.Image.Image:
    """Reads the header of a file, for `decode`. Close the image after use.

    Raises:
      UnusableError: if Pillow cannot read it.
    """
    return reference.open_image(jpeg_scans.with_filler(encoded) if encoded.startswith(jpeg_scans.MAGIC) else encoded)


def decode(encoded: bytes, image: PIL.Image.Image, format_name: str, max_pixels: int) -> Decoded:
    """Decodes a file with the operations of the transform graph.

    Args:
      encoded: the file's bytes.
      image: of `open_image`.
      format_name: see `features.FORMATS` and `features.TRANSCODED_FORMATS`.
      max_pixels: the graph refuses an image with more.

    Raises:
      UnusableError: if the file is damaged, or cannot be converted to RGB.
    """
    if format_name == "JPEG":
        decoded = _decode_jpeg(encoded, image, max_pixels)
    elif format_name in features.FORMATS:
        decoded = _decode_exactly(encoded, image, format_name, max_pixels)
    else:
        decoded = None
    return decoded or _decode_transcoded(encoded, max_pixels)


def transcode_to_png(encoded: bytes) -> bytes:
    """Pillow's picture of a file as PNG: upright, RGB or 16 bits of grey, transparency on a white background.

    Of a PNG that only the graph decodes rightly, the file without the chunks that keep TensorFlow from it.

    Raises:
      UnusableError: if Pillow cannot decode the image.
    """
    if _only_the_graph_knows(encoded):
        return png_repair.without_odd_chunks(encoded)
    return reference.to_png(reference.load(encoded))


def _only_the_graph_knows(encoded: bytes) -> bool:
    if not encoded.startswith(png.MAGIC):
        return False
    with reference.open_image(encoded) as image:
        return reference.loses_bits(encoded, image)


def _decode_jpeg(encoded: bytes, image: PIL.Image.Image, max_pixels: int) -> Decoded | None:
    """None if the file must be transcoded."""
    own, pixels, failure = None, np.zeros((0, 0, 3), np.uint8), UnusableError(Reason.TRUNCATED, _CUT)
    try:
        pixels = _run_graph(encoded, max_pixels)
    except UnusableError as error:
        if (
            jpeg_scans.with_filler(encoded) is encoded
        ):  # without an end marker, nothing says whether the picture is whole
            raise
        failure = error
    else:
        own = _describe(pixels)
    if not jpeg_scans.is_complete(encoded):
        raise failure
    preview = reference.preview_jpeg(image)
    agree = own is not None and comparison.alike(_grid(own), preview.grid())
    if agree and comparison.same_end(preview.as_stored(pixels), preview.reduced, preview.factor):
        return own
    # What decoders choose makes no difference between two pictures of one decoder.
    with reference.open_image(encoded) as original:
        if reference.preview_jpeg(original).reduced.tobytes() != preview.reduced.tobytes():
            raise failure
    return own if agree else None


def _grid(decoded: Decoded) -> PIL.Image.Image:
    return comparison.grid(decoded.small, near_duplicates.reduction(decoded.size), decoded.size)


def _decode_exactly(encoded: bytes, image: PIL.Image.Image, format_name: str, max_pixels: int) -> Decoded | None:
    """None if the file must be transcoded."""
    try:
        pixels = _run_graph(encoded, max_pixels)
    except UnusableError:
        if format_name == "GIF":
            raise
        if format_name == "PNG":  # if more than metadata is damaged, this fails, too
            _run_graph(png_repair.without_odd_chunks(encoded), max_pixels)
        return None
    if reference.loses_bits(encoded, image):  # only the graph knows the picture
        return _describe(pixels)
    top = reference.load_top(encoded, image) if format_name == "PNG" else None
    if top is None:
        agree = comparison.same_pixels(PIL.Image.fromarray(pixels), reference.as_rgb(reference.decode(image)))
    else:
        agree = pixels.shape[1::-1] == image.size and comparison.same_pixels(
            PIL.Image.fromarray(pixels[: top.height]), reference.as_rgb(top)
        )
    return _describe(pixels) if agree else None


def _decode_transcoded(encoded: bytes, max_pixels: int) -> Decoded:
    if _only_the_graph_knows(encoded):
        return _describe(_run_graph(transcode_to_png(encoded), max_pixels))._replace(transcoded=True)
    picture = reference.load(encoded)
    pixels = _run_graph(reference.to_png(picture), max_pixels)
    if not comparison.same_pixels(PIL.Image.fromarray(pixels), reference.as_rgb(picture)):
        raise UnusableError(Reason.UNSUPPORTED_FORMAT, "TensorFlow and Pillow disagree on the image, even as PNG")
    return _describe(pixels)._replace(transcoded=True)


def _describe(pixels: np.ndarray) -> Decoded:
    height, width = pixels.shape[:2]
    return Decoded((width, height), near_duplicates.shrink(pixels), False)


def _graph(max_pixels: int, is_jpeg: bool) -> tf.types.experimental.ConcreteFunction:
    """One graph for all threads; the first one that comes makes it, which takes a second."""
    with _making_graphs:
        return _make_graph(max_pixels, is_jpeg)


@functools.cache
def _make_graph(max_pixels: int, is_jpeg: bool) -> tf.types.experimental.ConcreteFunction:
    """A tf.function would look this up at each call, which takes as long as decoding a small picture."""
    decode, signature = decoding.decode_jpeg if is_jpeg else decoding.decode, [tf.TensorSpec([], tf.string)]
    graph = tf.function(lambda encoded: decode(encoded, max_pixels), input_signature=signature, autograph=False)
    return graph.get_concrete_function()


def _run_graph(encoded: bytes, max_pixels: int) -> np.ndarray:
    try:
        return np.asarray(_graph(max_pixels, encoded.startswith(jpeg_scans.MAGIC))(tf.constant(encoded)))  # no copy
    except _UNUSABLE as error:
        raise UnusableError(Reason.TRUNCATED, one_line(op_message(error.message) or error)) from None
