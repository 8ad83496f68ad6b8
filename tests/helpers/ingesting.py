"""Runs ImageExampleGen's executor without a pipeline."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from components import artifacts
from components.image_example_gen import executor, report
from config.beam import BeamConfig
from config.data import IngestionConfig

NAMES = (report.QUARANTINE, report.DUPLICATES, report.NEAR_DUPLICATES)


@dataclass
class Ingested:
    """What the stage wrote.

    Attributes:
      folder: holds `examples`, `schema` and `report`.
      files: relative path to SHA-256.
      counts: what happened to every image.
      rows: of the reports, by the reports' names.
      examples: path to `split`, `label`, `key` and so on, one per example.
      properties: of the artifact of examples.
    """

    folder: Path
    files: dict[str, str]
    counts: report.Counts
    rows: dict[str, list[dict[str, Any]]]
    examples: dict[str, dict[str, Any]]
    properties: Any

    def splits(self) -> dict[str, str]:
        """Key to split."""
        return {example["key"]: example["split"] for example in self.examples.values()}

    def reasons(self) -> dict[str, str]:
        """Path to the reason why the image is in quarantine."""
        return {row["path"]: row["reason"] for row in self.rows[report.QUARANTINE]}

    def recorded(self) -> int:
        """Number of examples, quarantined images and duplicates, counted again from the files."""
        return len(self.examples) + len(self.rows[report.QUARANTINE]) + len(self.rows[report.DUPLICATES])


def ingest(
    path: str | Path,
    folder: Path,
    beam: BeamConfig | None = None,
    allow_untested_classes: bool = True,
    **ingestion: Any,
) -> Ingested:
    """Runs the stage.

    Args:
      path: `data.path`.
      folder: where its artifacts are written; must not exist.
      beam: what runs the stage.
      allow_untested_classes: whether a class may have no test image.
      **ingestion: fields of IngestionConfig; by default, a third of the images may be unusable.
    """
    kinds = {"examples": standard_artifacts.Examples, "schema": standard_artifacts.Schema}
    outputs = {name: kind() for name, kind in {**kinds, "report": artifacts.IngestReport}.items()}
    for name, artifact in outputs.items():
        artifact.uri = str(folder / name)
        Path(artifact.uri).mkdir(parents=True)
    arguments = list((beam or BeamConfig()).arguments())
    context = BaseBeamExecutor.Context(beam_pipeline_args=arguments, tmp_dir=str(folder / "tmp"))
    config = IngestionConfig(**{"max_bad_fraction": 0.34, **ingestion})
    executor.Executor(context).Do(
        {},
        {name: [artifact] for name, artifact in outputs.items()},
        {
            "data_path": str(path),
            "ingestion": config.serialized(),
            "allow_untested_classes": int(allow_untested_classes),
        },
    )
    written = [file for name in outputs for file in (folder / name).rglob("*") if file.is_file()]
    return Ingested(
        folder=folder,
        files={str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in written},
        counts=report.read_counts(outputs["report"].uri),
        rows={name: report.read_rows(os.path.join(outputs["report"].uri, name)) for name in NAMES},
        examples=_examples(folder / "examples"),
        properties=outputs["examples"],
    )


def _examples(folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    count: Counter[str] = Counter()
    for shard in sorted(folder.rglob("*.gz")):
        for record in tf.data.TFRecordDataset(str(shard), "GZIP").as_numpy_iterator():
            example = {"split": shard.parent.name.removeprefix("Split-"), **_values(record)}
            path = example["path"]
            count[path] += 1
            found[path if count[path] == 1 else f"{path} ({count[path]})"] = example
    return found


def _values(record: bytes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, feature in tf.train.Example.FromString(record).features.feature.items():
        (value,) = getattr(feature, feature.WhichOneof("kind")).value
        short = name.removeprefix("image/")
        values[short] = os.fsdecode(value) if isinstance(value, bytes) and short != "encoded" else value
    return values
