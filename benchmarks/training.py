"""How much faster Regraft trains than a plain Keras script: `python -m benchmarks.training --case …`.

Pipeline and script run in turn, each in its own process. Each figure is the median over the rounds; ratios are those of
the rounds' pairs. Each round has another seed, the same on both sides, which shows how much accuracies vary. Each round
starts with an empty cache. A round of `tuning` is several trials that share the cache, as tuning does.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import harness

_MOBILENET = {"name": "MobileNetV2", "image_size": 160, "weights": "bundled"}
_LITE = {"name": "EfficientNetLite0", "image_size": 160, "weights": "bundled"}
_RESNET = {"name": "ResNet50", "image_size": 224, "weights": str(harness.RESNET50.resolve())}
_CONV = {"kind": "conv", "filters": [128, 64], "dropout": 0.3}
_DENSE = {"kind": "dense", "dropout": 0.3}


@dataclass(frozen=True)
class Case:
    """What is trained: backbone, head, epochs of both phases, and trials per round."""

    backbone: dict[str, Any]
    head: dict[str, Any]
    epochs: tuple[int, int]
    trials: int = 1


CASES = {
    "mobilenetv2-conv-5": Case(_MOBILENET, _CONV, (5, 5)),
    "mobilenetv2-conv-20": Case(_MOBILENET, _CONV, (20, 20)),
    "mobilenetv2-dense-20": Case(_MOBILENET, _DENSE, (20, 20)),
    "mobilenetv2-dense-20-head-only": Case(_MOBILENET, _DENSE, (20, 0)),
    "lite0-conv-10": Case(_LITE, _CONV, (10, 10)),
    "resnet50-conv-20": Case(_RESNET, _CONV, (20, 20)),
    "tuning": Case(_MOBILENET, _CONV, (5, 5), trials=20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, action="append", help="may be repeated (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=1484, help="number of photos (default: all of the demo)")
    parser.add_argument("--epochs", type=int, nargs=2, help="of phase 1 and phase 2 (default: those of the case)")
    parser.add_argument("--trials", type=int, help="trials in each round of `tuning` (default: 20)")
    options = parser.parse_args()
    chosen = {name: CASES[name] for name in options.case or CASES}
    for case in chosen.values():
        harness.check_weights(case.backbone)
    for name, case in chosen.items():
        if options.epochs:
            case = dataclasses.replace(case, epochs=tuple(options.epochs))
        if case.trials > 1 and options.trials:
            case = dataclasses.replace(case, trials=options.trials)
        with tempfile.TemporaryDirectory() as folder:
            _report(name, _pairs(case, Path(folder), options.rounds, options.images), options.images)


def _pairs(case: Case, folder: Path, rounds: int, images: int) -> list[tuple[harness.Result, harness.Result]]:
    photos = harness.photos(folder, images)
    splits = harness.in_splits(photos, folder / "splits")
    pairs = []
    for number in harness.rounds(rounds):
        ours, theirs = [], []
        for trial in range(case.trials):
            head = {**case.head, "dropout": 0.2 + 0.02 * trial} if case.trials > 1 else case.head
            config = harness.configuration(photos, case.backbone, head, case.epochs, seed=number)
            ours.append(harness.pipeline(config, folder, folder / f"workspace-{number}"))
            theirs.append(harness.script(config, folder, splits))
        pairs.append((_total(ours), _total(theirs)))
    return pairs


def _total(results: list[harness.Result]) -> harness.Result:
    accuracy = statistics.mean(result.accuracy for result in results)
    whole, training = (sum(getattr(result, name) for result in results) for name in ("whole", "training"))
    phases = {name: sum(result.phases[name] for result in results) for name in results[0].phases}
    stages = {name: sum(result.stages[name] for result in results) for name in results[0].stages}
    refused = any(result.refused for result in results)
    return harness.Result(whole, training, accuracy, phases, stages, refused)


def _report(name: str, pairs: list[tuple[harness.Result, harness.Result]], images: int) -> None:
    lines = [f"{name}: {images} photos, {len(pairs)} rounds"]
    for figure in ("training", "whole"):
        ours, theirs = ([getattr(pair[side], figure) for pair in pairs] for side in (0, 1))
        ratios = [plain / regraft for regraft, plain in zip(ours, theirs, strict=True)]
        lines.append(
            f"  {figure:9s} Regraft {statistics.median(ours):7.1f} s, plain {statistics.median(theirs):7.1f} s, "
            f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    ours, theirs = ([pair[side].accuracy for pair in pairs] for side in (0, 1))
    lines.append(
        f"  accuracy  Regraft {statistics.mean(ours):.4f} ({min(ours):.4f} to {max(ours):.4f}), "
        f"plain {statistics.mean(theirs):.4f} ({min(theirs):.4f} to {max(theirs):.4f})"
    )
    for phase in pairs[0][0].phases:
        seconds = [statistics.median(pair[side].phases[phase] for pair in pairs) for side in (0, 1)]
        lines.append(f"  {phase:9s} Regraft {seconds[0]:7.1f} s, plain {seconds[1]:7.1f} s: epochs alone")
    lines.append(f"  gate      refused candidates in {sum(pair[0].refused for pair in pairs)} of {len(pairs)} rounds")
    stages = {stage: statistics.median(pair[0].stages[stage] for pair in pairs) for stage in pairs[0][0].stages}
    lines.append("  stages    " + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages.items()))
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
