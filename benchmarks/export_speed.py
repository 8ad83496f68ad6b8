"""How much faster than the SavedModel a version's exports answer: `python -m benchmarks.export_speed VERSION`.

    python -m benchmarks.export_speed workspace/traffic-lights/serving/1
    python -m benchmarks.export_speed workspace/traffic-lights/serving/1 --rounds 20 --threads 4

All start from one resized image, and all use the same number of threads. The SavedModel's time is that of its function
`classify`: without the decoder, and without the preprocessing that the exports have inside. LiteRT uses XNNPACK, its
default on CPUs. Each round times every model, so that a change of the machine's load meets them all; the ratio is the
median over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.version_files import EXPORTS
from modules.exporting import export_files, runtimes
from modules.serving import signatures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", metavar="VERSION", type=Path, help="folder of a pushed version with exports")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    folder = options.version / EXPORTS
    models: dict[str, Callable[[np.ndarray], object]] = {"SavedModel": _saved_model(str(options.version))}
    index = export_files.read_index(folder)
    for name, record in index["formats"].items():
        models[name] = runtimes.opened(folder / record["file"], options.threads)
    size = index["input"]["height"], index["input"]["width"]
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.float32)
    rounds = [{name: runtimes.p50_ms(model, [pixels]) for name, model in models.items()} for _ in range(options.rounds)]
    sys.stdout.write("| model | median ms | speed, SavedModel = 1 | lowest and highest round |\n|---|---|---|---|\n")
    for name in models:
        ratios = sorted(times["SavedModel"] / times[name] for times in rounds)
        median = statistics.median(times[name] for times in rounds)
        shown = f"{median:.2f}" if median >= 1 else f"{median:.3g}"
        row = f"| {name} | {shown} | {statistics.median(ratios):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |\n"
        sys.stdout.write(row)


def _saved_model(folder: str) -> Callable[[np.ndarray], object]:
    loaded = tf.saved_model.load(folder)
    (classify,) = loaded.classify.concrete_functions

    def run(pixels: np.ndarray) -> object:
        assert loaded  # it holds the variables
        return classify(tf.constant(pixels[np.newaxis] / 127.5 - 1))[signatures.PROBABILITIES].numpy()

    return run


if __name__ == "__main__":
    main()
