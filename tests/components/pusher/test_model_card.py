"""The model card: the same figures as elsewhere, and names from data that cannot become markup."""

from __future__ import annotations

import dataclasses
import json

import pytest

from components.evaluator.metric_names import Metric
from components.evaluator.verdict import OVERALL, Change, Check, ClassFigures, Verdict
from components.image_example_gen.report import Counts
from components.pusher import markdown, model_card
from components.version_files import CARD, CARD_JSON
from config.run import RunConfig

HOSTILE = '<script>alert("1")</script>|`*x*`'
RIGHT_TO_LEFT = "\u05d0\u05d1 \u202eevil"
CLASSES = ["cyan", HOSTILE, RIGHT_TO_LEFT]
SPLITS = {"train": {"cyan": 40, HOSTILE: 30, RIGHT_TO_LEFT: 20}, "test": {"cyan": 10, HOSTILE: 5}}
MANIFEST = {
    "version": 3,
    "fingerprint": "f" * 64,
    "pushed_at": "2026-11-27T02:13:08+00:00",
    "package_version": "0.4.0",
    "git_revision": None,
    "parent": 2,
}
PHASES = [
    {"phase": "head", "epochs": [{}, {}], "eval_loss": 0.25, "rolled_back": False, "reason": ""},
    {"phase": "fine_tune", "epochs": [{}], "eval_loss": 0.5, "rolled_back": True, "reason": "the loss rose"},
]
VERDICT = Verdict(
    blessed=True,
    examples=15,
    accuracy=0.8,
    accuracy_bounds=(0.6, 0.95),
    change=Change(0.0625, -0.02, 0.15, 0.5, 0.1),
    confidence=0.95,
    checks=[Check(Metric.ACCURACY, OVERALL, "value", 0.8, "at least", 0.75, True)],
    per_class={"cyan": ClassFigures(0.9, 0.75, 10), HOSTILE: ClassFigures(0.6, None, 5)},
    baseline=2,
)


def facts(**changes) -> model_card.Facts:
    config = {"name": "test", "data": {"path": "/home/alice/photos"}, "head": {"kind": "dense"}}
    measured = {"p50_ms": 13.38, "p99_ms": 19.24, "images_per_second": 188.7, "peak_gib": 1.207}
    return model_card.Facts(
        **{
            "config": RunConfig.model_validate(config),
            "counts": Counts(107, 1, 1, SPLITS, "e" * 64),
            "warnings": ["few test images: photos/\udcff.png"],
            "training": {"tuned": {}, "phases": PHASES},
            "verdict": VERDICT,
            "serving_check": {"refusals": [], "measured": measured},
            **changes,
        }
    )


def written(manifest=MANIFEST, **changes) -> tuple[dict, str]:
    made = model_card.files(facts(**changes), manifest)
    return json.loads(made[CARD_JSON]), made[CARD]


def row(text: str, start: str) -> list[list[str]]:
    """The cells of the table rows whose first cell begins so."""
    rows = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith(f"| {start}")]
    return [[cell.strip() for cell in cells] for cells in rows]


def test_both_forms_have_the_figures_of_the_verdict_and_of_the_data():
    card, text = written()
    assert "Accuracy: 80.00 %" in text and "60.00 % and 95.00 %" in text
    assert "Against version 2, on the same images: +6.25 points" in text
    assert row(text, "cyan") == [["cyan", "10", "90.00 %", "75.00 %"], ["cyan", "40", "10"]]
    assert row(text, "accuracy") == [["accuracy", "0.8", "at least 0.75", "passed"]]
    assert "Phase fine\\_tune: 1 epochs, loss on eval 0.5, rolled back: the loss rose" in text
    metrics = card["quantitative_analysis"]["performance_metrics"]
    assert {"type": "recall", "value": 0.6, "slice": HOSTILE} in metrics
    assert [metric["type"] for metric in metrics if metric.get("slice") == HOSTILE] == ["recall"]  # no precision
    assert card["quantitative_analysis"]["test"]["per_class"][RIGHT_TO_LEFT]["examples"] == 0


def test_a_model_that_was_refused_says_so_first():
    override = {"reason": "the [old] camera broke", "by": "alice", "failed": ["accuracy (overall)"]}
    card, text = written({**MANIFEST, "blessed_anyway": override})
    assert text.index("refused, and pushed all the same") < text.index("## How good it is")
    assert "the \\[old\\] camera broke" in text and "accuracy (overall)" in text
    assert card["model_details"]["blessed_anyway"] == override
    assert "was refused" not in written()[1]


def test_without_production_and_without_test_images_nothing_is_made_up():
    nothing = dataclasses.replace(VERDICT, change=None, accuracy=None, per_class={}, examples=0, baseline=None)
    card, text = written(verdict=nothing, serving_check={"refusals": ["it cannot be loaded"], "measured": {}})
    assert "Accuracy: –" in text and "no version in production to compare it with" in text and "ms (median)" not in text
    assert card["quantitative_analysis"]["performance_metrics"] == []


def test_values_that_tuner_found_are_those_of_the_card():
    card, text = written(training={"tuned": {"head.kind": "conv"}, "phases": []})
    assert "head: conv" in card["model_parameters"]["model_architecture"]
    assert 'Values that Tuner found: head.kind "conv"' in text


def test_names_from_data_are_shown_and_are_no_markup():
    card, text = written()
    assert card["model_parameters"]["classes"] == sorted(CLASSES)
    assert "<script>" not in text and '&lt;script&gt;alert("1")&lt;/script&gt;\\|\\`\\*x\\*\\`' in text
    assert len(row(text, "&lt;script")) == 2  # one row in each table, with all its cells
    assert f"\u2068{RIGHT_TO_LEFT}\u2069" in text
    assert "photos/\ufffd.png" in text
    assert "/home/alice" not in text + json.dumps(card)


@pytest.mark.parametrize("name", ["a\nb", "  a   b\t"])
def test_a_name_stays_on_its_line(name):
    assert markdown.text(name) == "a b"


def test_the_form_is_that_of_the_model_card_toolkit():
    card, _ = written()
    assert set(card) == {
        *("schema_version", "model_details", "model_parameters", "quantitative_analysis", "considerations")
    }
    assert card["model_details"]["version"] == {
        "name": "3",
        "date": "2026-11-27",
        "diff": "accuracy +6.25% against version 2, on the same test images",
    }
    for metric in card["quantitative_analysis"]["performance_metrics"]:
        assert isinstance(metric["value"], float) and isinstance(metric["type"], str)
