"""Images that tests draw: flat colours and stripes, as bytes of any format."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"cyan": (0, 255, 255), "magenta": (255, 0, 255), "yellow": (255, 255, 0)}


def flat(colour: str | tuple[int, int, int], size: tuple[int, int] = (24, 16), seed: int | None = None) -> np.ndarray:
    """uint8 [height, width, 3] of one colour; with a seed, a little noise makes each image another one."""
    rgb = COLOURS[colour] if isinstance(colour, str) else colour
    image = np.full((*size, 3), rgb, np.uint8)
    if seed is not None:
        noise = np.random.default_rng(seed).integers(0, 40, image.shape)
        image = np.clip(image.astype(int) + noise - 20, 0, 255).astype(np.uint8)
    return image


def stripes(size: int, period: int = 8) -> np.ndarray:
    """uint8 [size, size, 3]: vertical stripes of red, wider horizontal ones of green, a ramp of blue."""
    image = np.zeros((size, size, 3), np.uint8)
    x = np.arange(size)
    image[:, :, 0] = 255 * ((x // period) % 2)[None, :]
    image[:, :, 1] = 255 * ((x // (2 * period)) % 2)[:, None]
    image[:, :, 2] = (x * 255 // (size - 1))[None, :]
    return image


def encode(image: np.ndarray, kind: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    """The bytes of a file of this kind and Pillow mode."""
    buffer = io.BytesIO()
    Image.fromarray(image).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def colour_tree(root: Path, per_class: int, classes: tuple[str, ...] = tuple(COLOURS)) -> Path:
    """A data folder `<colour>/<number>.png` of distinct noisy flat images."""
    for offset, name in enumerate(classes):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(per_class):
            image = flat(name, (40, 40), seed=1000 * offset + index)
            (folder / f"{index}.png").write_bytes(encode(image))
    return root
