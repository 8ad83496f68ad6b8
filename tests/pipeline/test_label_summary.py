import dataclasses
import json
import os

import pytest
from ml_metadata.proto import metadata_store_pb2

from components.label_check import results
from components.label_check.results import Kind, LabelFindings, Suspect, Totals
from config.stages import LABEL_CHECK
from pipeline import label_summary
from pipeline.run_metadata import StageRecord

WRONG = Suspect(os.fsdecode(b"a\xff\x1b[2J.png"), "1" * 64, "test", "cat", "dog", 0.99, Kind.WRONG)
TWIN = Suspect("b.png", "2" * 64, "test", "dog", "cat", 0.5, Kind.NEAR_DUPLICATE)
ODD = Suspect("c.png", "3" * 64, "test", "dog", "dog", 0.9, Kind.OUTLIER)
IN_TRAIN = Suspect("d.png", "4" * 64, "train", "dog", "cat", 0.9, Kind.WRONG)


@pytest.fixture
def collected(tmp_path):
    def collect(*suspects: Suspect, **fields) -> label_summary.LabelSummary | None:
        counts: dict[str, dict[str, int]] = {kind.value: {} for kind in Kind}
        for one in suspects:
            counts[one.kind][one.split] = counts[one.kind].get(one.split, 0) + 1
        totals = dataclasses.replace(Totals({"train": 100, "test": 50}, counts, 0.03), **fields)
        results.write(str(tmp_path), LabelFindings(list(suspects), {}, totals))
        output = metadata_store_pb2.Artifact(uri=str(tmp_path))
        return label_summary.collect({LABEL_CHECK: StageRecord(cached=False, outputs={"label_check": output})})

    return collect


def test_suspects_in_test_are_named_with_what_they_mean_for_the_accuracy(collected):
    found = collected(WRONG, TWIN, ODD, IN_TRAIN)
    labels, warning = label_summary.lines(found)
    assert labels.startswith("suspect images: 2 likely wrong, 1 near-duplicate, 1 outlier; ")
    assert labels.endswith("suspects.csv lists them")
    assert warning.startswith(
        "warning: 2 test images have a label that may be wrong, so the accuracy on test may be off by up to 4.0%: "
    )
    assert "b.png (dog, likely cat)" in warning and "c.png" not in warning and "d.png" not in warning


def test_names_of_any_bytes_can_be_printed_and_written(collected):
    found = collected(WRONG)
    (_, warning) = label_summary.lines(found)
    assert r"a\udcff\x1b[2J.png (cat, likely dog)" in warning
    assert "1 test image has" in warning and "2.0%" in warning
    row = json.loads(json.dumps(label_summary.as_json(found), ensure_ascii=False).encode("utf-8"))["in_test"][0]
    assert row == {
        **{"file": r"a\udcff\x1b[2J.png", "key": "1" * 64, "label": "cat", "likely_label": "dog"},
        "kind": "likely wrong",
    }


def test_only_three_are_named(collected):
    several = [dataclasses.replace(WRONG, path=f"{index}.png", key=str(index) * 64) for index in range(5)]
    *_, warning = label_summary.lines(collected(*several))
    assert "2.png" in warning and "3.png" not in warning and ", and 2 more" in warning


def test_nothing_is_said_where_nothing_was_found_and_what_was_not_judged_is(collected):
    assert list(label_summary.lines(collected())) == []
    assert list(label_summary.lines(collected(not_judged=["yak"]))) == ["labels of yak were not judged: too few images"]


def test_without_the_stage_there_is_no_summary():
    assert label_summary.collect({}) is None
    assert label_summary.as_json(None) is None
    assert list(label_summary.lines(None)) == []


def test_numbers_by_kind_and_split_are_in_the_json(collected):
    found = label_summary.as_json(collected(TWIN, IN_TRAIN))
    assert found["suspects"] == {
        **{"likely wrong": {"train": 1}, "near-duplicate": {"test": 1}},
        **{"check": {}, "outlier": {}},
    }
    assert found["noise"] == 0.03 and found["file"].endswith("suspects.csv")
