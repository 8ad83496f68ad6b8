import io

import numpy as np
import pytest
import tensorflow as tf
from drawing import encode, flat, stripes
from PIL import Image
from tensorflow.python.framework import op_def_registry

from modules.data import decoding


def decode(encoded: bytes) -> np.ndarray:
    return decoding.decode(tf.constant(encoded)).numpy()


def graph(*options) -> tf.types.experimental.ConcreteFunction:
    """As Transform traces it, which is stricter than eager execution."""
    function = tf.function(lambda images: decoding.decode_and_resize(images, *options), autograph=False)
    return function.get_concrete_function(tf.TensorSpec([None], tf.string))


def resized(images: tf.Tensor, *options) -> tf.Tensor:
    return graph(*options)(images)


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "L", {}),
        ("PNG", "LA", {}),
        ("PNG", "P", {}),
        ("PNG", "1", {}),
        ("BMP", "RGB", {}),
        ("BMP", "RGBA", {}),
        ("GIF", "P", {}),
        ("JPEG", "RGB", {"quality": 95}),
        ("JPEG", "L", {"quality": 95}),
        ("JPEG", "CMYK", {"quality": 95}),
        ("JPEG", "RGB", {"quality": 95, "progressive": True}),
    ],
)
def test_every_format_and_channel_count_becomes_the_rgb_that_pillow_sees(kind, mode, options):
    encoded = encode(stripes(48), kind, mode, **options)
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)
    decoded = decode(encoded)
    assert decoded.shape == (48, 48, 3) and decoded.dtype == np.uint8
    tolerance = 8 if kind == "JPEG" else 0  # two JPEG decoders need not agree to the bit
    assert np.abs(decoded.astype(int) - expected).mean() <= tolerance


def test_an_animation_becomes_its_first_frame():
    frames = [Image.fromarray(flat(colour)) for colour in ("cyan", "magenta")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(buffer.getvalue())[0, 0], (0, 255, 255))


@pytest.mark.parametrize(("highest", "divisor"), [(255, 1), (256, 16), (4095, 16), (4096, 256), (65535, 256)])
def test_the_upper_eight_of_the_bits_in_use_are_kept(highest, divisor):
    image = np.array([[0, highest // 2], [highest - 1, highest]], np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    np.testing.assert_array_equal(decode(buffer.getvalue())[:, :, 0], image // divisor)


def test_sixteen_bits_are_cut_to_eight():
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), 0x80FF, np.uint16)).save(buffer, "PNG")
    np.testing.assert_array_equal(decode(buffer.getvalue()), np.full((4, 4, 3), 0x80))


@pytest.mark.parametrize("encoded", [b"", b"hello", encode(stripes(64), "JPEG")[:500], encode(stripes(64))[:150]])
def test_what_is_no_whole_image_raises(encoded):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(encoded)


def test_images_of_all_sizes_are_resized_in_one_batch_and_keep_their_colours():
    images = [encode(flat("cyan", (10, 90))), encode(flat("magenta", (200, 20)), "JPEG", quality=95)]
    batch = resized(tf.constant(images), 32).numpy()
    assert batch.shape == (2, 32, 32, 3) and batch.dtype == np.float32
    np.testing.assert_allclose(batch[0], np.broadcast_to((0, 255, 255), (32, 32, 3)), atol=1e-3)
    np.testing.assert_allclose(batch[1], np.broadcast_to((255, 0, 255), (32, 32, 3)), atol=4)


@pytest.mark.parametrize("aspect", ["resize", "crop", "pad"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest", "area", "lanczos3"])
def test_a_side_has_at_least_one_pixel_whatever_the_shape(aspect, interpolation):
    shapes = [(8, 1000), (1000, 8), (1, 3000), (3000, 1), (1, 1)]
    images = tf.constant([encode(flat("cyan", shape)) for shape in shapes])
    batch = resized(images, 32, aspect, interpolation).numpy()
    assert batch.shape == (len(shapes), 32, 32, 3)
    for image in batch:
        np.testing.assert_allclose(image[15, 15], (0, 255, 255), atol=1e-3)


@pytest.mark.parametrize("shape", [(30, 40), (40, 30), (97, 13), (13, 97), (32, 32)])
def test_padding_is_that_of_tensorflow_wherever_tensorflow_has_one(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    expected = tf.image.resize_with_pad(image, 32, 32, method="bilinear", antialias=True)
    batch = resized(tf.constant([encode(image)]), 32, "pad").numpy()
    np.testing.assert_allclose(batch[0], expected, atol=1e-3)


def test_shrinking_averages_instead_of_picking_pixels():
    """Without antialiasing, one-pixel stripes would come out as stripes or as one flat value of 0 or 255."""
    image = np.zeros((256, 256, 3), np.uint8)
    image[:, ::2] = 255
    batch = resized(tf.constant([encode(image)]), 32).numpy()
    np.testing.assert_allclose(batch[0, 4:-4, 4:-4], 127.5, atol=10)


@pytest.mark.parametrize("aspect", ["resize", "crop", "pad"])
def test_the_graph_has_no_operation_with_state(aspect):
    """Such operations run even if their result is not wanted: Transform's analysis would decode every image."""
    definition = graph(32, aspect).graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    found = {name: op_def_registry.get(name) for name in {node.op for node in nodes}}
    assert [name for name, operation in found.items() if operation is not None and operation.is_stateful] == []


def test_a_process_traces_each_decoder_once():
    first, second = ({function.name for function in graph(side).graph._functions.values()} for side in (32, 64))
    decoders = {name for name in first if name.startswith(b"__inference_") and b"wrapped" not in name}
    assert any(b"orientation" in name for name in decoders) and decoders <= second


def turned_by_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"exif": turned_by_exif()}),
        ("JPEG", "CMYK", {}),
        ("PNG", "RGB", {}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("WEBP", "RGB", {}),
    ],
)
def test_every_format_is_decoded_in_a_session_as_tf_serving_runs_it(kind, mode, options):
    """A session rewrites loops and branches, which eager execution leaves as they are."""
    encoded = [encode(image, kind, mode, **options) for image in (stripes(40)[:24], flat((200, 10, 30)))]
    with tf.Graph().as_default() as session_graph:
        images = tf.compat.v1.placeholder(tf.string, [None])
        resized_images = decoding.decode_and_resize(images, 16)
    with tf.compat.v1.Session(graph=session_graph) as session:
        found = session.run(resized_images, {images: encoded})
    np.testing.assert_allclose(found, decoding.decode_and_resize(tf.constant(encoded), 16), atol=1e-3)
    np.testing.assert_allclose(found[1].mean(axis=(0, 1)), (200, 10, 30), atol=3)
