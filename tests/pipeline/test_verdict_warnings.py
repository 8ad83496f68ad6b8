"""The warnings about a verdict, and that `regraft explain` prints them."""

from __future__ import annotations

import datetime
import io
import json

from components.evaluator.slice_findings import BadSlice, Search
from components.evaluator.verdict import Change, ProbeFigures, Verdict
from pipeline import history, slice_summary, verdict_warnings

DARK = BadSlice("image/brightness_band=very dark", 24, 0.7, 0.96, 0.001, ["a.jpg"])
BETTER = ProbeFigures(0.9, 60, 3, 0.1, "eval", Change(-0.2, -0.3, -0.1, 0.01, 0.2))
VERDICT = Verdict(True, 90, 0.7, (0.6, 0.8), None, 0.95, [], {}, probe=BETTER)
SEARCH = Search([DARK], 11, 0)
SENTENCES = [BETTER.warning, slice_summary.sentence(DARK)]


def explained(as_json: bool, search: Search | None) -> str:
    started = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)
    terminal = io.StringIO()
    run = history.PastRun(1, started, VERDICT, None, None, "pushed as version 1", bad_slices=search)
    history.explain(run, as_json, terminal)
    return terminal.getvalue()


def test_the_probe_and_each_bad_slice_are_a_warning():
    assert list(verdict_warnings.of(VERDICT, SEARCH)) == SENTENCES
    assert list(verdict_warnings.of(VERDICT, None)) == SENTENCES[:1]


def test_explain_prints_each_warning_once():
    lines = explained(False, SEARCH).splitlines()
    assert [line for line in lines if "warning" in line] == [f"warning: {sentence}" for sentence in SENTENCES]


def test_explain_has_the_warnings_and_the_bad_slices_for_programs():
    content = json.loads(explained(True, SEARCH))
    assert content["warnings"] == SENTENCES and content["bad_slices"] == slice_summary.as_json(SEARCH)
    assert json.loads(explained(True, None))["bad_slices"] is None
