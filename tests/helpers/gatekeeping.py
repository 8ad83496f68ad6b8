"""Candidates with scripted answers, which the real BaselineModel, Evaluator and Pusher judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components import artifacts
from components.baseline_model import executor as baseline_model
from components.evaluator import executor as evaluator
from components.evaluator import verdict
from components.example_validator import drift_findings
from components.image_example_gen import report
from components.pusher import executor as pusher
from components.serving_check import findings
from components.serving_directory import ServingDirectory
from config.beam import BeamConfig
from config.gate import GateConfig
from modules.data import features, tf_example
from modules.serving import signatures, warm_up
from modules.training import history

CLASSES = ("cyan", "magenta", "yellow")
TRAINING = {"tuned": {}, "phases": []}
OF_PUSHER = ("infra_blessing", "report", "statistics", "schema", "anomalies", "model_run")


@dataclass(frozen=True)
class Photo:
    """One example. Its number determines its key and its bytes."""

    number: int
    label: str
    format: str = "PNG"
    size_band: str = "64-127"
    farm: str = ""

    @property
    def encoded(self) -> bytes:
        return b"photo %d" % self.number

    def serialized(self) -> bytes:
        values = {
            features.ENCODED: self.encoded,
            features.LABEL: self.label.encode(),
            features.KEY: b"%064x" % self.number,
            features.FORMAT: self.format.encode(),
            features.SIZE_BAND: self.size_band.encode(),
            f"{features.COLUMN}farm": self.farm.encode(),
            features.PATH: b"%s/photo \xff %d" % (self.label.encode(), self.number),  # a path need not be UTF-8
        }
        return tf_example.serialize(values)


def photos(per_class: int, classes: Sequence[str] = CLASSES, start: int = 0) -> list[Photo]:
    """The same number of photos per class, with numbers from `start` on."""
    return [Photo(start + i, classes[i % len(classes)]) for i in range(per_class * len(classes))]


def answers(shown: Sequence[Photo], wrong: Mapping[int, str] | None = None) -> dict[bytes, str]:
    """The answer for each photo's bytes: the true class, except for the numbers in `wrong`."""
    return {photo.encoded: (wrong or {}).get(photo.number, photo.label) for photo in shown}


class Scripted(tf.Module):
    """A model with the served signatures and scripted answers."""

    def __init__(
        self, script: Mapping[bytes, str | Sequence[float]], classes: Sequence[str] = CLASSES, probability: float = 0.9
    ):
        super().__init__()
        rest = (1 - probability) / (len(classes) - 1)
        rows = [
            [probability if name == answer else rest for name in classes] if isinstance(answer, str) else answer
            for answer in script.values()
        ]
        self._classes = list(classes)
        self._rows = tf.constant(rows, tf.float32)
        self._numbers = self._table(list(script))
        self._indices = self._table([name.encode() for name in classes])

    @staticmethod
    def _table(keys: list[bytes]) -> tf.lookup.StaticHashTable:
        initializer = tf.lookup.KeyValueTensorInitializer(keys, range(len(keys)), tf.string, tf.int64)
        return tf.lookup.StaticHashTable(initializer, -1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve_examples(self, examples):
        spec = {features.ENCODED: tf.io.FixedLenFeature([], tf.string)}
        return self._answer(tf.io.parse_example(examples, spec)[features.ENCODED])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "images")])
    def serve_images(self, images):
        return self._answer(images)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "unused")])
    def names(self, unused):
        return {signatures.CLASS_NAMES: tf.tile(tf.constant([self._classes]), [tf.size(unused), 1])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def true_labels(self, examples):
        spec = {features.LABEL: tf.io.FixedLenFeature([1], tf.string)}
        return {signatures.LABEL: self._indices.lookup(tf.io.parse_example(examples, spec)[features.LABEL])[:, 0]}

    def _answer(self, images):
        known = tf.maximum(self._numbers.lookup(images), 0)  # images without a script get the first answer
        probabilities = tf.gather(self._rows, known)
        return {
            signatures.PROBABILITIES: probabilities,
            signatures.LABEL: tf.gather(tf.constant(self._classes), tf.argmax(probabilities, axis=-1)),
            signatures.SCORE: tf.reduce_max(probabilities, axis=-1),
        }

    def served(self) -> dict[str, Any]:
        """The functions by signature."""
        return {
            signatures.SERVING_DEFAULT: self.serve_examples,
            signatures.SERVE_IMAGES: self.serve_images,
            signatures.CLASS_NAMES: self.names,
            signatures.TRUE_LABELS: self.true_labels,
        }

    def save(self, folder: Path) -> Path:
        tf.saved_model.save(self, str(folder), signatures=self.served())
        warm_up.write(folder, warm_up.requests(np.zeros((8, 8, 3), np.float32), self._classes[0]))
        return folder


@dataclass
class Gatekeeper:
    """Judges one candidate after the other, as runs of one pipeline would.

    Attributes:
      folder: for artifacts.
      gate: the section of the configuration.
      splits: name to photos; `test` is what is evaluated.
      push: the section of the configuration.
      features: LabelCheck's artifact `image_features`; None without LabelCheck.
    """

    folder: Path
    gate: dict[str, Any] = field(default_factory=dict)
    splits: dict[str, list[Photo]] = field(default_factory=dict)
    push: dict[str, Any] = field(default_factory=dict)
    features: Path | None = None
    _runs: int = 0

    @property
    def serving(self) -> Path:
        return self.folder / "serving"

    @property
    def versions(self) -> list[str]:
        return sorted(path.name for path in self.serving.glob("[0-9]*"))

    def put_in_production(self, model: Scripted) -> None:
        """Pushes a model without judging it."""
        ServingDirectory(self.serving).push(model.save(self.folder / "production"), {})

    def judge(
        self,
        model: Scripted,
        spoil: Callable[[Path], None] = lambda folder: None,
        exports: Callable[[Path], None] | None = None,
    ) -> verdict.Verdict:
        """Evaluates a candidate against what is in production, and pushes it if it is blessed.

        Args:
          model: the candidate.
          spoil: changes its SavedModel's folder before it is judged.
          exports: writes the candidate's exports into a folder; None: it has none.
        """
        self._runs += 1
        root = self.folder / str(self._runs)
        made = {
            name: self._artifact(kind, root / name)
            for name, kind in {
                "model": standard_artifacts.Model,
                "baseline_model": standard_artifacts.Model,
                "examples": standard_artifacts.Examples,
                "evaluation": standard_artifacts.ModelEvaluation,
                "blessing": standard_artifacts.ModelBlessing,
                "infra_blessing": standard_artifacts.InfraBlessing,
                "report": artifacts.IngestReport,
                "statistics": standard_artifacts.ExampleStatistics,
                "schema": standard_artifacts.Schema,
                "anomalies": standard_artifacts.ExampleAnomalies,
                "model_run": standard_artifacts.ModelRun,
                "pushed_model": standard_artifacts.PushedModel,
            }.items()
        }
        spoil(model.save(Path(path_utils.serving_model_dir(made["model"].uri))))
        self._write_splits(made["examples"])
        made["infra_blessing"].set_int_custom_property("blessed", 1)
        counts = {split: dict.fromkeys(CLASSES, 1) for split in self.splits}
        report.write_counts(made["report"].uri, report.Counts(len(self.splits), 0, 0, counts, "0" * 64))
        _write_data_record(made["statistics"], made["schema"])
        Path(made["anomalies"].uri, drift_findings.FILE).write_text(drift_findings.dumps([]))
        Path(made["model_run"].uri, history.FILE).write_text(json.dumps(TRAINING))
        findings.write(made["infra_blessing"].uri, {"refusals": [], "measured": {}})
        directory = {"directory": str(self.serving)}
        inputs = {name: [made[name]] for name in ("model", "baseline_model", "examples")}
        if self.features is not None:
            inputs["image_features"] = [artifacts.ImageFeatures()]
            inputs["image_features"][0].uri = str(self.features)
        exported = {}
        if exports:
            exported = {"exports": [self._artifact(artifacts.ModelExports, root / "exports")]}
            exports(Path(exported["exports"][0].uri))
            graph = self._artifact(standard_artifacts.TransformGraph, root / "transform_graph")
            inputs |= {**exported, "transform_graph": [graph]}
        model_input = {"model": [made["model"]]}
        baseline_model.Executor().Do(model_input, {"baseline_model": [made["baseline_model"]]}, directory)
        gate = GateConfig.model_validate(self.gate)
        context = BaseBeamExecutor.Context(beam_pipeline_args=list(BeamConfig().arguments()), tmp_dir=str(root))
        evaluator.Executor(context).Do(
            inputs,
            {name: [made[name]] for name in ("evaluation", "blessing")},
            {"gate": gate.serialized(), "example_splits": json.dumps(["test"])},
        )
        config = {"name": "test", "data": {"path": "photos"}, "gate": gate.model_dump(mode="json"), "push": self.push}
        pusher.Executor().Do(
            {
                **model_input,
                "model_blessing": [made["blessing"]],
                **{k: [made[k]] for k in OF_PUSHER},
                **exported,
            },
            {"pushed_model": [made["pushed_model"]]},
            {**directory, "keep": 0, "config": json.dumps(config), "bless_anyway": ""},
        )
        return verdict.load(made["blessing"].uri)

    @staticmethod
    def _artifact(kind: type, path: Path) -> Any:
        path.mkdir(parents=True)
        artifact = kind()
        artifact.uri = str(path)
        return artifact

    def _write_splits(self, examples: standard_artifacts.Examples) -> None:
        examples.split_names = json.dumps(list(self.splits))
        for split, shown in self.splits.items():
            folder = Path(examples.uri, f"Split-{split}")
            folder.mkdir()
            with tf.io.TFRecordWriter(str(folder / "data.gz"), "GZIP") as writer:
                for photo in shown:
                    writer.write(photo.serialized())


def rows(shown: Sequence[Photo], value: float) -> dict[bytes, list[float]]:
    """The same probabilities for every photo."""
    return {photo.encoded: [value] * len(CLASSES) for photo in shown}


def _write_data_record(statistics: standard_artifacts.ExampleStatistics, schema: standard_artifacts.Schema) -> None:
    """Files that a push copies with a version; their content does not matter here."""
    statistics.split_names = json.dumps(["train"])
    folder = Path(statistics.uri, "Split-train")
    folder.mkdir()
    (folder / "FeatureStats.pb").write_bytes(b"")
    Path(schema.uri, "schema.pbtxt").write_text("")
