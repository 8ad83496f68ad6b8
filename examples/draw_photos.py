"""Draws the images that the examples were tried on, so that you can compare your result with the expected one.

It writes, beside this file:
  photos/fruit/<class>/<number>.jpg: apples (red discs) and lemons (yellow ellipses).
  photos/shapes.csv and photos/shapes/<number>.jpg: circles, squares and triangles. Each object has three photos, and
    its number is the column `group`.

Put your own photos in these places, or change `data.path` in the example, to use the example for your images.
"""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

PHOTOS = Path(__file__).parent / "photos"
SIZE = 128  # pixels, of both sides
Colour = tuple[int, int, int]
Draw = Callable[[ImageDraw.ImageDraw, float, float, float, Colour], None]


def draw_fruit(folder: Path, per_class: int = 150) -> None:
    """Draws one folder per class."""
    fruit: dict[str, tuple[Draw, Colour]] = {"apple": (_circle, (200, 30, 40)), "lemon": (_ellipse, (240, 220, 40))}
    for name, (draw, colour) in fruit.items():
        chance = random.Random(name)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            photo(chance, draw, colour, chance.random()).save(folder / name / f"{number:03}.jpg", quality=90)


def draw_shapes(table: Path, objects_per_class: int = 40, photos_per_object: int = 3) -> None:
    """Draws a manifest with groups, and its images in the folder of the same name."""
    shapes: dict[str, Draw] = {"circle": _circle, "square": _square, "triangle": _triangle}
    folder = table.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, draw in shapes.items():
        chance = random.Random(name)
        for number in range(objects_per_class):
            colour, background = _colour(chance), chance.random()
            for shot in range(photos_per_object):
                file = folder / f"{name}-{number:03}-{shot}.jpg"
                photo(chance, draw, colour, background).save(file, quality=90)
                rows.append((f"{folder.name}/{file.name}", name, f"{name}-{number:03}"))
    with table.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("path", "label", "group"), *rows])


def photo(chance: random.Random, draw: Draw, colour: Colour, background: float) -> Image.Image:
    """One object of some size at some place.

    Args:
      chance: decides size, place, light and noise.
      draw: draws the object.
      colour: of the object.
      background: from 0 (dark) to 1 (bright).
    """
    top, bottom = (int(40 + 160 * background + chance.uniform(-20, 20)) for _ in range(2))
    image = Image.linear_gradient("L").resize((SIZE, SIZE)).rotate(chance.choice((0, 90, 180, 270)))
    image = image.point(lambda value: top + (bottom - top) * value / 255).convert("RGB")
    radius = chance.uniform(0.15, 0.35) * SIZE
    x, y = (chance.uniform(radius, SIZE - radius) for _ in range(2))
    draw(ImageDraw.Draw(image), x, y, radius, colour)
    noise = Image.frombytes("L", (SIZE, SIZE), chance.randbytes(SIZE * SIZE)).convert("RGB")
    return Image.blend(image, noise, chance.uniform(0.02, 0.1)).filter(ImageFilter.GaussianBlur(chance.uniform(0, 1)))


def _colour(chance: random.Random) -> Colour:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)


def _circle(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def _ellipse(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour) -> None:
    draw.ellipse((x - radius, y - 0.6 * radius, x + radius, y + 0.6 * radius), colour)


def _square(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour) -> None:
    side = 0.8 * radius
    draw.rectangle((x - side, y - side, x + side, y + side), colour)


def _triangle(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour) -> None:
    draw.polygon([(x, y - radius), (x - radius, y + 0.7 * radius), (x + radius, y + 0.7 * radius)], colour)


if __name__ == "__main__":
    shutil.rmtree(PHOTOS, ignore_errors=True)
    draw_fruit(PHOTOS / "fruit")
    draw_shapes(PHOTOS / "shapes.csv")
    print(f"drawn: {sum(1 for _ in PHOTOS.rglob('*.jpg'))} images in {PHOTOS}")
