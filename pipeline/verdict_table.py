"""A verdict for a person: the accuracy on the test images, every check, and which checks failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import rich.box
import rich.markup
import rich.table

from components.evaluator import confidence
from components.evaluator.metric_names import Metric
from components.evaluator.slice_findings import Search
from components.evaluator.verdict import OVERALL, STRESS, Check, Verdict
from pipeline import console, stress_table, verdict_warnings

_MOST_ROWS = 20  # of checks that passed on slices; those that failed are all shown
_JUDGED = {"value": "", "lower": ", lower bound", "upper": ", upper bound"}


def show(verdict: Verdict, baseline: int | None, search: Search | None, terminal: TextIO) -> None:
    """Prints a verdict and its warnings.

    Args:
      verdict: on a candidate.
      baseline: the version it was compared with; None if there was none.
      search: where the candidate is clearly worse; None if nothing was searched.
      terminal: where to print.
    """
    printer = console.tables(terminal)
    for line in _found(verdict, baseline):
        print(line, file=terminal)
    if stress := verdict.stress:
        print(stress_table.introduction(stress), file=terminal)
        printer.print(stress_table.table(stress, baseline))
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in ("check", "slice"):
        table.add_column(heading)
    for heading in ("value", "bound", "margin"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    # Those of the stress test that passed are in its own table.
    checks = [check for check in verdict.checks if not (check.passed and check.slice.startswith(STRESS))]
    rows = _worth_showing(checks)
    for check in rows:
        table.add_row(*map(rich.markup.escape, _row(check, baseline)))
    printer.print(table)
    if left_out := len(checks) - len(rows):
        print(f"{left_out} more checks of slices passed", file=terminal)
    for warning in verdict_warnings.of(verdict, search):
        print(f"warning: {warning}", file=terminal)


def refusals(verdict: Verdict, serving_check: Mapping[str, Any] | None = None) -> list[str]:
    """Every reason for which a candidate was refused: the check, what was found, and what is required.

    Args:
      verdict: the gate's.
      serving_check: `refusals` and `measured`, see components/serving_check/findings.py; None if it is not known.
    """
    failed = [check for check in verdict.checks if not check.passed]
    found = [check.reason or "no images" if check.value is None else f"{check.value:.4g}" for check in failed]
    of_gate = [
        f"{check.title}{_JUDGED[check.judged]}: {value}, {check.wanted} {check.bound:g} is required"
        for check, value in zip(failed, found, strict=True)
    ]
    return [*of_gate, *(serving_check["refusals"] if serving_check else ())]


def serving_check_lines(check: Mapping[str, Any]) -> Iterator[str]:
    """The result of the serving check, in sentences.

    Args:
      check: `refusals` and `measured`, see components/serving_check/findings.py.
    """
    if measured := check["measured"]:
        ready = f"loads in {measured['load_seconds']:.1f} s"
        if "warm_up_seconds" in measured:  # runs of 0.4 and before did not warm the model up
            first_ms = 1000 * (measured["first_answer_seconds"] - measured["load_seconds"])
            ready += f", of which {measured['warm_up_seconds']:.1f} s warm-up"
            ready += f"; the first answer takes {first_ms:,.0f} ms"
        size = f"; files {measured['model_mib']:,.1f} MiB" if "model_mib" in measured else ""  # runs of 0.4: none
        yield (
            f"serving check: the model {ready}; one image takes "
            f"{measured['p50_ms']:.3g} ms (p50), {measured['p99_ms']:.3g} ms (p99); "
            f"{measured['images_per_second']:.0f} images/s; peak memory {measured['peak_gib']:.1f} GiB"
            f"{size}"
        )
    for refusal in check["refusals"]:
        yield f"serving check FAILED: {refusal}"


def _found(verdict: Verdict, baseline: int | None) -> Iterator[str]:
    if verdict.accuracy is None:
        yield "no test images"
        return
    low, high = verdict.accuracy_bounds
    yield (
        f"accuracy {verdict.accuracy:.2%} ({verdict.examples} test images; one-sided {verdict.confidence:.0%} bounds "
        f"{low:.1%} and {high:.1%})"
    )
    if verdict.probe:
        yield stress_table.probe_line(verdict.probe)
    if verdict.change is None:
        return
    change = verdict.change
    yield (
        f"difference to version {baseline}: {change.value:+.2%} (one-sided {verdict.confidence:.0%} bounds "
        f"{change.lower:+.1%} and {change.upper:+.1%}; McNemar's p = {change.probability:.2g})"
    )
    is_worse = any(check.metric == Metric.ACCURACY_CHANGE and not check.passed for check in verdict.checks)
    if not is_worse and change.lower <= 0:  # neither worse nor better beyond chance
        yield from _too_few(verdict, change.disagreement)


def _too_few(verdict: Verdict, disagreement: float) -> Iterator[str]:
    """How many test images it would take to find twice the regression that `max_regression` allows."""
    allowed = [
        -check.bound for check in verdict.checks if (check.metric, check.slice) == (Metric.ACCURACY_CHANGE, OVERALL)
    ]
    if not allowed or not allowed[0]:
        return
    needed = confidence.images_to_see_change(allowed[0], disagreement, verdict.confidence)
    if needed > verdict.examples:
        yield (
            f"finding a regression of {2 * allowed[0]:.1%} in {confidence.POWER:.0%} of cases takes {needed} test "
            f"images; there are {verdict.examples}"
        )


def _worth_showing(checks: list[Check]) -> list[Check]:
    on_slices = [check for check in checks if check.passed and check.slice != OVERALL]
    left_out = set(map(id, on_slices[_MOST_ROWS:]))
    return [check for check in checks if id(check) not in left_out]


def _row(check: Check, baseline: int | None) -> tuple[str, ...]:
    name = check.name
    if check.metric in (Metric.ACCURACY_CHANGE, Metric.STRESS_CHANGE):
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
