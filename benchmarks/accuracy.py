"""How accurate the trained models are: `python -m benchmarks.accuracy --data cifar10 --per-class 100`.

Rivals and the pipeline train on the same images with the same backbone, one after the other, each in its own process,
and are tested on the same images. Each seed draws other images (or takes another fold) and starts another training.
Each result is appended to a file; what is in there is not measured again, so an interrupted benchmark continues, and
methods can be added. At the end it prints tables of the whole file.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import methods, processes, results, scores, subsets, trial
from config.data import EVAL, TEST, TRAIN


@dataclass(frozen=True)
class _Case:
    """What the methods are compared on."""

    data: str
    folder: Path
    draw: subsets.Draw

    def __str__(self) -> str:
        images = f"{self.draw.per_class} images per class" if self.draw.per_class else "all images"
        tail = f", 1:{self.draw.long_tail:g}" if self.draw.long_tail > 1 else ""
        return f"{self.data}, {images}{tail}, seed {self.draw.seed}"

    def result(self, method: str, overlay: dict[str, Any] | None) -> results.Result:
        """What names a trial of this case."""
        return {
            "data": self.data,
            "per_class": self.draw.per_class,
            "long_tail": self.draw.long_tail,
            "test_images": self.draw.test_images,
            "seed": self.draw.seed,
            "method": method,
            "overlay": results.overlay_digest(overlay),
        }


def main() -> None:
    options = _parse(sys.argv[1:])
    if options.tables:
        sys.stdout.write(results.tables(results.read(options.results)))
        return
    overlays = {**methods.OVERLAYS, **dict(options.config)}
    chosen = [*(options.methods or ([] if options.config else methods.NAMES)), *(name for name, _ in options.config)]
    folder = subsets.DATA.get(options.data, Path(options.data))
    subsets.check_folder(folder)
    for per_class in options.per_class or [None]:
        for seed in options.seed or range(options.seeds):
            draw = subsets.Draw(seed, per_class, options.long_tail, options.test_images)
            _measure(_Case(options.data, folder, draw), chosen, overlays, options.results)
    sys.stdout.write(results.tables(results.read(options.results)))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        default="cifar10",
        help="cifar10 (default), demo, or a folder: of classes, or of train/ and test/",
    )
    parser.add_argument(
        "--per-class", type=int, action="append", help="for train and eval; may be repeated; default: all"
    )
    parser.add_argument("--long-tail", type=_ratio, default=1.0, help="20 or 1:20: the smallest class has a twentieth")
    parser.add_argument("--test-images", type=int, default=None, help="of a test part; default: all")
    parser.add_argument(
        "--methods", nargs="+", choices=methods.NAMES, help="default: all; with --config: only those of --config"
    )
    parser.add_argument(
        "--config", type=_overlay, action="append", default=[], metavar="NAME=FILE",
        help="a method of your own: fields of the pipeline's configuration, as YAML; may be repeated",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 (default: 3)")
    parser.add_argument("--seed", type=int, action="append", help="only this one; may be repeated")
    parser.add_argument("--results", type=Path, default=Path("workspace/accuracy.jsonl"))
    parser.add_argument("--tables", action="store_true", help="measure nothing, print the tables")
    return parser.parse_args(arguments)


def _ratio(text: str) -> float:
    ratio = float(text.removeprefix("1:"))
    if ratio < 1:
        raise argparse.ArgumentTypeError(f"a number of 1 or more is expected, not {text}")
    return ratio


def _overlay(text: str) -> tuple[str, dict[str, Any]]:
    name, _, file = text.partition("=")
    if not (name and file) or name in methods.NAMES:
        raise argparse.ArgumentTypeError(f"NAME=FILE with a new name is expected, not {text}")
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise argparse.ArgumentTypeError(f"{file}: cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f"{file}: sections and fields of a configuration are expected")
    return name, content


def _measure(case: _Case, chosen: list[str], overlays: dict[str, dict[str, Any]], file: Path) -> None:
    """Runs the methods on one draw that have no result yet."""
    done = results.read(file)
    wanted = {name: case.result(name, overlays.get(name)) for name in chosen}
    missing = [name for name in chosen if not results.is_done(done, wanted[name])]
    if not missing:
        return
    try:
        splits = subsets.draw(case.folder, case.draw)
    except ValueError as error:
        raise SystemExit(f"--data: {error}") from None
    for number, name in enumerate(missing, 1):
        _say(f"{case}: {name}, {number} of {len(missing)} …")
        result = {**wanted[name], **_run(name, overlays.get(name, {}), splits, case.draw.seed)}
        results.append(file, result)
        _say(
            f"  accuracy {result['accuracy']:.4f}, log loss {result['log_loss']:.4f}, training "
            f"{result['training']:.0f} s of {result['whole']:.0f} s"
        )


def _run(name: str, overlay: dict[str, Any], splits: dict[str, subsets.Split], seed: int) -> dict[str, Any]:
    """Trains and tests one method in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="accuracy-") as temporary:
        folder = Path(temporary)
        subsets.link(splits, folder / "splits")
        both = {label: [*splits[TRAIN][label], *splits[EVAL][label]] for label in splits[TRAIN]}
        subsets.link({TRAIN: both, TEST: splits[TEST]}, folder / "rivals")
        processes.run(*methods.command(name, overlay, folder, seed))
        labels, probabilities, costs = trial.load(folder, folder / "splits" / TEST)
        return {
            **vars(scores.score(labels, probabilities, [len(splits[TRAIN][name]) for name in sorted(splits[TRAIN])])),
            **vars(costs),
            "training_images": sum(map(len, splits[TRAIN].values())),
            "eval_images": sum(map(len, splits[EVAL].values())),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "commit": _commit(),
        }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
