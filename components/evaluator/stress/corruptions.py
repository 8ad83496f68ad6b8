"""Eight corruptions of a picture at five severities.

Noise, blurs, JPEG, brightness and contrast are those of ImageNet-C (Hendrycks & Dietterich,
https://arxiv.org/abs/1903.12261), with its strengths, which hold for pictures of 224 × 224 pixels. `dark` and
`rotation` are ours. Nothing here is random: a seed determines noise and directions.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import PIL.Image
import PIL.ImageFilter

SIDE = 224  # pixels; the strengths below hold for pictures of SIDE² pixels
SEVERITIES = range(1, 6)
_REFLECTED: Literal["symmetric"] = "symmetric"  # np.pad's name for what is outside of the picture


def reduced(pixels: np.ndarray) -> np.ndarray:
    """A picture with the same aspect ratio and about SIDE² pixels, enlarged or reduced.

    Args:
      pixels: uint8 [height, width, 3], RGB.
    """
    height, width = pixels.shape[:2]
    scale = SIDE / math.sqrt(height * width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(PIL.Image.fromarray(pixels).resize(size, PIL.Image.Resampling.BICUBIC))


def corrupted(pixels: np.ndarray, corruption: str, severity: int, seed: int) -> np.ndarray:
    """A corrupted picture of the same size. The same arguments give the same picture.

    Args:
      pixels: uint8 [height, width, 3], RGB, as `reduced` gives it.
      corruption: a name of CORRUPTIONS.
      severity: 1 to 5.
      seed: 0 or more.
    """
    generator = np.random.default_rng((seed, list(CORRUPTIONS).index(corruption)))
    changed = CORRUPTIONS[corruption](pixels, severity - 1, generator)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def _add_noise(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Independent Gaussian noise on each value."""
    deviation = (0.08, 0.12, 0.18, 0.26, 0.38)[level]
    return pixels + 255 * deviation * generator.standard_normal(pixels.shape, np.float32)


def _blur(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Gaussian blur, as of a lens out of focus."""
    blur = PIL.ImageFilter.GaussianBlur((1, 2, 3, 4, 6)[level])
    return np.asarray(PIL.Image.fromarray(pixels).filter(blur))


def _blur_by_motion(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Blur along a line whose direction is within 45° of horizontal, with the weights of half a Gaussian."""
    radius, deviation = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[level]
    angle = generator.uniform(-math.pi / 4, math.pi / 4)
    steps = np.arange(radius + 1)
    weights = np.exp(-(steps**2) / (2 * deviation**2)).astype(np.float32)
    padded = np.pad(pixels, ((radius, radius), (0, radius), (0, 0)), _REFLECTED)
    height, width = pixels.shape[:2]
    total = np.zeros(pixels.shape, np.float32)
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        top, left = radius + round(step * math.sin(angle)), round(step * math.cos(angle))
        total += weight * padded[top : top + height, left : left + width]
    return total


def _compress(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """JPEG of a low quality."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", quality=(25, 18, 15, 10, 7)[level])
    return np.asarray(PIL.Image.open(file))


def _darken(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """A share of the light."""
    return pixels * np.float32((0.7, 0.55, 0.4, 0.3, 0.2)[level])


def _brighten(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Raises the value of hue, saturation and value: the other two stay."""
    values = pixels.max(axis=2, keepdims=True).astype(np.float32)
    raised = np.minimum(values + 255 * np.float32((0.1, 0.2, 0.3, 0.4, 0.5)[level]), 255)
    return np.where(values > 0, pixels * (raised / np.maximum(values, 1)), raised)


def _flatten(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """A share of the distance to the mean of each channel."""
    mean = pixels.mean(axis=(0, 1), keepdims=True, dtype=np.float32)
    return (pixels - mean) * np.float32((0.4, 0.3, 0.2, 0.1, 0.05)[level]) + mean


def _rotate(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Rotates to either side, and crops as much as a square needs to have no corner outside."""
    angle = math.radians((5, 10, 15, 20, 30)[level]) * generator.choice((-1, 1))
    height, width = pixels.shape[:2]
    margin = math.ceil(max(height, width) * math.sin(abs(angle)))
    padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), _REFLECTED)
    scale = 1 / (math.cos(angle) + abs(math.sin(angle)))
    xx, xy = scale * math.cos(angle), scale * math.sin(angle)
    x, y = width / 2, height / 2
    back = (xx, xy, x + margin - xx * x - xy * y, -xy, xx, y + margin + xy * x - xx * y)
    how = PIL.Image.Transform.AFFINE, back, PIL.Image.Resampling.BICUBIC
    return np.asarray(PIL.Image.fromarray(padded).transform((width, height), *how))


# name: uint8 pixels, severity - 1, and a generator to float or uint8 pixels that may be out of range
CORRUPTIONS: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    "gaussian_noise": _add_noise,
    "blur": _blur,
    "motion_blur": _blur_by_motion,
    "jpeg": _compress,
    "dark": _darken,
    "bright": _brighten,
    "contrast": _flatten,
    "rotation": _rotate,
}
