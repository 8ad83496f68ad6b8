"""Class shares and warnings about the data."""

import dataclasses
import io
import os
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2

from components.evaluator import confidence
from components.example_validator import drift, drift_findings
from components.image_example_gen import report
from components.image_example_gen.report import Counts
from config.gate import GateConfig
from pipeline import data_summary
from pipeline.data_summary import DataSummary
from pipeline.run_metadata import StageRecord


def counts(**test: int) -> Counts:
    splits = {"train": dict.fromkeys(test, 100), "eval": dict.fromkeys(test, 10), "test": test}
    return Counts(found=0, quarantined=0, duplicates=0, splits=splits, fingerprint="")


@pytest.fixture
def collect(tmp_path):
    """Writes the artifacts of ImageExampleGen and ExampleValidator, and collects the summary."""

    def collect(counts: Counts, gate: GateConfig, findings: tuple[drift_findings.Finding, ...] = ()) -> DataSummary:
        report.write_counts(str(tmp_path), counts)
        Path(tmp_path, drift_findings.FILE).write_text(drift_findings.dumps(list(findings)))
        artifact = metadata_store_pb2.Artifact(uri=str(tmp_path))
        ingested, validated = (StageRecord(False, outputs={key: artifact}) for key in ("report", "anomalies"))
        return data_summary.collect({"ImageExampleGen": ingested, "ExampleValidator": validated}, gate)

    return collect


def printed(summary: DataSummary) -> str:
    terminal = io.StringIO()
    data_summary.print_table(summary, terminal)
    data_summary.print_warnings(summary, terminal)
    return terminal.getvalue()


def test_a_class_too_small_for_its_bound_is_named_with_the_images_it_needs(collect):
    gate = GateConfig(min_accuracy=0.5, min_recall={"yellow": 0.95}, confidence=0.95)
    (warning,) = collect(counts(red=40, yellow=3), gate).warnings
    assert warning == (
        "few test images: yellow 3 (needed: 52); even with all correct, recall of yellow could be as low as 53% (95% "
        "confidence)"
    )


def test_all_small_classes_are_in_one_warning(collect):
    (warning,) = collect(counts(red=4, yellow=3), GateConfig(min_accuracy=0.95)).warnings
    assert warning.startswith(
        "few test images: yellow 3 (needed: 52), red 4 (needed: 52); even with all correct, recall"
    )


@pytest.mark.parametrize("bound", [0.5, 0.9, 0.95, 0.99])
def test_the_needed_number_is_the_smallest_that_is_enough(collect, bound):
    gate = GateConfig(min_accuracy=0.0, min_recall=bound)
    needed = confidence.images_for_share(bound, gate.confidence)
    assert collect(counts(red=needed), gate).warnings == []
    assert collect(counts(red=needed - 1), gate).warnings
    assert confidence.share_bounds(needed, needed, gate.confidence)[0] >= bound
    assert confidence.share_bounds(needed - 1, needed - 1, gate.confidence)[0] < bound


def test_a_class_without_its_own_bound_has_that_of_all_images(collect):
    assert collect(counts(red=3), GateConfig(min_accuracy=0.95)).warnings
    assert not collect(counts(red=3), GateConfig(min_accuracy=0.1)).warnings
    assert not collect(counts(red=3), GateConfig(min_accuracy=1.0)).warnings, "no number of images is enough"


def test_a_class_without_test_images_has_its_own_warning(collect):
    gate = GateConfig(min_accuracy=0.1)
    assert collect(counts(red=20, yellow=0), gate).warnings == [
        "no test images of yellow, so the gate cannot judge these classes; add images"
    ]


def test_the_share_of_a_class_counts_all_its_examples(collect):
    rows = printed(collect(counts(red=20, yellow=0), GateConfig(min_accuracy=0.1))).splitlines()
    assert ["red", "54.2%", "100", "10", "20"] in [row.split() for row in rows]  # 130 of 240
    assert ["all", "images", "200", "20", "20"] in [row.split() for row in rows]


def test_folders_of_splits_and_clutter_are_told_in_a_line_each(collect):
    folders, clutter = {"Training": "train", "test": "test"}, {"@eaDir/": 12, "Thumbs.db": 2}
    found = dataclasses.replace(counts(red=60), split_folders=folders, ignored=clutter, in_several_splits=3)
    summary = collect(found, GateConfig())
    lines = printed(summary).splitlines()
    assert "folders used as splits: Training (train), test (test); eval: taken from train by hash" in lines
    assert "ignored files and folders, which programs leave beside images: @eaDir/ 12, Thumbs.db 2" in lines
    assert any(
        line.startswith("warning: images that the source has in several splits (same bytes): 3; each is used once")
        for line in lines
    )
    data = data_summary.as_json(summary)
    assert (data["split_folders"], data["ignored"], data["in_several_splits"]) == (folders, clutter, 3)
    quiet = printed(collect(counts(red=60), GateConfig()))
    assert "folders" not in quiet and "ignored" not in quiet


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({}, ""),
        ({"look_alikes": 2}, "lists of near-duplicates: "),
        ({"near_duplicates": {"test": 2}}, "lists of near-duplicates: "),
        ({"quarantined": 1, "duplicates": 3}, "lists of quarantined images and duplicates: "),
        (
            {"quarantined": 1, "duplicates": 3, "look_alikes": 2},
            "lists of quarantined images, duplicates and near-duplicates: ",
        ),
    ],
)
def test_the_line_about_lists_names_what_they_have(found, line):
    summary = DataSummary(["red"], dataclasses.replace(counts(red=60), **found), [], [], "/folder")
    lines = printed(summary).splitlines()
    assert [one.partition("/")[0] for one in lines if one.startswith("lists of ")] == [line] * bool(line)


def test_changes_of_the_data_are_warnings(collect):
    finding = drift_findings.Finding("image/label", "new classes", drift.WARN)
    summary = collect(counts(red=60), GateConfig(), (finding,))
    assert summary.warnings == ["new classes"] and summary.drift == [finding]
    assert "warning: new classes\n" in printed(summary)


def test_check_prints_what_the_test_images_can_prove():
    gate = GateConfig(min_accuracy=0.95, min_test_examples=20)
    few = list(data_summary.gate_power(counts(red=10), gate))
    (refused,) = data_summary.gate_warnings(counts(red=10), gate)
    assert refused == "the gate would refuse every model: 10 test images, and gate.min_test_examples is 20"
    assert list(data_summary.gate_warnings(counts(red=20), gate)) == []
    assert few[-1].startswith("even a model without a mistake could not prove an accuracy of 95%: that takes 52 test")
    (enough,) = data_summary.gate_power(counts(red=60), GateConfig(min_accuracy=0.95))
    assert enough.startswith("60 test images: the lowest accuracy that passes, 95.0%, would have the bounds ")


def test_names_and_fields_that_may_be_mistakes_are_warnings(collect):
    found = Counts(**{**vars(counts(**{"cat": 9, "Cat": 9, "none": 9})), "empty_fields": ["group", "weight"]})
    told = printed(collect(found, GateConfig()))
    assert "warning: classes with nearly the same name: 'Cat' and 'cat'; if they are one class, " in told
    assert "warning: a class is named like a missing label: 'none'; if its images have no label, " in told
    assert "warning: data.fields.group: no image has a group; check the name" in told
    assert "warning: data.fields.weight: the weight of every image is 1; check the name" in told


def test_images_with_next_to_no_content_are_counted_with_examples(collect, tmp_path):
    rows = [{"path": f"red/{number}.png", "label": "red", "split": "train"} for number in range(7)]
    report.write_rows(str(tmp_path / report.LITTLE_CONTENT), rows)
    blank = dataclasses.replace(counts(red=100, yellow=100), little_content=7)
    summary = collect(blank, GateConfig(min_accuracy=0.5))
    (warning,) = summary.warnings
    assert warning.startswith("images that show next to nothing (one colour, or fewer than 8 grey levels): 7; red/0")
    assert "red/0.png, red/1.png, red/2.png, red/3.png, red/4.png and 2 more" in warning
    assert data_summary.as_json(summary)["little_content"] == 7


def test_look_alikes_with_different_labels_are_counted_and_named(collect, tmp_path):
    rows = [
        {"path": f"a/{n}.jpg", "labels": ["a", "b"], "examples": {"a": f"a/{n}.jpg", "b": f"b/{n}.png"}}
        for n in range(7)
    ]
    report.write_rows(str(tmp_path / report.NEAR_DUPLICATES), [*rows, {"path": "a", "labels": ["a"], "examples": {}}])
    (warning,) = collect(
        dataclasses.replace(counts(a=100, b=100), look_alikes=14), GateConfig(min_accuracy=0.5)
    ).warnings
    assert warning.startswith(
        "14 images look the same but have different labels: a/0.jpg (a) = b/0.png (b); a/1.jpg (a)"
    )
    assert "; and 2 more; look at them" in warning


def test_a_class_without_eval_images_and_folders_that_all_classes_contain_are_warned_of(collect):
    found = counts(a=100, b=100)
    found = dataclasses.replace(found, splits={**found.splits, "eval": {"a": 5}}, inner_folders=["x", "y"])
    folders, unwatched = collect(found, GateConfig(min_accuracy=0.5)).warnings
    assert folders.startswith("every class folder contains the folders x, y: if these are the classes, ")
    assert unwatched.startswith("no eval images of b, so ")


def test_a_path_that_is_not_utf_8_can_be_printed_and_written(collect, tmp_path):
    report.write_rows(str(tmp_path / report.LITTLE_CONTENT), [{"path": os.fsdecode(b"red/\xff.png")}])
    blank = dataclasses.replace(counts(red=100, yellow=100), little_content=1)
    (warning,) = collect(blank, GateConfig(min_accuracy=0.5)).warnings
    assert "red/\ufffd.png" in warning and warning.encode("utf-8")
