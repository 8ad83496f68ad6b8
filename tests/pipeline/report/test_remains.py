"""The report of a run whose files are gone in part, of one that only judged a model, and where reports are kept."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
from collections.abc import Collection
from itertools import chain
from pathlib import Path

import pytest
import tfx  # noqa: F401  first: it replaces a module that TFDV 1.16 imports, on Python 3.11

# isort: split

from ml_metadata.proto import metadata_store_pb2
from reports import OUTPUTS, Script

from config.errors import BadInputError
from config.gate import GateConfig
from pipeline import history, remains
from pipeline.report import page, past
from pipeline.report import run as reported
from pipeline.report.run import ReportedRun
from pipeline.run_metadata import RunRecord, StageRecord
from pipeline.workspace import RunFolder

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


class Past:
    """A pipeline's folder with one run after another, as ML Metadata has them, and what `regraft report` makes."""

    def __init__(self, kept: Kept, monkeypatch: pytest.MonkeyPatch):
        self.folder, self.kept = RunFolder(kept.folder, "drawn"), kept
        self.records: list[RunRecord] = []
        monkeypatch.setattr(history, "read", lambda folder: (self.folder, self.records, self._past()))

    def _past(self) -> list[history.PastRun]:
        return [history._past_run(number, one, False) for number, one in enumerate(self.records, start=1)]

    def add(self, without: Collection[str] = (), **more: StageRecord) -> None:
        stages = {name: stage for name, stage in {**self.kept.records, **more}.items() if name not in without}
        gate, config = GateConfig().model_dump_json(), self.kept.config.model_dump_json(by_alias=True)
        for stage, name, value in (("Evaluator", "gate", gate), ("Pusher", "config", config)):
            if stage in stages:
                parameters = {name: metadata_store_pb2.Value(string_value=value)}
                stages[stage] = dataclasses.replace(stages[stage], parameters=parameters)
        started = datetime.datetime(2026, 11, 20 + len(self.records), tzinfo=datetime.UTC)
        self.records.append(RunRecord(started.isoformat(), started, stages))

    def report(self, number: int | None = None) -> str:
        return past.report(self.folder.path, number, again=True).read_text(encoding="utf-8")


@pytest.fixture
def earlier(kept, monkeypatch) -> Past:
    return Past(kept, monkeypatch)


def test_the_report_of_the_last_run_is_made_again_in_both_places(earlier):
    earlier.add()
    earlier.add()
    earlier.folder.path.mkdir()
    earlier.folder.summary.write_text('{"config": "tune.yaml"}')
    earlier.folder.report.write_text("old")
    assert "regraft run CONFIG" in (first := earlier.report(1)) and "its name was not recorded" in first
    assert "tune.yaml" not in first, "summary.json is of the last run"
    assert earlier.folder.report.read_text() == "old"
    last = earlier.report()
    assert "regraft run tune.yaml" in last and "<code>tune.yaml</code>" in last and "--run 2" in last
    assert earlier.folder.report.read_text() == last


def test_a_run_that_only_judged_a_model_has_a_report(earlier):
    earlier.add()
    candidate = StageRecord(False, {}, {"result": metadata_store_pb2.Artifact(uri="nowhere")})
    left_out = ("Trainer", "ServingCheck", "Pusher", "Transform", "LabelCheck", "ExampleValidator", "Tuner")
    earlier.add(left_out, Candidate=candidate)
    content = " ".join(earlier.report().split())
    assert "Would be refused" in content and "the gate only judged this model" in content
    assert "Worst mistakes" in content and "regraft explain" in content and "regraft run" not in content
    assert "it trained none" in content and "it only judged a model" in content
    assert not earlier.folder.report.exists(), "it is that of the last whole run"


@pytest.mark.parametrize("version", [0, 4])
def test_the_sentence_about_drift_is_about_this_run(kept, version):
    properties = kept.records["BaselineModel"].outputs["baseline_model"].custom_properties
    properties["version" if version else "absent"].int_value = version or 1
    content = kept.text()
    assert ("No version was in production" in content) is not bool(version)
    assert ("differ from those of version 4, which was in production" in content) is bool(version)


def test_a_run_that_stopped_after_the_verdict_has_a_report(earlier):
    earlier.add(["ServingCheck", "Pusher"])
    assert "Judged, but not finished" in earlier.report()


def test_without_a_verdict_there_is_no_report(earlier):
    with pytest.raises(BadInputError, match="no runs yet"):
        earlier.report()
    earlier.add(["Evaluator", "ServingCheck", "Pusher"])
    for number in (None, 1):
        with pytest.raises(BadInputError, match=r"came to (a|no) verdict"):
            earlier.report(number)
