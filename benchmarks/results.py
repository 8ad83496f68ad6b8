"""The results of benchmarks/accuracy.py: a file of JSON lines, which grows trial by trial, and a table of them."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.methods import LOGISTIC, NAMES

Result = dict[str, Any]

CASE = ("data", "per_class", "long_tail", "test_images")  # what methods must have in common to be compared
_KEY = (*CASE, "seed", "method", "overlay")
_SCORES = (
    "method",
    "seeds",
    "accuracy",
    "errors",
    "log loss",
    "balanced accuracy",
    "weighted accuracy",
    "calibration error",
)
_COLUMNS = (*_SCORES, "training", "whole", "CPU", "peak memory", "rolled back")


def overlay_digest(overlay: Mapping[str, Any] | None) -> str:
    """A short name for an overlay's content; empty if there is none."""
    if overlay is None:
        return ""
    return hashlib.sha256(json.dumps(overlay, sort_keys=True).encode()).hexdigest()[:12]


def read(file: Path) -> list[Result]:
    """The results so far. A last line that was cut short, because the benchmark was killed, is left out."""
    if not file.exists():
        return []
    *whole, rest = file.read_text(encoding="utf-8").split("\n")
    results = [json.loads(line) for line in whole if line]
    if rest:
        file.write_text("".join(f"{line}\n" for line in whole), encoding="utf-8")
    return results


def append(file: Path, result: Result) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(result) + "\n")


def is_done(results: Iterable[Result], trial: Mapping[str, Any]) -> bool:
    """Whether a trial of the same data, seed, method and overlay has a result."""
    return any(all(result[name] == trial[name] for name in _KEY) for result in results)


def tables(results: Sequence[Result]) -> str:
    """One Markdown table per case: mean ± standard deviation over the seeds.

    `errors` are those of the method divided by those of the logistic regression on the same seeds.
    """
    cases: dict[tuple, list[Result]] = {}
    for result in results:
        cases.setdefault(tuple(result[name] for name in CASE), []).append(result)
    return "\n".join(_table(case, found) for case, found in cases.items())


def _table(case: tuple, results: Sequence[Result]) -> str:
    data, per_class, long_tail, _ = case
    images = f"{per_class} images per class" if per_class else "all images"
    tail = f", long-tailed 1:{long_tail:g}" if long_tail != 1 else ""
    tested = "/".join(str(count) for count in sorted({result["images"] for result in results}))
    lines = [f"**{data}**, {images}{tail}, {tested} test images", ""]
    lines += [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    methods: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        methods.setdefault((result["method"], result["overlay"]), []).append(result)
    logistic = {result["seed"]: result for result in results if result["method"] == LOGISTIC}
    repeated = {name for name, _ in methods if sum(name == other for other, _ in methods) > 1}
    known_first = sorted(
        methods.items(), key=lambda item: NAMES.index(item[0][0]) if item[0][0] in NAMES else len(NAMES)
    )
    for (name, digest), found in known_first:
        shown = f"{name} ({digest})" if name in repeated else name  # a name whose overlay was changed
        lines.append(_row(shown, found, logistic))
    return "\n".join(lines) + "\n"


def _row(name: str, found: Sequence[Result], logistic: Mapping[int, Result]) -> str:
    fine_tuned = [result["rolled_back"] for result in found if result["rolled_back"] is not None]
    cells = [
        name,
        str(len(found)),
        _spread(found, "accuracy", 100, 1, " %"),
        _relative_errors(found, logistic),
        _spread(found, "log_loss", 1, 3),
        _spread(found, "balanced_accuracy", 100, 1, " %"),
        _spread(found, "weighted_accuracy", 100, 1, " %"),
        _spread(found, "calibration_error", 1, 3),
        f"{statistics.mean(result['training'] for result in found):.0f} s",
        f"{statistics.mean(result['whole'] for result in found):.0f} s",
        f"{statistics.mean(result['cpu'] for result in found):.0f} s",
        f"{max(result['peak_gib'] for result in found):.1f} GiB",
        f"{sum(fine_tuned)} of {len(fine_tuned)}" if fine_tuned else "",
    ]
    return f"| {' | '.join(cells)} |"


def _spread(found: Sequence[Result], name: str, factor: float, digits: int, unit: str = "") -> str:
    values = [result[name] * factor for result in found if name in result]
    if not values:
        return ""  # measured before there was this figure
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}{unit}"


def _relative_errors(found: Sequence[Result], logistic: Mapping[int, Result]) -> str:
    common = [result for result in found if result["seed"] in logistic]
    errors = sum(1 - result["accuracy"] for result in common)
    reference = sum(1 - logistic[result["seed"]]["accuracy"] for result in common)
    return f"{errors / reference:.2f}" if reference else ""
