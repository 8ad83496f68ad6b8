"""The report of a run whose files are gone in part, of one that only judged a model, and where reports are kept."""

from __future__ import annotations

import shutil
from itertools import chain
from pathlib import Path

import pytest
import tfx  # noqa: F401  first: it replaces a module that TFDV imports

# isort: split

from reports import OUTPUTS, Script

from config.gate import GateConfig
from pipeline import remains
from pipeline.report import page
from pipeline.report import run as reported
from pipeline.report.run import ReportedRun

SENTENCES = {
    "examples": "There are no pictures: the files of ImageExampleGen",
    "report": "There are no numbers and lists of images: the files of ImageExampleGen",
    "anomalies": "It is not known what had changed: the files of ExampleValidator",
    "transform_graph": "",
    "label_check": "There are no suspect labels to show: the files of LabelCheck",
    "tuner_results": "The trials of the search are not shown: the files of Tuner",
    "model": "There are no heat maps: the files of the model are gone or damaged",
    "model_run": "There are no figures of the training: the files of Trainer",
    "baseline_model": "",
    "evaluation": "This run kept no predictions of single images",
    "blessing": "There are no figures of the verdict: the files of Evaluator",
    "infra_blessing": "There are no figures: the files of ServingCheck",
    "pushed_model": "",
}


class Kept:
    """A run with all its files."""

    def __init__(self, folder: Path):
        self.folder = folder
        script = Script(folder, images=9, wrong=0.5)
        run = script.run()
        self.config, self.records = run.config, script.keep_files(run)

    def left(self, records=None, **about) -> ReportedRun:
        records = self.records if records is None else records
        found = remains.collect(("drawn", ""), GateConfig(), "serving", records, [])
        return reported.of_summary(found, self.config, records, "2026-11-27T10:00:00+00:00", **about)

    def text(self) -> str:
        return " ".join(page.render(self.left()).split())


@pytest.fixture
def kept(tmp_path) -> Kept:
    return Kept(tmp_path)


def test_every_output_of_a_stage_has_a_sentence():
    assert set(chain.from_iterable(OUTPUTS.values())) == set(SENTENCES)


@pytest.mark.parametrize("gone", SENTENCES)
def test_a_report_is_made_without_any_one_output_and_says_what_is_missing(kept, gone):
    shutil.rmtree(kept.folder / gone, ignore_errors=True)
    content = kept.text()
    assert SENTENCES[gone] in content
    assert kept.left().classes == ["cyan", "magenta", "yellow"], "from what is left"


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_report_is_made_of_a_run_without_any_file(kept, is_damaged):
    for name in SENTENCES:
        if is_damaged:
            for file in filter(Path.is_file, (kept.folder / name).rglob("*")):
                file.write_bytes(b"\0")
        else:
            shutil.rmtree(kept.folder / name, ignore_errors=True)
    content = kept.text()
    for name, sentence in SENTENCES.items():
        assert sentence in content or is_damaged or name == "model", "heat maps belong to pictures"
    assert "There are no figures of the verdict" in content and "The whole configuration" in content
