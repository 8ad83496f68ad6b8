"""The deletion test of heat maps: what is hot decides, so the score falls if it is deleted.

Petsiuk et al., RISE, https://arxiv.org/abs/1806.07421, delete more and more; here it is a fifth of the image.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from modules.serving import class_names
from pipeline import heat_maps

_SHARE = 5  # one in five
_DRAWS = 5


@dataclass(frozen=True)
class Deletion:
    """The doubt in each image's answer: 1 minus its score, as the sum of the other probabilities. Close to 1, a score
    itself has too few digits: without either fifth, it would often be the same.

    Attributes:
      whole: float [images], of the images as they are.
      hottest: float [images], without the hottest fifth of their pixels.
      random: float [draws, images], without 5 of 25 squares that are drawn at random.
    """

    whole: np.ndarray
    hottest: np.ndarray
    random: np.ndarray

    @property
    def passed(self) -> float:
        """Share of images whose score falls more without the hottest fifth than without a random one."""
        return float(np.mean(self.hottest > self.random.mean(axis=0)))


def measure(version: Path, images: Sequence[bytes]) -> Deletion:
    """Deletes by painting with the image's mean colour.

    Args:
      version: folder of a served model with heat maps.
      images: encoded.
    """
    drawn = heat_maps.draw(version, images)
    model = tf.saved_model.load(str(version))
    names = class_names.read(model)
    answers = [names.index(one.label) for one in drawn]

    def doubts(pictures: Sequence[np.ndarray]) -> np.ndarray:
        serve, rows = model.signatures["serve_images"], []
        for start in range(0, len(pictures), 32):
            batch = tf.constant([_png(picture) for picture in pictures[start : start + 32]])
            rows.append(serve(images=batch)["probabilities"].numpy())
        probabilities = np.concatenate(rows).astype(np.float64)
        probabilities[range(len(answers)), answers] = 0
        return probabilities.sum(axis=1)

    random = np.random.default_rng(0)
    return Deletion(
        whole=doubts([one.pixels for one in drawn]),
        hottest=doubts([_without(one.pixels, _hottest(one)) for one in drawn]),
        random=np.stack([doubts([_without(one.pixels, _some(one, random)) for one in drawn]) for _ in range(_DRAWS)]),
    )


def _png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def _without(pixels: np.ndarray, deleted: np.ndarray) -> np.ndarray:
    return np.where(deleted[..., np.newaxis], np.rint(pixels.mean(axis=(0, 1))), pixels).astype(np.uint8)


def _hottest(one: heat_maps.HeatMap) -> np.ndarray:
    height, width = one.pixels.shape[:2]
    heat = np.asarray(Image.fromarray(one.heat).resize((width, height), Image.Resampling.BILINEAR))
    deleted = np.zeros(heat.size, bool)
    deleted[np.argsort(-heat.ravel(), kind="stable")[: heat.size // _SHARE]] = True
    return deleted.reshape(heat.shape)


def _some(one: heat_maps.HeatMap, random: np.random.Generator) -> np.ndarray:
    squares = np.zeros(_SHARE**2, bool)
    squares[random.choice(_SHARE**2, _SHARE, replace=False)] = True
    size = one.pixels.shape[1::-1]
    return np.asarray(Image.fromarray(squares.reshape(_SHARE, _SHARE)).resize(size, Image.Resampling.NEAREST))
