"""A verdict for a person: what the test images show, every check, and what failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import rich.box
import rich.markup
import rich.table

from components.evaluator.verdict import OVERALL, Check, Verdict
from modules import statistics
from pipeline import console

_MOST_ROWS = 20  # of checks that passed on slices; those that failed are all shown
_JUDGED = {"value": "", "lower": ", at the least", "upper": ", at the most"}


def show(verdict: Verdict, baseline: int | None, terminal: TextIO) -> None:
    """Prints what was found and how it was judged.

    Args:
      verdict: on a candidate.
      baseline: the version it was compared with; None if there was none.
      terminal: where to.
    """
    printer = console.tables(terminal)
    for line in _found(verdict, baseline):
        print(line, file=terminal)
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in ("check", "slice"):
        table.add_column(heading)
    for heading in ("value", "bound", "margin"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    rows = _worth_showing(verdict.checks)
    for check in rows:
        table.add_row(*map(rich.markup.escape, _row(check, baseline)))
    printer.print(table)
    if left_out := len(verdict.checks) - len(rows):
        print(f"{left_out} more checks on slices passed", file=terminal)


def served(check: Mapping[str, Any]) -> Iterator[str]:
    """What the serving check found, in sentences.

    Args:
      check: `refusals` and `measured`, see components/serving_check/findings.py.
    """
    if measured := check["measured"]:
        yield (
            f"served in a fresh process: loads in {measured['load_seconds']:.1f} s; one image in "
            f"{measured['p50_ms']:.3g} ms, 99 of 100 in {measured['p99_ms']:.3g} ms; "
            f"{measured['images_per_second']:.0f} images/s; {measured['peak_gib']:.1f} GiB at most"
        )
    for refusal in check["refusals"]:
        yield f"serving check FAILED: {refusal}"


def _found(verdict: Verdict, baseline: int | None) -> Iterator[str]:
    if verdict.accuracy is None:
        yield "there are no test images"
        return
    low, high = verdict.accuracy_bounds
    yield (
        f"accuracy on {verdict.examples} test images: {verdict.accuracy:.2%}; of all images like them "
        f"{low:.1%} or more, {high:.1%} or less (each {verdict.confidence:.0%} sure)"
    )
    if verdict.change is None:
        return
    change = verdict.change
    yield (
        f"against version {baseline}: {change.value:+.2%}; of all images {change.lower:+.1%} or more, "
        f"{change.upper:+.1%} or less; McNemar's p = {change.probability:.2g}"
    )
    if not any(check.metric == "accuracy_change" and not check.passed for check in verdict.checks):
        yield from _too_few(verdict, change.disagreement)


def _too_few(verdict: Verdict, disagreement: float) -> Iterator[str]:
    """How many images it would take to be fairly sure of finding what `max_regression` is meant to find."""
    allowed = [-check.bound for check in verdict.checks if (check.metric, check.slice) == ("accuracy_change", OVERALL)]
    if not allowed or not allowed[0]:
        return
    needed = statistics.images_to_see_change(allowed[0], disagreement, verdict.confidence)
    if needed > verdict.examples:
        yield (
            f"to find a regression of {2 * allowed[0]:.1%} with {statistics.POWER:.0%} power, {needed} test images "
            "would be needed"
        )


def _worth_showing(checks: list[Check]) -> list[Check]:
    on_slices = [check for check in checks if check.passed and check.slice != OVERALL]
    left_out = set(map(id, on_slices[_MOST_ROWS:]))
    return [check for check in checks if id(check) not in left_out]


def _row(check: Check, baseline: int | None) -> tuple[str, ...]:
    name = check.name
    if check.metric.endswith("_change"):
        name += f" against version {baseline}"
    if check.value is None or check.margin is None:
        return f"{name}{_JUDGED[check.judged]}", check.slice, "none", f"{check.wanted} {check.bound:g}", "", "FAILED"
    return (
        f"{name}{_JUDGED[check.judged]}",
        check.slice,
        f"{check.value:.4g}",
        f"{check.wanted} {check.bound:g}",
        f"{check.margin:+.4g}",
        "passed" if check.passed else "FAILED",
    )
