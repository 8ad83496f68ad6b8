"""The section about training: penalties of a head of kind logistic, the trials of a search, the augmentation sheet."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
import tfx  # noqa: F401  first: it replaces a module that TFDV 1.16 imports, on Python 3.11

# isort: split

from drawing import stripes
from ml_metadata.proto import metadata_store_pb2 as mlmd
from PIL import Image
from reports import Script

from config.augmentation import AugmentationConfig
from pipeline.report import page, training
from pipeline.report.run import ReportedRun
from pipeline.run_metadata import StageRecord

PENALTIES = [
    {"penalty": penalty, "weight": weight, "loss": 0.2, "val_loss": loss, "val_accuracy": 0.9, "seconds": 1.0}
    for weight in (0.1, 1.0)
    for penalty, loss in ((0.01, 0.5), (1.0, 0.3), (100.0, 0.9))
]
LOGISTIC = {
    **{"phase": "head", "first_epoch": 1, "learning_rate": None, "trainable_weights": 1000, "eval_loss": 0.3},
    **{"rolled_back": False, "reason": "", "epochs": [], "trials": PENALTIES},
}
TRIALS = [
    {"trial": 1, "values": {"head.kind": "conv"}, "state": "finished", "log_loss": 0.61, "rung": 2, "seconds": 9.0},
    {"trial": 2, "values": {"head.kind": "<b>"}, "state": "stopped", "log_loss": 0.75, "rung": 1, "seconds": 3.0},
    {"trial": 3, "values": {"head.kind": "dense"}, "state": "diverged", "log_loss": None, "rung": 1, "seconds": 1.0},
]


@pytest.fixture
def run(tmp_path) -> ReportedRun:
    return Script(tmp_path, images=9).run()


def with_stage(run: ReportedRun, stage: str, output: str, folder: Any) -> ReportedRun:
    record = StageRecord(False, {}, {output: mlmd.Artifact(uri=str(folder))})
    return dataclasses.replace(run, records={**run.records, stage: record})


def test_both_phases_have_curves_with_their_best_epochs(run):
    section = training.collect(run)
    assert [(phase.name, phase.epochs, phase.best_epoch) for phase in section.phases] == [
        ("head", 3, 3),
        ("fine_tune", 3, 6),
    ]
    assert section.loss.rows == [(n, 1 / (n - 3 * (n > 3)), 1.1 / (n - 3 * (n > 3))) for n in range(1, 7)]
    assert len(section.rate.rows) == 6 and section.penalties is None and section.search is None


def test_the_lowest_loss_and_that_of_the_final_weights_are_told_apart(run):
    epochs = [{"loss": 1, "accuracy": 1, "val_loss": loss, "val_accuracy": 1, "learning_rate": 1} for loss in (3, 1, 2)]
    phase = {**run.summary.training["phases"][0], "epochs": epochs, "eval_loss": 2}
    history = {**run.summary.training, "phases": [phase]}
    content = page.render(dataclasses.replace(run, summary=dataclasses.replace(run.summary, training=history)))
    headings, row = content.partition("Phases of the training")[2].partition("</tr>")[::2]
    assert "lowest loss on eval" in headings and "loss of its final weights" in headings
    assert re.findall(r'class="number">([^<]*)<', row)[:3] == ["3", "1 (epoch 2)", "2"]


@pytest.mark.parametrize(
    ("augmentation", "tuned", "words"),
    [
        ({}, {}, "still learns and with dropout, so"),
        ({"rotation": 10}, {}, "still learns and with augmentation and dropout, so"),
        ({}, {"head.dropout": 0.0}, "still learns, so"),
    ],
)
def test_the_page_names_what_makes_training_harder_in_this_run(run, augmentation, tuned, words):
    config = run.config.model_copy(update={"augmentation": AugmentationConfig(**augmentation)})
    history = {**run.summary.training, "tuned": tuned}
    run = dataclasses.replace(run, config=config, summary=dataclasses.replace(run.summary, training=history))
    assert words in page.render(run)


def test_penalties_of_a_logistic_head_take_the_place_of_epochs(run):
    run = dataclasses.replace(
        run, summary=dataclasses.replace(run.summary, training={**run.summary.training, "phases": [LOGISTIC]})
    )
    section = training.collect(run)
    assert section.loss is section.accuracy is section.rate is None
    assert [row[:2] for row in section.penalties.rows] == [(one["weight"], one["penalty"]) for one in PENALTIES]
    assert "Penalties that were tried" in page.render(run)


def test_the_penalty_that_was_used_is_marked_where_another_one_has_a_lower_loss(run):
    fitted = {**LOGISTIC, "penalty": 0.01, "weight": 1.0, "chosen_by": "cross_validation"}
    history = {**run.summary.training, "phases": [fitted]}
    run = dataclasses.replace(run, summary=dataclasses.replace(run.summary, training=history))
    assert training.collect(run).penalties.svg.count("head fitted with it") == 1
    content = page.render(run)
    assert "It need not be the lowest point" in content and "lowers the loss by 1\u202f% or more" in content
    assert "at the lowest point" not in content


def test_the_trials_of_a_search_are_listed(run, tmp_path):
    (tmp_path / "trials.json").write_text(json.dumps({"best": 1, "trials": TRIALS}))
    run = with_stage(run, "Tuner", "tuner_results", tmp_path)
    section = training.collect(run)
    assert [row[0] for row in section.search.rows] == [1, 2], "one trial has no score"
    content = page.render(run)
    assert "Tuner tried 3 trials and chose trial 1" in content
    assert "head.kind &#34;&lt;b&gt;&#34;" in content


def test_the_augmentation_sheet_is_shown_smaller(run, tmp_path):
    Image.fromarray(stripes(1200)).save(tmp_path / "augmentation.png")
    run = with_stage(run, "Trainer", "model_run", tmp_path)
    assert training.collect(run).augmentation.startswith("data:image/webp;base64,")
    assert "Training images beside augmented copies of them" in page.render(run)
