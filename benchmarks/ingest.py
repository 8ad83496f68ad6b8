"""What ImageExampleGen costs: `python -m benchmarks.ingest`.

It generates JPEGs of several sizes in three classes. Each side reads the same bytes in its own process, one after the
other:

- a plain tf.data loop that reads and decodes each file, two at a time, and does nothing else;
- TFX's ImportExampleGen, which copies tf.Examples into splits and never decodes an image;
- ImageExampleGen with one Beam worker, which is the stage's own process, and with two worker processes.

It prints images per second after the libraries are imported, from the first byte read to the last one written, and the
peak of the resident memory of all processes together. Ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import harness, processes
from benchmarks.peak_memory import PeakMemory
from config.beam import BeamConfig

_SIZES = ((160, 120), (320, 240), (480, 360), (640, 480), (1024, 768))
_PLAIN, _IMPORT, _ONE, _PROCESSES = "tf.data", "ImportExampleGen", "one worker", "two processes"
_WORKERS = {_ONE: 1, _PROCESSES: 2}
_SIDES = (_PLAIN, _IMPORT, *_WORKERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[2000, 20_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", nargs="+", choices=_SIDES, default=_SIDES)
    parser.add_argument("--measure", choices=_SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        sys.stdout.write(f"\n{json.dumps(_measured(options.measure, options.folder))}\n")
        return
    for images in options.images:
        with tempfile.TemporaryDirectory() as folder:
            _compare(Path(folder), images, options.rounds, options.sides)


def _compare(folder: Path, images: int, rounds: int, sides: list[str]) -> None:
    _generate(folder / "photos", images)
    _as_records(folder / "photos", folder / "records")
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in harness.rounds(rounds):
        for side in sides:
            output = processes.run("benchmarks.ingest", "--measure", side, "--folder", folder)
            found[side].append(json.loads(output.splitlines()[-1]))
            shutil.rmtree(folder / "out", ignore_errors=True)
    size = sum(file.stat().st_size for file in (folder / "photos").rglob("*.jpg"))
    sys.stdout.write(f"{images} images, {size / images / 1000:.0f} kB each, {rounds} rounds\n")
    for side in sides:
        seconds = statistics.median(run["seconds"] for run in found[side])
        memory = statistics.median(run["peak"] for run in found[side])
        ratio = statistics.median(
            ours["seconds"] / plain["seconds"] for ours, plain in zip(found[side], found[sides[0]], strict=True)
        )
        sys.stdout.write(
            f"  {side:17s} {images / seconds:6.0f} images/s, {ratio:5.2f} times as long as {sides[0]}; "
            f"peak {memory:.2f} GiB\n"
        )
    sys.stdout.flush()


def _generate(folder: Path, images: int) -> None:
    for number in range(3):
        (folder / f"class{number}").mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write_image, [folder] * images, range(images), chunksize=100))


def _write_image(folder: Path, number: int) -> None:
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 255, (12, 16, 3), np.uint8))
    image = coarse.resize(_SIZES[number % len(_SIZES)], Image.Resampling.BICUBIC)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=90)
    (folder / f"class{number % 3}" / f"{number:06d}.jpg").write_bytes(content.getvalue())


def _as_records(photos: Path, folder: Path) -> None:
    import tensorflow as tf

    from modules.data import tf_example

    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "all.gz"), "GZIP") as writer:
        for file in sorted(photos.rglob("*.jpg")):
            values = {"image/encoded": file.read_bytes(), "image/label": file.parent.name.encode()}
            writer.write(tf_example.serialize(values))


def _measured(side: str, folder: Path) -> dict[str, float]:
    if side == _PLAIN:
        work = _plain(folder)
    elif side == _IMPORT:
        work = _import_example_gen(folder)
    else:
        work = _image_example_gen(folder, _WORKERS[side])
    with PeakMemory() as peak:
        start = time.monotonic()
        work()
        seconds = time.monotonic() - start
    return {"seconds": seconds, "peak": peak.gib}


def _plain(folder: Path) -> Callable[[], None]:
    import tensorflow as tf

    def decoded(path: tf.Tensor) -> tf.Tensor:
        return tf.shape(tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False))

    def work() -> None:
        files = tf.data.Dataset.list_files(str(folder / "photos/*/*.jpg"), shuffle=False)
        for _ in files.map(decoded, num_parallel_calls=2):
            pass

    return work


def _import_example_gen(folder: Path) -> Callable[[], None]:
    from tfx.components.example_gen.import_example_gen import executor
    from tfx.proto import example_gen_pb2
    from tfx.types import standard_artifacts
    from tfx.utils import proto_utils

    splits = [
        example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=share) for name, share in harness.SPLITS.items()
    ]
    config = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="all", pattern="*")])
    output = example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=splits))
    properties = {
        "input_base": str(folder / "records"),
        "input_config": proto_utils.proto_to_json(config),
        "output_config": proto_utils.proto_to_json(output),
        "output_data_format": example_gen_pb2.FORMAT_TF_EXAMPLE,
        "output_file_format": example_gen_pb2.FORMAT_TFRECORDS_GZIP,
    }
    outputs = _outputs(folder, {"examples": standard_artifacts.Examples})
    return lambda: executor.Executor(_context(1)).Do({}, outputs, properties)


def _image_example_gen(folder: Path, workers: int) -> Callable[[], None]:
    from tfx.types import standard_artifacts

    from components import artifacts
    from components.image_example_gen import executor
    from config.data import IngestionConfig

    kinds = {"examples": standard_artifacts.Examples, "schema": standard_artifacts.Schema}
    outputs = _outputs(folder, {**kinds, "report": artifacts.IngestReport})
    properties = {
        "data_path": str(folder / "photos"),
        "ingestion": IngestionConfig().serialized(),
        "allow_untested_classes": 1,
    }
    return lambda: executor.Executor(_context(workers)).Do({}, outputs, properties)


def _outputs(folder: Path, kinds: dict[str, Any]) -> dict[str, list[Any]]:
    outputs = {}
    for name, kind in kinds.items():
        artifact = kind()
        artifact.uri = str(folder / "out" / name)
        Path(artifact.uri).mkdir(parents=True)
        outputs[name] = [artifact]
    return outputs


def _context(workers: int) -> Any:
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor

    return BaseBeamExecutor.Context(beam_pipeline_args=list(BeamConfig(workers=workers).arguments()))


if __name__ == "__main__":
    main()
