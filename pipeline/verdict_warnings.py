"""What a reader of a verdict ought to know besides its checks: one list for the terminal and for summary.json."""

from __future__ import annotations

from collections.abc import Iterator

from components.evaluator.slice_findings import Search
from components.evaluator.verdict import Verdict
from pipeline import slice_summary, stress_table


def of(verdict: Verdict, search: Search | None) -> Iterator[str]:
    """One sentence per warning.

    Args:
      verdict: on a candidate.
      search: where the candidate is clearly worse; None if nothing was searched.
    """
    if verdict.probe and verdict.probe.is_better:
        yield verdict.probe.warning
    if verdict.stress and (too_few := stress_table.warning(verdict.stress)):
        yield too_few
    yield from map(slice_summary.sentence, search.slices if search else ())
