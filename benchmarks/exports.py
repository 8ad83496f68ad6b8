"""What each backbone becomes in the formats for devices: `python -m benchmarks.exports`.

    python -m benchmarks.exports                              one row per family of the table
    python -m benchmarks.exports --all                        every row
    python -m benchmarks.exports NASNetMobile VGG16

Backbones have random weights, and BatchNorm the statistics of the images. So the rows say what converts, how large the
file is with the default head for three classes, and how far an export's probabilities are from the model's. With random
weights the probabilities of the classes are close to each other, so that 8 bits change more labels than those of a
trained model, which a run's gate measures. `python -m benchmarks.export_speed` measures times.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from config import backbone_table
from config.classifier import ClassifierConfig
from config.errors import BadInputError, one_line
from config.export import LITERT, LITERT_INT8, ONNX, Format
from modules import classifier
from modules.data.normalization import PREPROCESSING
from modules.exporting import export_files, litert, onnx_file, pixels_function, runtimes
from modules.exporting.description import Description
from modules.serving import signatures

_CLASSES = ["cyan", "magenta", "yellow"]
_SMALLEST = 96  # pixels; that of the backbone where it is larger
_IMAGES = 20
_CALIBRATION_IMAGES = 20
_HEADINGS = ("backbone", "format", "MB", "largest difference", "same label", "CPU seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="BACKBONE")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    _print(_HEADINGS)
    _print(("---",) * len(_HEADINGS))
    for name in options.names or _names(options.all):
        for row in _backbone_rows(name):
            _print(row)
        keras.utils.clear_session()


def _print(row: tuple[str, ...]) -> None:
    sys.stdout.write(f"| {' | '.join(row)} |\n")
    sys.stdout.flush()


def _names(every: bool) -> list[str]:
    """All backbones, or the smallest of each family: the first row."""
    first: dict[str, str] = {}
    for name, row in backbone_table.BACKBONES.items():
        first.setdefault(row.family, name)
    return list(backbone_table.BACKBONES) if every else list(first.values())


def _backbone_rows(name: str) -> Iterator[tuple[str, ...]]:
    size = max(_SMALLEST, backbone_table.get(name).min_image_size)
    backbone = {"name": name, "image_size": size, "weights": backbone_table.NONE}
    config = ClassifierConfig.model_validate({"backbone": backbone, "training": {"seed": 0}})
    built = classifier.build(config, _CLASSES)
    pixels = _images(size)
    description = Description.of(config.backbone.image_input, 10**8, _CLASSES)
    preprocessing = str(config.backbone.preprocessing)
    _fit_statistics(built.backbone, PREPROCESSING[preprocessing](pixels))
    with tempfile.TemporaryDirectory() as folder:
        saved_model = str(Path(folder, "saved_model"))
        _save(built.model, saved_model)
        answer = _by_tensorflow(saved_model, preprocessing, pixels)
        for kind, convert in _converters(saved_model, preprocessing, pixels, description).items():
            start = time.process_time()
            try:
                content = convert()
            except BadInputError as error:
                yield name, kind, f"not converted: {one_line(error)}", *("",) * 3
                continue
            path = Path(folder, export_files.FILES[kind])
            path.write_bytes(content)
            yield name, kind, *_compared(path, pixels, answer), f"{time.process_time() - start:.0f}"


def _images(size: int) -> np.ndarray:
    """Smooth random colours, float32 [images, size, size, 3], whole numbers in [0, 255]."""
    coarse = np.random.default_rng(0).uniform(0, 255, (_IMAGES, 6, 6, 3))
    pixels: np.ndarray = tf.image.resize(coarse, (size, size)).numpy()
    return np.clip(np.rint(pixels), 0, 255)


def _fit_statistics(backbone: keras.Model, images: np.ndarray) -> None:
    """Gives BatchNorm the statistics of the images: else random layers make every answer the same."""
    backbone.trainable = True
    layers = [layer for layer in backbone._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.trainable, layer.momentum = True, 0.0
    if layers:
        backbone(images, training=True)
    backbone.trainable = False


def _save(model: keras.Model, folder: str) -> None:
    """As modules/serving/signatures.py does."""
    module = tf.Module()
    module.values = [variable.value for variable in model.variables]
    images = tf.TensorSpec([None, *model.input.shape[1:]], tf.float32)
    module.classify = tf.function(
        lambda image: {signatures.PROBABILITIES: model(image, training=False)},
        input_signature=[images],
        autograph=False,
    )
    tf.saved_model.save(module, folder)


def _converters(
    saved_model: str, preprocessing: str, pixels: np.ndarray, description: Description
) -> dict[Format, Callable[[], bytes]]:
    def constants(batch: int | None) -> Any:
        return pixels_function.frozen(saved_model, preprocessing, batch)

    calibration = pixels[:_CALIBRATION_IMAGES].astype(np.uint8)
    return {
        LITERT: lambda: litert.converted(constants(1)),
        LITERT_INT8: lambda: litert.quantized(constants(1), calibration),
        ONNX: lambda: onnx_file.converted(constants(None), description.dumps()),
    }


def _by_tensorflow(saved_model: str, preprocessing: str, pixels: np.ndarray) -> np.ndarray:
    """The probabilities of the model in TensorFlow, float32 [images, classes]."""
    loaded = tf.saved_model.load(saved_model)
    preprocessed = tf.constant(PREPROCESSING[preprocessing](pixels), tf.float32)
    return np.concatenate([loaded.classify(image[tf.newaxis])[signatures.PROBABILITIES] for image in preprocessed])


def _compared(path: Path, pixels: np.ndarray, expected: np.ndarray) -> tuple[str, ...]:
    run = runtimes.opened(path)
    answers = np.array([run(image) for image in pixels])
    agrees = np.isfinite(answers).all(axis=1) & (answers.argmax(axis=1) == expected.argmax(axis=1))
    return (
        f"{path.stat().st_size / 1e6:.1f}",
        f"{np.abs(answers - expected).max():.1e}",
        f"{agrees.mean():.1%}",
    )


if __name__ == "__main__":
    main()
