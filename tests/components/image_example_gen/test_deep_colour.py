"""Files of 16 bits per channel show what was drawn, in training and in serving, or are refused: never nearly black."""

import io
import warnings

import deep_files
import numpy as np
import pytest
import tensorflow as tf
import variants
from deep_files import DeepFile
from PIL import Image

from components.image_example_gen import agreement, deep_colour, reference
from components.image_example_gen.inspection import inspect_image
from components.image_example_gen.quarantine import Reason, UnusableError
from config.data import IngestionConfig
from modules.data import decoding

GRAPH = tf.function(decoding.decode, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
PNGS = dict(deep_files.pngs())
OTHERS = dict([*deep_files.tiffs(), *deep_files.others()])


def assert_stored(file: DeepFile) -> None:
    """The example holds the picture that was drawn, and its facts are of that picture."""
    facts = inspect_image(file.encoded, IngestionConfig())
    stored = agreement.transcode_to_png(file.encoded) if facts.transcoded else file.encoded
    shown = GRAPH(tf.constant(stored)).numpy()
    np.testing.assert_allclose(shown.astype(int), file.truth.astype(int), atol=1)
    weights = (0.299, 0.587, 0.114)
    assert facts.brightness == pytest.approx((file.truth @ weights).mean() / 255, abs=0.02)


@pytest.mark.parametrize("name", sorted(PNGS))
def test_the_example_and_the_graph_on_the_original_show_what_a_deep_png_holds(name):
    assert_stored(PNGS[name])
    if not name.endswith("odd"):  # TensorFlow may refuse these originals
        shown = GRAPH(tf.constant(PNGS[name].encoded)).numpy().astype(int)
        np.testing.assert_allclose(shown, PNGS[name].truth.astype(int), atol=1)


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_other_deep_files_are_stored_rightly_or_quarantined(name):
    with pytest.raises(tf.errors.InvalidArgumentError):
        GRAPH(tf.constant(OTHERS[name].encoded))
    if OTHERS[name].truth is not None:
        assert_stored(OTHERS[name])
        return
    with pytest.raises(UnusableError, match=r"16 bits per channel.*save it as PNG") as caught:
        inspect_image(OTHERS[name].encoded, IngestionConfig())
    assert caught.value.rejection.reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(("bits", "cut"), [(8, False), (12, False), (16, True)])
def test_the_depth_of_a_jpeg_2000_is_read_from_its_header(bits, cut):
    """Pillow cannot write deep colours: the number in the header is changed."""
    encoded = bytearray(variants.save(Image.fromarray(variants.picture()), "JPEG2000"))
    at = encoded.index(b"\xff\x4f\xff\x51") + 42
    assert encoded[at : at + 9 : 3] == b"\7\7\7"
    encoded[at : at + 9 : 3] = bytes([bits - 1] * 3)
    with Image.open(io.BytesIO(encoded)) as image:
        assert deep_colour.is_cut(bytes(encoded), image) is cut


def test_damaged_metadata_warn_nobody_even_if_another_library_sets_filters():
    encoded = variants.jpeg_with(b"Exif\0\0" + variants.exif(6)[:-8])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        inspect_image(encoded, IngestionConfig())
        with reference.open_image(encoded) as image:
            reference.orientation_of(image)
    assert not [str(warning.message) for warning in seen]
