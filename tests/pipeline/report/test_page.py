"""The report of a run: its figures, its links, what it shows of odd names, and what it says where files are gone."""

from __future__ import annotations

import dataclasses
import hashlib
import html.parser
import io
import re
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tfx.components.evaluator.executor  # noqa: F401  first: on Python 3.11, TFMA can be imported only after it

# isort: split

from drawing import encode
from reports import Script
from sklearn import metrics as sklearn_metrics

from components.evaluator import confidence, metrics, predictions
from components.evaluator.metric_names import Metric
from components.evaluator.stress import judgement
from components.evaluator.stress.corruptions import CORRUPTIONS
from components.evaluator.stress.figures import PICTURE
from components.evaluator.verdict import OVERALL, Change, Check, ProbeFigures
from config.gate import GateConfig
from pipeline import verdict_table
from pipeline.report import (
    classes,
    curves,
    gallery,
    gate,
    labels,
    page,
    predicted,
    reliability,
    results,
    scores,
    serving,
    templating,
    writing,
)
from pipeline.report import run as reported
from pipeline.report.run import ReportedRun
from pipeline.workspace import RunFolder

RIGHT_TO_LEFT = "\u202eشارع gnp"
ODD_CLASSES = ("<script>alert(1)</script>", "\"quotes' & <b>", RIGHT_TO_LEFT, "x" * 200, "$a_b$ \\frac")
ODD_FILES = (
    b"<script>alert(2)</script>.png",
    b"\xff\xfe.png",
    RIGHT_TO_LEFT.encode() + b".png",
    b"n" * 200 + b".png",
    b'"><img src=x onerror=alert(3)>.png',
)


class Elements(html.parser.HTMLParser):
    """What a browser would make of a page: elements with their attributes, and the text of each kind of element."""

    def __init__(self, content: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def values(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.found if (value := attributes.get(attribute)) is not None]


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> ReportedRun:
    """A candidate that was refused, beside a model in production."""
    return Script(tmp_path_factory.mktemp("run"), images=60, wrong=0.3, with_baseline=True, is_pushed=False).run()


@pytest.fixture(scope="module")
def compared_page(compared) -> str:
    return page.render(compared)


def answers_of(run: ReportedRun) -> predicted.Answers:
    return predicted.of(predictions.read(run.uri("Evaluator", "evaluation"))).candidate


def test_curves_have_the_figures_of_scikit_learn(compared):
    answers = answers_of(compared)
    for index, one in enumerate(curves.of_answers(answers).classes):
        is_class, probabilities = answers.labels == index, answers.probabilities[:, index]
        assert one.average_precision == pytest.approx(sklearn_metrics.average_precision_score(is_class, probabilities))
        assert one.roc_area == pytest.approx(sklearn_metrics.roc_auc_score(is_class, probabilities))
        for step in (0, 37, 50, 95, 100):
            chosen = probabilities >= step / 100
            assert one.found[step] == (chosen & is_class).sum()
            assert one.false_alarms[step] == (chosen & ~is_class).sum()


@pytest.mark.parametrize("images", [40, 4000])
def test_the_curve_of_the_slider_is_that_of_the_chart_where_all_scores_are_close_to_1(images):
    rng = np.random.default_rng(0)
    labels, sure = rng.integers(0, 2, images), 1 - rng.uniform(0, 0.005, images)
    named = np.where(rng.random(images) < 0.9, labels, 1 - labels)
    probabilities = np.stack([np.where(named == index, sure, 1 - sure) for index in (0, 1)], axis=1)
    found = curves.of_answers(predicted.Answers(["a", "b"], labels, probabilities.astype(np.float32)))
    for one, shown in zip(found.classes, found.for_sliders, strict=True):
        whole = np.stack([one.false_positive_rate, one.true_positive_rate], axis=1)
        points = np.array(shown["roc"])
        assert len(points) <= 200 and points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1]
        distances = np.abs(whole[:, np.newaxis] - points).sum(axis=2)
        assert distances.min(axis=0).max() < 1e-3, "every point is one of the curve"
        assert distances.min(axis=1).max() < 0.02, "no part of the curve is cut off"
        whole, points = np.stack([one.recall, one.precision], axis=1), np.array(shown["precisionRecall"])
        assert np.abs(whole[:, np.newaxis] - points).sum(axis=2).min(axis=1).max() < 0.05


def test_the_table_of_classes_has_the_figures_of_scikit_learn(compared):
    answers = answers_of(compared)
    precision, recall, f1, images = sklearn_metrics.precision_recall_fscore_support(answers.labels, answers.answers)
    for index, row in enumerate(classes.rows(compared, results.collect(compared))):
        assert (row.precision, row.recall, row.f1) == pytest.approx((precision[index], recall[index], f1[index]))
        assert row.images == images[index]
        assert row.mistakes == ((answers.labels == index) & ~answers.right).sum()


def test_the_calibration_error_is_that_of_the_gate(compared):
    answers = answers_of(compared)
    tally = metrics.Tally.of(int(answers.labels[0]), answers.probabilities[0])
    for label, probabilities in zip(answers.labels[1:], answers.probabilities[1:], strict=True):
        tally += metrics.Tally.of(int(label), probabilities)
    found = reliability.of_answers(answers)
    assert found.calibration_error == pytest.approx(tally.calibration_error)
    assert found.images.tolist() == tally.in_bin.tolist()


def test_a_bin_with_only_wrong_answers_has_a_mark():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.45, 0.55]], np.float32)
    drawn = [
        scores.of_answers(predicted.Answers(["a", "b"], np.array(labels), probabilities))
        for labels in ([0, 0, 0], [0, 0, 1])
    ]
    assert [one.diagram.rows[0][1:] for one in drawn] == [(1, pytest.approx(0.55), 0), (1, pytest.approx(0.55), 1)]
    marks = [len(re.findall(r"<use ", one.diagram.svg)) for one in drawn]
    empty = scores.of_answers(predicted.Answers(["a", "b"], np.array([0, 0]), probabilities[:2]))
    assert marks[0] == marks[1] == len(re.findall(r"<use ", empty.diagram.svg)) + 1


def test_images_gained_and_lost_are_those_of_the_paired_difference(compared, compared_page):
    found = predicted.of(predictions.read(compared.uri("Evaluator", "evaluation")))
    change = compared.summary.verdict.change
    assert len(found.gained) and len(found.lost)
    assert (len(found.gained) - len(found.lost)) / 60 == pytest.approx(change.value)
    assert (len(found.gained) + len(found.lost)) / 60 == pytest.approx(change.disagreement)
    assert f"Images lost: {len(found.lost)}" in compared_page
    assert f"Images gained: {len(found.gained)}" in compared_page


def test_the_page_says_why_a_bound_can_fail_beside_a_large_p(compared_page):
    assert confidence.change_bounds(0, 3, 30, 0.95)[1] < 0, "as docs/gate.md has it"
    assert confidence.change_probability(0, 3) == 0.25
    assert (
        "Each bound looks at one side only" in compared_page and "p looks at both sides and is exact" in compared_page
    )


def test_the_serving_figures_are_those_of_the_terminal(compared_page):
    measured = {"load_seconds": 12.926, "warm_up_seconds": 10.88, "first_answer_seconds": 12.949, "p50_ms": 16.91}
    measured |= {"p99_ms": 39.04, "images_per_second": 63.46, "peak_gib": 1.0975}
    (line,) = verdict_table.serving_check_lines({"refusals": [], "measured": measured})
    values = dict(serving.rows(measured))
    assert values["first answer, after loading"] == "23 ms", "it does not include the time to load"
    assert all(value in line for value in values.values())
    assert "load seconds" not in compared_page and "time to load the model" in compared_page


def test_shares_are_percentages_in_the_table_of_checks(compared, compared_page):
    made = [
        Check(metric, OVERALL, "value", 0.8377, "at least", bound, True)
        for metric, bound in ((Metric.ACCURACY, 0.5), (Metric.ACCURACY_CHANGE, -0.01), (Metric.SPREAD, 0.05))
    ]
    verdict = dataclasses.replace(compared.summary.verdict, checks=made)
    run = dataclasses.replace(compared, summary=dataclasses.replace(compared.summary, verdict=verdict))
    assert [(one.value, one.bound, one.margin) for one in gate.checks(run)] == [
        ("83.77\u202f%", "50\u202f%", "33.77\u202fpoints"),
        ("83.77\u202fpoints", "−1\u202fpoints", "84.77\u202fpoints"),
        ("0.8377", "0.05", "0.7877"),
    ]
    assert "an answer that never changes" in page.render(run)


def test_a_stress_test_and_a_probe_are_on_the_page_and_on_the_terminal(compared, request):
    generator, config = np.random.default_rng(0), GateConfig.model_validate({"stress": {"images": 60}})
    models = [judgement.Answers(generator.random(60) < 0.9, generator.random((60, 8)) < 0.7) for _ in range(2)]
    tested = judgement.measure(*models, list(CORRUPTIONS), config)
    difference = Change(-0.2, -0.3, -0.1, 0.01, 0.2)
    verdict = dataclasses.replace(
        compared.summary.verdict, stress=tested, probe=ProbeFigures(0.9, 60, 8, 0.1, "eval", difference)
    )
    run = dataclasses.replace(compared, summary=dataclasses.replace(compared.summary, verdict=verdict))
    kept = Path(compared.uri("Evaluator", "evaluation"), PICTURE.format("motion_blur"))
    kept.write_bytes(encode(np.zeros((20, 20, 3), np.uint8)))
    request.addfinalizer(kept.unlink)
    written, shown = page.render(run), io.StringIO()
    verdict_table.show(verdict, 1, None, shown)
    for row in tested.rows:
        assert f"{100 * row.accuracy:.1f}" in written
        assert f"{row.corruption.replace('_', ' ')} " in shown.getvalue() and f"{row.accuracy:.1%}" in shown.getvalue()
    assert 'alt="a test image, motion blur"' in written and 'id="probe"' in written
    assert f"{tested.images_needed} would detect one" in written
    warnings = [line for line in shown.getvalue().splitlines() if line.startswith("warning: ")]
    assert [line.split()[1] for line in warnings] == ["a", "60"], "the probe, and too few images"
    assert 'id="stress"' not in page.render(compared)


def test_names_and_numbers_are_in_plain_words(compared, compared_page):
    assert [templating.figure(value) for value in (1.43e-05, -0.00012, 123456.0)] == ["0.0000143", "−0.00012", "123500"]
    assert "Numbers: receiver operating characteristic (ROC)" in compared_page
    whole = compared.evaluation.slices[0]
    slices = [
        whole,
        dataclasses.replace(whole, name="image/label=stop"),
        dataclasses.replace(whole, name="image/size_band=1-63"),
    ]
    run = dataclasses.replace(compared, evaluation=dataclasses.replace(compared.evaluation, slices=slices))
    content = page.render(run)
    assert (
        "class <bdi>stop</bdi>" in content
        and "size <bdi>1-63</bdi>" in content
        and "image/" not in content.partition("Slices of")[2].partition("</table>")[0]
    )


def test_an_answer_that_is_not_a_number_is_wrong_and_breaks_nothing(tmp_path):
    run = Script(tmp_path, images=9, wrong=0).run()
    found = predictions.read(run.uri("Evaluator", "evaluation"))
    candidate = found.candidate.copy()
    candidate[4] = np.nan
    answers = predicted.of(dataclasses.replace(found, candidate=candidate))
    assert answers.mistakes.tolist() == [4]
    assert np.isfinite(scores.of_answers(answers.candidate).reliability.calibration_error)


@pytest.mark.parametrize(("with_baseline", "with_predictions"), [(False, True), (True, True), (True, False)])
def test_every_link_leads_to_a_place_on_the_page_and_ids_are_unique(tmp_path, with_baseline, with_predictions):
    run = Script(tmp_path, with_baseline=with_baseline, is_pushed=False).run()
    if not with_predictions:
        next((tmp_path / "evaluation").glob("*.parquet")).unlink()
    content = Elements(page.render(run))
    ids = Counter(content.values("id"))
    assert [name for name, times in ids.items() if times > 1] == []
    links = [value for tag, attributes in content.found if tag == "a" and (value := attributes.get("href"))]
    assert len(links) > (15 if with_predictions else 7)
    assert [link for link in links if not link.startswith("#") or link[1:] not in ids] == []


def test_a_refusal_leads_to_the_images_behind_it(compared_page):
    content = Elements(compared_page)
    assert "Refused" in compared_page
    assert "#of-class-0" in content.values("href"), "the recall of the first class was too low"


def test_nothing_is_loaded_from_anywhere(compared_page):
    content = Elements(compared_page)
    assert {value.partition(":")[0] for value in content.values("src")} == {"data"}
    assert "@import" not in compared_page and not re.search(r"url\((?!#)", compared_page)
    (policy,) = [value for value in content.values("content") if "default-src" in value]
    assert "default-src 'none'" in policy and "img-src data:" in policy


def test_every_picture_and_chart_has_a_text_in_its_place(compared_page):
    content = Elements(compared_page)
    pictures = [attributes for tag, attributes in content.found if tag == "img"]
    drawings = [attributes for tag, attributes in content.found if tag == "svg"]
    assert len(pictures) > 60 and len(drawings) > 6
    assert all(attributes.get("alt") for attributes in pictures)
    assert all(attributes.get("role") == "img" and attributes.get("aria-label") for attributes in drawings)
    assert sum(attributes.get("class") == "numbers" for tag, attributes in content.found) == len(drawings), "tables"


def test_odd_names_are_text_and_nothing_else(tmp_path):
    script = Script(tmp_path, ODD_CLASSES, images=20, with_baseline=True, names=ODD_FILES, is_pushed=False)
    content = page.render(script.run())
    elements = Elements(content)
    of_scripts = [attributes.get("type") for tag, attributes in elements.found if tag == "script"]
    assert Counter(of_scripts) == {None: 1, "application/json": 2}
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert {attributes["src"].partition(":")[0] for tag, attributes in elements.found if tag == "img"} == {"data"}
    assert not {"b", "frac"} & {tag for tag, _ in elements.found}
    for name in ODD_CLASSES:
        assert name in elements.texts["bdi"], "in full, and apart from the text around it"
    assert any("\ufffd" in text for text in elements.texts["bdi"]), "bytes that are not UTF-8"
    assert "mathdefault" not in content
    content.encode("utf-8")


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        ("predictions", "This run kept no predictions of single images"),
        ("examples", "There are no pictures: the files of ImageExampleGen are gone"),
        ("metrics", "There are no slices to show: the files of Evaluator are gone"),
    ],
)
def test_what_is_gone_is_left_out_with_a_sentence(tmp_path, gone, sentence):
    run = Script(tmp_path).run()
    if gone == "predictions":
        next((tmp_path / "evaluation").glob("*.parquet")).unlink()
    elif gone == "examples":
        shutil.rmtree(tmp_path / "examples")
    else:
        run = dataclasses.replace(run, evaluation=None)
    text = " ".join(page.render(run).split())
    assert sentence in text
    assert "Worst mistakes" in text or gone == "predictions"


def test_many_images_are_sampled_and_the_page_says_so(tmp_path):
    run = Script(tmp_path, images=400).run()
    found = predicted.of(predictions.read(run.uri("Evaluator", "evaluation")))
    shown = gallery.of_predicted(found, most=150)
    assert shown.is_sample and len(shown.shown) == 150
    keys = {found.predictions.keys[number] for number in found.mistakes}
    assert keys <= shown.shown, "every mistake"
    right = Counter(cell.label for one in shown.classes for cell in one.right for _ in cell.images)
    assert max(right.values()) - min(right.values()) <= 8, "of each class about as many"
    assert sum(one.total for one in shown.classes) == 400


def test_mistakes_come_from_the_surest_on_and_right_answers_from_the_least_sure(tmp_path):
    run = Script(tmp_path, images=60).run()
    shown = gallery.of_predicted(predicted.of(predictions.read(run.uri("Evaluator", "evaluation"))))
    assert [one.score for one in shown.mistakes] == sorted((one.score for one in shown.mistakes), reverse=True)
    assert [one.score for one in shown.uncertain] == sorted(one.score for one in shown.uncertain)
    assert not any(one.is_right for one in shown.mistakes) and all(one.is_right for one in shown.uncertain)
    for cell in shown.classes[0].right:
        assert [one.score for one in cell.images] == sorted(one.score for one in cell.images)


def test_a_phase_that_was_rolled_back_is_shown(compared_page):
    assert "rolled back" in compared_page and "loss 0.4 after" in compared_page


def test_suspect_labels_and_nearest_training_images_have_their_pictures(tmp_path, monkeypatch):
    run = Script(tmp_path, images=30, wrong=0.3).run()
    found = predictions.read(run.uri("Evaluator", "evaluation"))
    worst = found.keys[predicted.of(found).mistakes[0]]
    train = hashlib.sha256(b"train/0003-photo.png").hexdigest()
    near = SimpleNamespace(key=train, path="train/0003-photo.png", label="<magenta>", distance=0.25)
    suspect = SimpleNamespace(
        **{"key": train, "path": "train/\udcff.png", "label": "cyan", "likely_label": "<yellow>"},
        **{"split": "train", "score": 0.97, "kind": "likely wrong"},
    )
    section = labels.Labels(
        [labels.Kind("likely wrong", [suspect], 41)], {"likely wrong": 2}, 2, {worst: [near]}, {train: "outlier"}
    )
    monkeypatch.setattr(labels, "collect", lambda run: section)
    content = page.render(run)
    elements = Elements(content)
    shown = {attributes["alt"]: attributes["src"] for tag, attributes in elements.found if tag == "img"}
    assert shown["training image of <magenta>: train/0003-photo.png"] == shown["image with the label cyan"]
    assert "suspect: outlier" in elements.texts["span"], "at the neighbour"
    assert "<yellow>" in elements.texts["bdi"] and "Likely wrong: 41" in elements.texts["h3"]
    assert "2 likely wrong" in content and "may be off by up to 6.7" in content, "beside the verdict"
    section = dataclasses.replace(section, in_test={"check": 3}, doubtful_in_test=0)
    content = page.render(run)
    assert "3 to check. No label is likely wrong" in content and "may be off" not in content


def test_a_report_that_fails_leaves_the_run_as_it_is(tmp_path, monkeypatch, caplog):
    def fail(run):
        raise ValueError("no font")

    run = Script(tmp_path / "run").run()
    monkeypatch.setattr(page, "render", fail)
    monkeypatch.setattr(reported, "of_summary", lambda *_, **__: run)
    folder = RunFolder(tmp_path, "drawn")
    line = writing.write(run.summary, run.config, run.records, run.run_id, folder)
    assert line.startswith("no report: no font;")
    assert "ValueError: no font" in caplog.text, "the log has the traceback"
    assert not folder.report.exists() and not folder.report_of(run.run_id).exists()


def test_a_report_is_kept_for_each_run(tmp_path, monkeypatch):
    run = Script(tmp_path / "run").run()
    monkeypatch.setattr(reported, "of_summary", lambda *_, **__: run)
    folder = RunFolder(tmp_path, "drawn")
    for run_id in ("2026-11-27T10:00:00+00:00", "2026-11-28T10:00:00+00:00"):
        line = writing.write(run.summary, run.config, run.records, run_id, folder)
        assert line == f"report: {folder.report}"
        run = dataclasses.replace(run, run_id="2026-11-28T10:00:00+00:00")
    kept = sorted(path.name for path in (tmp_path / "drawn" / "reports").iterdir())
    assert kept == ["2026-11-27T10-00-00-00-00.html", "2026-11-28T10-00-00-00-00.html"]
    assert folder.report.read_bytes() == (tmp_path / "drawn" / "reports" / kept[1]).read_bytes()
