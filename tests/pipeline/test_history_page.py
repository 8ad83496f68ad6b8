"""`regraft history --html`: the page about all runs, from ML Metadata and what is left of the files."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import browser
import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from components.evaluator import verdict
from components.evaluator.metric_names import Metric
from components.evaluator.verdict import OVERALL, Change, Check, Verdict
from components.example_validator import drift_findings
from components.image_example_gen import report
from components.serving_directory import ServingDirectory
from config.errors import BadInputError
from pipeline import history as pasts
from pipeline.report import charts, history, history_charts

HOSTILE = '<script>alert("1")</script> \u202eevil'
OUTPUTS = {
    "ImageExampleGen": ("examples", "report"),
    "ExampleValidator": ("anomalies",),
    "BaselineModel": ("baseline_model",),
    "Evaluator": ("blessing",),
    "Pusher": ("pushed_model",),
}


class Workspace:
    """A pipeline's folder in which runs are recorded as TFX does it."""

    def __init__(self, folder: Path):
        self.folder, self.runs = folder, 0
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(folder / "metadata.sqlite")
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.store = metadata_store.MetadataStore(config)
        self.types = {
            name: self.store.put_context_type(pb.ContextType(name=name))
            for name in ("pipeline", "pipeline_run", "node")
        }
        self.artifact_type = self.store.put_artifact_type(pb.ArtifactType(name="Any"))
        self.serving = ServingDirectory(folder / "serving")

    def context(self, kind: str, name: str) -> pb.Context:
        found = self.store.get_context_by_type_and_name(kind, name)
        if found is None:
            self.store.put_contexts([pb.Context(type_id=self.types[kind], name=name)])
            found = self.store.get_context_by_type_and_name(kind, name)
        return found

    def run(
        self,
        accuracy: float,
        images: int = 100,
        pushed: bool = True,
        reason: str = "",
        drift: str = "",
        until: str = "Pusher",
    ) -> Path:
        """Records a run; returns the folder of its artifacts."""
        self.runs += 1
        root = self.folder / "artifacts" / str(self.runs)
        properties = {
            "examples": {"images": json.dumps({"train": images, "test": 40})},
            "baseline_model": {"absent": 1} if self.runs == 1 else {"version": self.runs - 1},
            "blessing": {"blessed": int(pushed and not reason)},
            "pushed_model": {
                "pushed": int(pushed),
                "refused_by": "" if pushed and not reason else "gate",
                "blessed_anyway": reason,
                "pushed_version": str(self.runs),
            },
        }
        run = self.context("pipeline_run", f"2026-11-{self.runs:02d}T10:00:00")
        for stage, names in OUTPUTS.items():
            self.stage(run, stage, {name: (root / name, properties.get(name, {})) for name in names})
            if stage == until:
                break
        if until != "Pusher":
            return root
        low, high = accuracy - 0.05, min(1.0, accuracy + 0.03)
        change = Change(0.0125, -0.02, 0.05, 0.4, 0.1) if self.runs > 1 else None
        check = Check(Metric.ACCURACY, OVERALL, "value", accuracy, "at least", 0.8, accuracy >= 0.8)
        verdict.write(Verdict(pushed, 40, accuracy, (low, high), change, 0.95, [check], {}), root / "blessing")
        counts = report.Counts(images + 40, 3, 0, {"train": {"cat": images}}, f"{images:064x}")
        report.write_counts(str(root / "report"), counts)
        findings = [drift_findings.Finding("image/label", drift, "warn")] if drift else []
        (root / "anomalies").mkdir(parents=True)
        (root / "anomalies" / drift_findings.FILE).write_text(drift_findings.dumps(findings))
        return root

    def stage(self, run: pb.Context, stage: str, outputs: dict[str, tuple[Path, dict]]) -> None:
        kind = self.store.put_execution_type(pb.ExecutionType(name=stage))
        execution = pb.Execution(type_id=kind, last_known_state=pb.Execution.COMPLETE)
        found = []
        for name, (uri, properties) in outputs.items():
            artifact = pb.Artifact(type_id=self.artifact_type, uri=str(uri))
            for key, value in properties.items():
                if isinstance(value, int):
                    artifact.custom_properties[key].int_value = value
                else:
                    artifact.custom_properties[key].string_value = value
            event = pb.Event(type=pb.Event.OUTPUT)
            event.path.steps.add(key=name)
            found.append((artifact, event))
        contexts = [self.context("pipeline", "fruit"), run, self.context("node", f"fruit.{stage}")]
        self.store.put_execution(execution, found, contexts)

    def push(self, **manifest) -> None:
        model = self.folder / "model"
        model.mkdir(exist_ok=True)
        (model / "saved_model.pb").write_text(str(self.runs))
        self.serving.push(model, {"test": {"accuracy": 0.9, "examples": 40}, **manifest})

    def page(self, place: Path | None = None) -> str:
        return history.render(self.folder, place or self.folder)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    folder = tmp_path / "fruit"
    folder.mkdir()
    return Workspace(folder)


def section(page: str, name: str) -> str:
    return re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)[0]


def rows(section_: str) -> list[list[str]]:
    """The cells of every row of the section's last table, without markup."""
    table = re.findall(r"<tbody>(.*?)</tbody>", section_, re.DOTALL)[-1]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table.split("</tr>")[:-1]]
    return [[html.unescape(re.sub(r"<[^>]*>", "", cell)).strip() for cell in row] for row in cells]


def test_every_run_is_shown_with_its_figures_the_newest_first(workspace):
    workspace.run(0.85)
    workspace.push()
    workspace.run(0.75, pushed=False)
    workspace.run(0.9, until="ImageExampleGen")
    page = workspace.page()
    ended, refused, first = rows(section(page, "runs"))
    assert [row[0] for row in (ended, refused, first)] == ["3", "2", "1"]
    assert ended[2].endswith("after ImageExampleGen")
    assert ended[3:6] == ["–", "–", "–"]
    assert refused[2:6] == ["not blessed: accuracy", "75.00\u202f%", "70.0\u202f% to 78.0\u202f%", "+1.25\u202fpoints"]
    assert first[2:4] == ["pushed as version 1", "85.00\u202f%"] and first[5] == "–"
    assert rows(section(page, "versions"))[0][0] == "1"
    numbers = re.findall(r'<td class="number">(\d)</td><td><bdi>2026', section(page, "runs"))
    assert numbers == ["1", "2"], "the table of the chart's numbers has the runs that came to a verdict"


def test_data_and_drift_are_those_of_each_run_and_a_dash_where_the_files_are_gone(workspace):
    folders = [workspace.run(0.9, 100), workspace.run(0.9, 100), workspace.run(0.9, 120, drift=f"new {HOSTILE}")]
    page = workspace.page()
    assert [row[3:] for row in rows(section(page, "data"))] == [
        ["3", "other than those of the run before"],
        ["3", "those of the run before"],
        ["3", "–"],
    ]
    assert [row[1] for row in rows(section(page, "drift"))] == [f"new {HOSTILE}", "none", "none"]
    for name in ("report", "anomalies"):  # as `regraft clean` does
        shutil.rmtree(folders[2] / name)
    page = workspace.page()
    assert rows(section(page, "data"))[0] == ["3", "120", "40", "–", "–"], "ML Metadata still has the numbers"
    assert rows(section(page, "drift"))[0] == ["3", "–"]


def test_who_pushed_past_a_refusal_and_why(workspace):
    workspace.run(0.7, reason=f"the old one is broken {HOSTILE}")
    workspace.push(blessed_anyway={"reason": HOSTILE, "by": "alice", "failed": ["accuracy (overall)"]})
    page = workspace.page()
    ((version, _, by, reason, failed),) = rows(section(page, "overrides"))
    assert (version, by, reason, failed) == ("1", "alice", HOSTILE, "accuracy (overall)")
    shutil.rmtree(workspace.folder / "serving" / "1")
    ((version, _, by, reason, failed),) = rows(section(workspace.page(), "overrides"))
    assert (version, by, failed) == ("1", "not known: the version is gone", "–")
    assert reason == f"the old one is broken {HOSTILE}"


def test_names_from_outside_cannot_become_code(workspace):
    workspace.run(0.9, reason=HOSTILE, drift=HOSTILE)
    workspace.push(blessed_anyway={"reason": HOSTILE, "by": HOSTILE, "failed": [HOSTILE]})
    page = workspace.page()
    assert page.count("<script>") == 1, "the page's own"
    assert "alert(&#34;1&#34;)" in page


def test_links_lead_from_the_page_to_the_reports_that_exist(workspace, tmp_path):
    workspace.run(0.9)
    workspace.run(0.9)
    kept = workspace.folder / "reports" / "2026-11-02T10-00-00.html"
    kept.parent.mkdir()
    kept.write_text("a report")
    place = tmp_path / "a page?"
    place.mkdir()
    history.write(workspace.folder, place / "page.html")
    links = re.findall(r'<a href="([^#"]*)">report', (place / "page.html").read_text())
    assert links == ["../fruit/reports/2026-11-02T10-00-00.html"]
    assert (place / links[0]).read_text() == "a report"


def test_the_page_says_that_its_links_do_not_travel(workspace):
    workspace.run(0.9)
    assert "The links to reports are paths" not in workspace.page()
    kept = workspace.folder / "reports" / "2026-11-01T10-00-00.html"
    kept.parent.mkdir()
    kept.write_text("a report")
    assert "The links to reports are paths: they work only while" in workspace.page()


def test_all_dates_have_one_format(workspace):
    workspace.run(0.9, reason="none")
    workspace.push(pushed_at="2026-11-27T15:39:26+01:00", blessed_anyway={"reason": "none", "by": "alice"})
    page = workspace.page()
    assert "2026-11-27 14:39:26" in page
    assert re.findall(r"\d{4}-\d\d-\d\dT[^<]*", re.sub(r'href="[^"]*"', "", page)) == []


def test_a_split_has_the_same_colour_in_every_chart(workspace):
    workspace.run(0.9)  # its examples are noted without eval
    svg = str(history_charts.images(list(history._entries(*pasts.read(workspace.folder), workspace.folder))).svg)
    assert "var(--c1)" in svg and "var(--c3)" in svg and "var(--c2)" not in svg
    assert [charts.SPLITS[name] for name in ("train", "eval", "test")] == list(charts.SERIES[:3])


def test_a_workspace_without_a_finished_run_says_so(workspace):
    workspace.run(0.9, until="ImageExampleGen")
    page = workspace.page()
    assert "No run came to a verdict yet" in page and "There is no version" in page
    assert "Nobody has pushed a model that was refused" in page


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(BadInputError, match="no runs here"):
        history.write(tmp_path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.skipif(browser.program() is None, reason="needs Chromium: apt install chromium")
def test_a_browser_shows_the_page_without_an_error_or_a_request(workspace, tmp_path):
    for accuracy in (0.85, 0.75, 0.9):
        workspace.run(accuracy, reason=HOSTILE, drift=HOSTILE)
        workspace.push(blessed_anyway={"reason": HOSTILE, "by": HOSTILE, "failed": [HOSTILE]})
    file = tmp_path / "history.html"
    file.write_text(workspace.page(tmp_path), encoding="utf-8")
    with browser.opened() as tab:
        for width, is_dark in ((390, False), (1440, True)):
            tab.open(file, width, is_dark=is_dark)
            assert tab.errors == []
            assert tab.requests == [file.as_uri()]
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert tab.low_contrasts() == []
            assert tab.evaluate("document.querySelectorAll('svg').length") > 0
