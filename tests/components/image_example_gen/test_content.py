import numpy as np
import pytest
import scipy.signal
from drawing import flat, stripes
from PIL import Image

from components.image_example_gen import content


def little(image: np.ndarray) -> bool:
    return content.measure(Image.fromarray(image)).is_little


def with_dot(background: tuple[int, int, int], side: int) -> np.ndarray:
    image = flat(background, (100, 100))
    image[:side, :side] = (0, 90, 200)
    return image


@pytest.mark.parametrize(
    "image",
    [
        flat((0, 0, 0)),
        flat((255, 255, 255)),
        np.random.default_rng(0).integers(100, 107, (50, 50, 3), np.uint8),  # 7 levels, as of 12 bits cut to 8
        np.random.default_rng(0).integers(0, 2, (50, 50, 3), np.uint8),
        with_dot((255, 255, 255), 20),
    ],
)
def test_blank_images_have_little_content(image):
    assert little(image)


@pytest.mark.parametrize(
    "image",
    [
        stripes(40),
        flat("cyan", (40, 40), seed=1),
        np.random.default_rng(0).integers(100, 130, (50, 50, 3), np.uint8),
        np.where(np.random.default_rng(0).random((28, 28, 1)) < 0.2, 255, 0).astype(np.uint8).repeat(3, axis=2),
        with_dot((255, 255, 255), 30),
    ],
)
def test_photos_and_drawings_in_two_colours_have_more(image):
    """Two grey levels far apart are a drawing, such as a written digit."""
    assert not little(image)


def test_sharpness_is_the_variance_of_the_laplacian():
    levels = np.random.default_rng(0).integers(0, 256, (40, 30)).astype(np.uint8)
    kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    laplacian = scipy.signal.convolve2d(levels.astype(int), kernel, mode="valid")
    assert content.sharpness(Image.fromarray(levels)) == pytest.approx(laplacian.var(), rel=1e-4)
    checks = (np.indices((20, 20)).sum(axis=0) % 2 * 255).astype(np.uint8)  # the highest values there are
    assert content.sharpness(Image.fromarray(checks)) == pytest.approx(1020**2)
    assert content.sharpness(Image.fromarray(levels[:2])) == 0


def test_brightness_is_that_of_pillow():
    image = Image.fromarray(stripes(40))
    assert content.measure(image).brightness == pytest.approx(np.asarray(image.convert("L")).mean() / 255, abs=1e-6)
