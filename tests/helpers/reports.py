"""Runs for reports, whose files a test writes: drawn images, scripted answers, no training."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from drawing import encode
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.evaluator import confidence, predictions
from components.evaluator import verdict as verdicts
from components.evaluator.figures import EvaluationFigures, SliceFigures
from components.evaluator.metric_names import Metric
from components.evaluator.verdict import OVERALL, Change, Check, ClassFigures, Verdict
from components.example_validator import drift_findings
from components.image_example_gen import report as ingest_report
from components.label_check import results as label_check
from components.serving_check import findings
from config.data import EVAL, TEST, TRAIN
from config.run import RunConfig
from modules.data import features, tf_example
from modules.training import history
from pipeline import calibration
from pipeline.data_summary import DataSummary
from pipeline.report.run import ReportedRun
from pipeline.run_metadata import StageRecord
from pipeline.summary import StageTime, Summary

OUTPUTS = {
    "ImageExampleGen": ["examples", "report"],
    "ExampleValidator": ["anomalies"],
    "Transform": ["transform_graph"],
    "LabelCheck": ["label_check"],
    "Tuner": ["tuner_results"],
    "Trainer": ["model", "model_run"],
    "BaselineModel": ["baseline_model"],
    "Evaluator": ["evaluation", "blessing"],
    "ServingCheck": ["infra_blessing"],
    "Pusher": ["pushed_model"],
}
_SURE = 0.95
_VARIANTS = 4  # images of each class that differ
_SERVING = {"load_seconds": 5.0, "p50_ms": 12.0, "p99_ms": 20.0, "images_per_second": 180.0, "peak_gib": 1.1}


@dataclass(eq=False)
class Script:
    """What a run shall have been.

    Attributes:
      folder: for the artifacts.
      classes: names by index.
      images: number of test images; train has as many, eval three.
      wrong: share of the candidate's answers that are wrong.
      with_baseline: whether there is a model in production.
      is_pushed: whether the candidate passed.
      names: endings of the images' paths, in turn.
      size: height and width of the images, in pixels.
    """

    folder: Path
    classes: Sequence[str] = ("cyan", "magenta", "yellow")
    images: int = 30
    wrong: float = 0.2
    with_baseline: bool = False
    is_pushed: bool = True
    names: Sequence[bytes] = (b"photo.png",)
    size: tuple[int, int] = (40, 40)
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def run(self) -> ReportedRun:
        """Writes the files, and gives the run."""
        self.labels = np.arange(self.images) % len(self.classes)
        keys, paths = self._write_examples()
        candidate = self._answers()
        baseline = self._answers() if self.with_baseline else None
        self._write_predictions(keys, paths, candidate, baseline)
        matrix = np.zeros((len(self.classes),) * 2, np.int64)
        np.add.at(matrix, (self.labels, candidate.argmax(axis=1)), 1)
        verdict = self._verdict(matrix, candidate, baseline)
        config = RunConfig.model_validate({"name": "drawn", "data": {"path": "photos"}})
        whole = SliceFigures(OVERALL, self.images, verdict.accuracy, verdict.accuracy_bounds, verdict.change, 0.1)
        return ReportedRun(
            self._summary(verdict),
            config,
            self._records(),
            EvaluationFigures(matrix, [whole]),
            "2026-11-27T10:00:00+00:00",
            list(self.classes),
            ["regraft run drawn.yaml"],
            datetime.datetime(2026, 11, 27, 10, tzinfo=datetime.UTC),
        )

    def _path(self, split: str, number: int) -> bytes:
        return f"{split}/{number:04d}-".encode() + self.names[number % len(self.names)]

    def _write_examples(self) -> tuple[list[str], list[bytes]]:
        keys, paths = [], []
        for split, count in ((TRAIN, self.images), (EVAL, 3), (TEST, self.images)):
            folder = self.folder / "examples" / f"Split-{split}"
            folder.mkdir(parents=True)
            with tf.io.TFRecordWriter(str(folder / "data.gz"), "GZIP") as writer:
                for number in range(count):
                    label, path = number % len(self.classes), self._path(split, number)
                    encoded = self._image(label, number % _VARIANTS)
                    key = hashlib.sha256(path).hexdigest()
                    name = self.classes[label].encode()
                    values = {features.ENCODED: encoded, features.LABEL: name, features.KEY: key.encode()}
                    writer.write(tf_example.serialize({**values, features.PATH: path}))
                    if split == TEST:
                        keys.append(key)
                        paths.append(path)
        return keys, paths

    @functools.lru_cache(maxsize=1000)  # noqa: B019  a script lives as long as its test
    def _image(self, label: int, variant: int) -> bytes:
        """Stripes of a colour that depends on the class, with noise: as large a file as a photo of this size."""
        height, width = self.size
        colour = np.random.default_rng(label).integers(40, 215, 3)
        image = np.tile(colour, (height, width, 1)) + self._rng.integers(-30, 30, (height, width, 1))
        image[:, (np.arange(width) // 5 + label + variant) % 3 == 0] //= 2
        return encode(np.clip(image, 0, 255).astype(np.uint8), "JPEG", quality=85)

    def _answers(self) -> np.ndarray:
        """float32 [images, classes]: sure of one class, which is the right one as often as the script says."""
        shift = self._rng.random(self.images) < self.wrong
        answers = (self.labels + shift) % len(self.classes)
        probabilities = self._rng.random((self.images, len(self.classes))) * 0.02
        probabilities[np.arange(self.images), answers] = self._rng.uniform(0.4, _SURE, self.images)
        return (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)

    def _write_predictions(
        self, keys: list[str], paths: list[bytes], candidate: np.ndarray, baseline: np.ndarray | None
    ) -> None:
        rows = {
            predictions.KEY: keys,
            predictions.PATH: paths,
            predictions.LABEL: [self.classes[label] for label in self.labels],
            predictions.CANDIDATE: list(candidate),
            predictions.BASELINE: [None] * self.images if baseline is None else list(baseline),
            predictions.NOVELTY: [None] * self.images,
            predictions.BASELINE_NOVELTY: [None] * self.images,
        }
        schema = predictions.schema(list(self.classes), None if baseline is None else list(self.classes))
        folder = self.folder / "evaluation"
        folder.mkdir()
        pq.write_table(pa.table(rows, schema), folder / "predictions-00000-of-00001.parquet")

    def _verdict(self, matrix: np.ndarray, candidate: np.ndarray, baseline: np.ndarray | None) -> Verdict:
        right = candidate.argmax(axis=1) == self.labels
        accuracy, sure = float(right.mean()), 0.95
        checks = [Check(Metric.ACCURACY, OVERALL, "value", accuracy, "at least", 0.5, True)]
        if not self.is_pushed:
            name = f"image/label={self.classes[0]}"
            checks.append(Check(Metric.ACCURACY, name, "value", 0.4, "at least", 0.9, False))
        return Verdict(
            self.is_pushed,
            self.images,
            accuracy,
            confidence.share_bounds(int(right.sum()), self.images, sure),
            None if baseline is None else _change(right, baseline.argmax(axis=1) == self.labels, sure),
            sure,
            checks,
            {
                name: ClassFigures(_share(matrix[i, i], matrix[i].sum()), _share(matrix[i, i], matrix[:, i].sum()), n)
                for i, (name, n) in enumerate(zip(self.classes, matrix.sum(axis=1).tolist(), strict=True))
            },
        )

    def _summary(self, verdict: Verdict) -> Summary:
        return Summary(
            pipeline="drawn",
            config="drawn.yaml",
            data=self._data(),
            labels=None,
            novelty=None,
            training=_history(),
            calibration=calibration.collect(self._records(), _history()),
            verdict=verdict,
            baseline=1 if self.with_baseline else None,
            serving_check={"refusals": [], "measured": _SERVING},
            pushed="serving/2" if self.is_pushed else None,
            rolled_back=None,
            current=None,
            same_answers=None,
            blessed_anyway="",
            refused_by="" if self.is_pushed else "gate",
            stages=[StageTime("ImageExampleGen", 5.0, False), StageTime("Trainer", 60.0, True)],
        )

    def _data(self) -> DataSummary:
        folder = self.folder / "report"
        paths = {split: [self._path(split, 0).decode("utf-8", "surrogateescape")] for split in (TRAIN, TEST)}
        rows: dict[str, list[dict[str, Any]]] = {
            ingest_report.QUARANTINE: [
                {"path": f"{name}.jpg", "reason": "truncated", "detail": f"about {name}", "thumbnail": None}
                for name in self.classes[:3]
            ],
            ingest_report.DUPLICATES: [{"path": paths[TRAIN][0] + "2", "same_as": paths[TRAIN][0]}],
            ingest_report.LITTLE_CONTENT: [{"path": paths[TEST][0], "label": self.classes[0], "split": TEST}],
            ingest_report.NEAR_DUPLICATES: [
                {
                    "path": paths[TRAIN][0],
                    "images": {TRAIN: 1, TEST: 1},
                    "labels": [self.classes[0]],
                    "paths": paths,
                    "images_of_labels": {self.classes[0]: 2},
                    "examples": {self.classes[0]: paths[TRAIN][0]},
                }
            ],
        }
        for name, content in rows.items():
            ingest_report.write_rows(str(folder / name), content)
        per_class = {name: int((self.labels == index).sum()) for index, name in enumerate(self.classes)}
        splits = {TRAIN: per_class, EVAL: dict.fromkeys(self.classes, 1), TEST: per_class}
        found = sum(map(sum, (split.values() for split in splits.values()))) + 4
        counts = ingest_report.Counts(found, 3, 1, splits, "0" * 64, reasons={"truncated": 3}, little_content=1)
        return DataSummary(list(self.classes), counts, [], [f"few test images: {self.classes[0]}"], str(folder))

    def _records(self) -> dict[str, StageRecord]:
        outputs = {"ImageExampleGen": ["examples"], "Evaluator": ["evaluation"]}
        return {stage: self._record(names) for stage, names in outputs.items()}

    def _record(self, names: Sequence[str]) -> StageRecord:
        return StageRecord(False, {}, {name: mlmd.Artifact(uri=str(self.folder / name)) for name in names})

    def keep_files(self, run: ReportedRun) -> dict[str, StageRecord]:
        """Writes the files of all other stages of a run too; gives the records of all stages."""
        summary = run.summary
        for name in ("anomalies", "model_run", "blessing", "infra_blessing", "label_check", "model"):
            (self.folder / name).mkdir()
        (self.folder / "anomalies" / drift_findings.FILE).write_text(drift_findings.dumps([]))
        history.write(self.folder / "model_run", summary.training)
        verdicts.write(summary.verdict, self.folder / "blessing")
        findings.write(self.folder / "infra_blessing", summary.serving_check)
        none = {kind: {} for kind in label_check.Kind}
        label_check.write(
            str(self.folder / "label_check"), label_check.LabelFindings([], {}, label_check.Totals({}, none))
        )
        assets = self.folder / "transform_graph" / "transform_fn" / "assets"
        assets.mkdir(parents=True)
        (assets / features.CLASSES_ASSET).write_text("".join(f"{name}\n" for name in self.classes))
        (self.folder / "tuner_results").mkdir()
        (self.folder / "tuner_results" / "trials.json").write_text('{"best": 1, "trials": []}')
        records = {stage: self._record(names) for stage, names in OUTPUTS.items()}
        records["Pusher"].outputs["pushed_model"].custom_properties["pushed"].int_value = int(self.is_pushed)
        return records


def _share(some: int, of: int) -> float | None:
    return float(some / of) if of else None


def _change(right: np.ndarray, was_right: np.ndarray, sure: float) -> Change:
    gained, lost, images = int((right & ~was_right).sum()), int((~right & was_right).sum()), len(right)
    bounds = confidence.change_bounds(gained, lost, images, sure)
    probability = confidence.change_probability(gained, lost)
    return Change((gained - lost) / images, *bounds, probability, (gained + lost) / images)


def _history() -> dict[str, Any]:
    """Of a training whose second phase was rolled back, as history.json has it."""
    epochs = [
        {
            "loss": 1 / n,
            "accuracy": 1 - 0.3 / n,
            "val_loss": 1.1 / n,
            "val_accuracy": 1 - 0.4 / n,
            "learning_rate": 1e-3,
        }
        for n in range(1, 4)
    ]
    phase = {"learning_rate": 1e-3, "trainable_weights": 1000, "eval_loss": 1.1 / 3, "reason": "", "epochs": epochs}
    return json.loads(
        json.dumps(
            {
                "mode": "cached",
                "cut": "block8",
                "views": 1,
                "tuned": {},
                "temperature": 0.7,
                "phases": [
                    {**phase, "phase": "head", "first_epoch": 1, "rolled_back": False},
                    {**phase, "phase": "fine_tune", "first_epoch": 4, "rolled_back": True, "reason": "loss 0.4 after"},
                ],
            }
        )
    )
