"""What each family of backbones was trained to take: functions from RGB pixels to its input.

Each takes and gives float32 [..., height, width, 3]; the input is RGB in [0, 255].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Of ImageNet's training images, on the scale [0, 1]; in keras.applications.imagenet_utils, and torchvision's.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
# Of ImageNet's training images in BGR, as Caffe's reference models subtracted it.
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


def _raw(image: Any) -> Any:
    return image


def _unit(image: Any) -> Any:
    return image / 255.0


def _tf(image: Any) -> Any:
    return image / 127.5 - 1.0


def _torch(image: Any) -> Any:
    return (image / 255.0 - _row(IMAGENET_MEAN)) / _row(IMAGENET_DEVIATION)


def _caffe(image: Any) -> Any:
    return image[..., ::-1] - _row(_CAFFE_MEAN_BGR)


def _lite(image: Any) -> Any:
    return (image - 127.0) / 128.0


def _row(values: tuple[float, float, float]) -> Any:
    import numpy as np

    return np.array(values, np.float32)


PREPROCESSING: dict[str, Callable[[Any], Any]] = {
    "raw": _raw,  # as it is: the scaling is the model's own first layer
    "unit": _unit,  # [0, 1]: the convention of TF Hub's image models
    "tf": _tf,  # [-1, 1]
    "torch": _torch,  # [0, 1], then less ImageNet's mean, by its deviation
    "caffe": _caffe,  # BGR, less ImageNet's mean
    "lite": _lite,  # (x - 127) / 128: MEAN_RGB and STDDEV_RGB of the EfficientNet-Lite definition
}
