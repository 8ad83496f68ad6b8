"""What a whole run costs against a plain Keras script, and in which stages: `python -m benchmarks.overhead`.

For each number of images, pipeline and script run in turn, each in its own process. It prints medians over the rounds,
and the seconds of each stage.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import harness
from benchmarks.training import CASES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, action="append", help="may be repeated (default: 500, 1500, 5000)")
    parser.add_argument("--case", choices=CASES, default="mobilenetv2-conv-20")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for images in options.images or (500, 1500, 5000):
        with tempfile.TemporaryDirectory() as folder:
            _measure(images, options.case, options.rounds, Path(folder))


def _measure(images: int, case: str, rounds: int, folder: Path) -> None:
    photos = harness.photos(folder, images)
    splits = harness.in_splits(photos, folder / "splits")
    chosen = CASES[case]
    pairs = []
    for number in harness.rounds(rounds):
        config = harness.configuration(photos, chosen.backbone, chosen.head, chosen.epochs, seed=number)
        ours = harness.pipeline(config, folder, folder / f"workspace-{number}")
        pairs.append((ours, harness.script(config, folder, splits)))
    ratio = statistics.median(theirs.whole / ours.whole for ours, theirs in pairs)
    training = statistics.median(theirs.training / ours.training for ours, theirs in pairs)
    whole = [statistics.median(pair[side].whole for pair in pairs) for side in (0, 1)]
    stages = {name: statistics.median(ours.stages[name] for ours, _ in pairs) for name in pairs[0][0].stages}
    rest = statistics.median(ours.whole - sum(ours.stages.values()) for ours, _ in pairs)
    sys.stdout.write(
        f"{case}, {images} photos, {rounds} rounds: "
        f"Regraft {whole[0]:.1f} s, plain {whole[1]:.1f} s, ratio {ratio:.2f} (training {training:.2f})\n"
        f"  {', '.join(f'{name} {seconds:.1f}' for name, seconds in stages.items())}, starting and ending {rest:.1f}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
