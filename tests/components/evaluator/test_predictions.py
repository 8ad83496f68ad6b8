"""The predictions that Evaluator keeps are those that TFMA judges: every figure can be computed from them again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import sklearn.metrics
from gatekeeping import CLASSES, Gatekeeper, Scripted, answers, photos

from components.evaluator import predictions
from components.evaluator.verdict import Verdict
from pipeline import calibration
from pipeline.report import predicted

TEST = photos(100)  # more than one batch of TFMA
SHIFTED = dict(zip(CLASSES, (*CLASSES[1:], CLASSES[0]), strict=True))
WRONG = {photo.number: SHIFTED[photo.label] for photo in TEST[: 2 * 11 : 2]}
WRONG_BEFORE = {photo.number: SHIFTED[photo.label] for photo in TEST[10:45]}


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> tuple[Verdict, predictions.Predictions, Path]:
    """The verdict on a candidate with a baseline whose classes have another order, and the kept predictions."""
    keeper = Gatekeeper(tmp_path_factory.mktemp("gate"), {"min_accuracy": 0}, {"train": [], "eval": [], "test": TEST})
    keeper.put_in_production(Scripted(answers(TEST, WRONG_BEFORE), CLASSES[::-1], probability=0.7))
    found = keeper.judge(Scripted(answers(TEST, WRONG)))
    evaluation = keeper.folder / "1" / "evaluation"
    return found, predictions.read(str(evaluation)), evaluation


def test_every_image_is_kept_once_in_the_order_of_its_key(judged):
    _, kept, _ = judged
    ordered = sorted(TEST, key=lambda photo: photo.number)
    assert kept.keys == [f"{photo.number:064x}" for photo in ordered]
    assert kept.labels == [photo.label for photo in ordered]
    assert kept.paths == [b"%s/photo \xff %d" % (photo.label.encode(), photo.number) for photo in ordered]


def test_both_models_probabilities_are_kept_by_index_of_their_own_classes(judged):
    _, kept, _ = judged
    assert (tuple(kept.classes), tuple(kept.baseline_classes)) == (CLASSES, CLASSES[::-1])
    assert kept.candidate.dtype == kept.baseline.dtype == np.float32
    for row, photo in enumerate(sorted(TEST, key=lambda photo: photo.number)):
        answer, before = (wrong.get(photo.number, photo.label) for wrong in (WRONG, WRONG_BEFORE))
        expected = [0.9 if name == answer else 0.05 for name in CLASSES]
        expected_before = [0.7 if name == before else 0.15 for name in CLASSES[::-1]]
        np.testing.assert_allclose(kept.candidate[row], expected, rtol=1e-6)
        np.testing.assert_allclose(kept.baseline[row], expected_before, rtol=1e-6)


def test_accuracy_recall_and_precision_are_tfmas_and_those_of_scikit_learn(judged):
    found, kept, _ = judged
    answered = [kept.classes[index] for index in kept.candidate.argmax(axis=1)]
    before = [kept.baseline_classes[index] for index in kept.baseline.argmax(axis=1)]
    assert found.examples == len(kept.keys)
    accuracy = sklearn.metrics.accuracy_score(kept.labels, answered)
    assert accuracy == pytest.approx(1 - len(WRONG) / len(TEST)) == pytest.approx(found.accuracy)
    change = accuracy - sklearn.metrics.accuracy_score(kept.labels, before)
    assert change == pytest.approx(found.change.value) and change > 0.05
    precision, recall, _, examples = sklearn.metrics.precision_recall_fscore_support(
        kept.labels, answered, labels=CLASSES
    )
    for index, name in enumerate(CLASSES):
        figures = found.per_class[name]
        assert figures.recall == pytest.approx(recall[index]) and figures.recall < 1
        assert figures.precision == pytest.approx(precision[index]) and figures.precision < 1
        assert figures.examples == examples[index]


def test_the_files_can_be_read_by_any_parquet_reader(judged):
    _, kept, evaluation = judged
    files = sorted(evaluation.glob("predictions-*.parquet"))
    assert sum(pq.read_metadata(file).num_rows for file in files) == len(TEST)
    schema = pq.read_schema(files[0])
    assert schema.names == ["key", "path", "label", "candidate", "baseline", "novelty", "baseline_novelty"]
    assert json.loads(schema.metadata[b"classes"]) == list(kept.classes)


def test_files_without_the_column_of_the_novelty_are_read_as_those_of_a_model_without_it(judged, tmp_path):
    _, kept, evaluation = judged
    for file in evaluation.glob("predictions-*.parquet"):
        pq.write_table(pq.read_table(file).drop_columns(["novelty", "baseline_novelty"]), tmp_path / file.name)
    older = predictions.read(str(tmp_path))
    assert older.novelty is None and kept.novelty is None
    np.testing.assert_array_equal(older.candidate, kept.candidate)


def test_without_a_baseline_there_are_none_of_its_predictions(tmp_path):
    keeper = Gatekeeper(tmp_path, {"min_accuracy": 0}, {"train": [], "eval": [], "test": TEST[:9]})
    keeper.judge(Scripted({photo.encoded: [np.nan, 0.5, 0.5] for photo in TEST[:9]}))
    kept = predictions.read(str(tmp_path / "1" / "evaluation"))
    assert kept.baseline is None and kept.baseline_classes is None
    np.testing.assert_array_equal(kept.candidate, np.float32([[np.nan, 0.5, 0.5]] * 9))


def test_predictions_of_an_empty_split_are_read_as_none(tmp_path):
    """Beam leaves a file without row groups then."""
    with pq.ParquetWriter(tmp_path / "predictions-0.parquet", predictions.schema(CLASSES, None)):
        pass
    empty = predictions.read(str(tmp_path))
    assert (list(empty.classes), empty.keys, empty.candidate.shape) == (list(CLASSES), [], (0, len(CLASSES)))
    assert len(empty.right) == 0 and calibration.of_answers(predicted.of(empty).candidate, 2.0).error == 0


def test_an_evaluation_of_an_older_version_has_no_predictions(tmp_path):
    with pytest.raises(FileNotFoundError, match="no predictions; evaluate the model again"):
        predictions.read(str(tmp_path))
