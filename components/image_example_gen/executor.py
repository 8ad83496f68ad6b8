"""Reads labelled images and writes them as examples in splits. No image is lost without a record."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.example_gen import write_split
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components import example_counts, fact_table, progress
from components.image_example_gen import (
    data_checks,
    data_warnings,
    example_writer,
    inspection,
    parallelism,
    report,
    report_writer,
    shortcuts,
    sources,
)
from components.image_example_gen.report_writer import ROWS, Rows
from components.image_example_gen.sources import spans
from components.image_example_gen.split_assignment import AssignSplits
from config.data import EVAL, SPLITS, TEST, TRAIN, IngestionConfig
from config.section import normalize_class_name
from modules.data import features

_log = logging.getLogger("regraft.ingest")

_SCRATCH = ".scratch"
_MOST_FACTS = 100_000  # images whose facts are compared with the labels: enough, and no more memory for more images
# Beam's check of the types between steps finds mistakes in code, never in data. It is a sixth of a small run's work.
_UNCHECKED = "--no_pipeline_type_check"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of ImageExampleGen."""

    _beam_pipeline_args: list[str]

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the stage.

        Args:
          input_dict: empty.
          output_dict: `examples`, `schema`, `report`; see the component.
          exec_properties: `data_path`, `ingestion`, `allow_untested_classes`; see the component.

        Raises:
          BadInputError: if the source cannot be read, too many images are unusable, identical images have different
            labels, a group is in several splits, a split is empty, or a class has no training image or, unless that
            is allowed, no test image.
        """
        config = IngestionConfig.parse(exec_properties["ingestion"])
        resolved = spans.resolve(exec_properties["data_path"], config.span)
        source = sources.open_source(resolved.path, config.model_copy(update={"span": None}))
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        report_uri = artifact_utils.get_single_uri(output_dict["report"])

        rows = self._run_beam_pipeline(source, config, examples.uri, report_uri)
        quarantined = rows[report.QUARANTINE]
        data_checks.check_conflicts(rows[report_writer.CONFLICTS])
        counts = _count_images(rows, source, config)
        _log_quarantined(quarantined)
        for warning in data_warnings.of(counts):
            _log.warning("  warning: %s", warning)
        source_splits = {item.split for item in source.items() if item.split}
        data_checks.check_quarantine(counts, quarantined, config.max_bad_fraction)
        data_checks.check_splits(counts, source_splits, quarantined)
        classes = config.classes or source.classes() or counts.classes
        allow_untested = bool(exec_properties["allow_untested_classes"])
        data_checks.check_classes(counts, classes, allow_untested, source_splits, quarantined)
        data_checks.check_weights(counts)

        little_content = [row for shard in rows[report_writer.WRITTEN] for row in shard["little_content"]]
        report.write_rows(os.path.join(report_uri, report.LITTLE_CONTENT), little_content)
        report.write_counts(report_uri, counts)
        shortcuts.write(report_uri, _find_shortcuts(report_uri))
        _write_schema(artifact_utils.get_single_uri(output_dict["schema"]))
        examples.span, examples.version = resolved.span or 0, resolved.version or 0
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        example_counts.record(examples, {split: counts.examples(split) for split in SPLITS})
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, write_split.to_file_format_str(example_gen_pb2.FORMAT_TFRECORDS_GZIP))

    def _run_beam_pipeline(
        self, source: sources.Source, config: IngestionConfig, examples_uri: str, report_uri: str
    ) -> dict[str, Rows]:
        """Writes the examples and the report's rows; returns file name to rows."""
        items, scratch = source.items(), os.path.join(examples_uri, _SCRATCH)
        self._beam_pipeline_args = [*parallelism.choose_workers(self._beam_pipeline_args, items), _UNCHECKED]
        inspected_folder, written_folder = os.path.join(scratch, "inspected"), os.path.join(scratch, "written")
        work = sum(map(inspection.work_of, items))
        inspect = inspection.InspectImages(source.reader(), config, scratch, inspected_folder, work)
        batch = beam.BatchElements(min_batch_size=inspection.BATCH_SIZE, max_batch_size=inspection.BATCH_SIZE)
        with (
            progress.follow(inspected_folder, "inspected", _log),
            progress.follow(written_folder, "written", _log),
            self._make_beam_pipeline() as pipeline,
        ):
            inspected = (
                pipeline
                | "SpreadItems" >> beam.Create(items)  # over all workers, too
                | "BatchItems" >> batch
                | "InspectImages" >> beam.ParDo(inspect).with_outputs(ROWS, main="usable")
            )
            assigned = inspected["usable"] | "AssignSplits" >> AssignSplits(config)
            facts_folder = os.path.join(report_uri, fact_table.FOLDER)
            write = example_writer.WriteExamples(
                examples_uri, facts_folder, config.slice_columns, written_folder, assigned.sizes
            )
            written = assigned.examples | "WriteExamples" >> write
            all_rows = (inspected[ROWS], *assigned.rows, written)
            all_rows | "WriteReports" >> report_writer.WriteReports(report_uri, config)
        if tf.io.gfile.exists(scratch):
            tf.io.gfile.rmtree(scratch)
        return report_writer.take(report_uri)


def _folders_of_classes(source: sources.Source, config: IngestionConfig) -> dict[str, list[str]]:
    """Class name to the names of its folders, where folders of several names are one class."""
    if config.source != "folders":
        return {}
    folders: dict[str, set[str]] = {}
    for item in source.items():
        found = {part for part in item.path.split("/")[:-1] if normalize_class_name(part) == item.label}
        folders.setdefault(item.label, set()).update(found)
    return {label: sorted(found) for label, found in sorted(folders.items()) if label and len(found) > 1}


def _count_images(rows: dict[str, Rows], source: sources.Source, config: IngestionConfig) -> report.Counts:
    """Counts examples, quarantined images and duplicates, and compares their sum with the number of images found."""
    findings = source.findings()
    by_split: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    weights: dict[str, dict[str, float]] = {split: {} for split in SPLITS}
    with_value: Counter[str] = Counter()
    for shard in rows[report_writer.WRITTEN]:
        by_split[shard["split"]].update(shard["classes"])
        of_split = weights[shard["split"]]
        of_split.update({name: of_split.get(name, 0.0) + weight for name, weight in shard["weights"].items()})
        with_value.update(shard["with"])
    near_duplicates: Counter[str] = Counter()
    for cluster in rows[report.NEAR_DUPLICATES]:
        if len(cluster["images"]) > 1:
            near_duplicates.update(cluster["images"])
    counts = report.Counts(
        found=sum(row["found"] for row in rows[report_writer.FOUND]),
        quarantined=len(rows[report.QUARANTINE]),
        duplicates=len(rows[report.DUPLICATES]),
        splits={split: dict(sorted(classes.items())) for split, classes in by_split.items()},
        fingerprint=report.combine_fingerprints(shard["fingerprint"] for shard in rows[report_writer.WRITTEN]),
        transcoded=sum(shard["transcoded"] for shard in rows[report_writer.WRITTEN]),
        reasons=dict(sorted(Counter(row["reason"] for row in rows[report.QUARANTINE]).items())),
        near_duplicates={split: near_duplicates[split] for split in SPLITS},
        folders=_folders_of_classes(source, config),
        weights={split: dict(sorted(classes.items())) for split, classes in weights.items()},
        empty_fields=sorted(role for role in config.fields if with_value.get(role) == 0),
        in_several_splits=len({row["same_as"] for row in rows[report.DUPLICATES] if "splits" in row}),
        ignored=findings.ignored,
        split_folders=findings.split_folders,
        look_alikes=sum(sum(row["images"].values()) for row in rows[report.NEAR_DUPLICATES] if len(row["labels"]) > 1),
        pictures=_count_pictures(rows[report_writer.CLUSTERS], by_split) if config.near_duplicates == "group" else {},
        inner_folders=findings.inner_folders,
        little_content=sum(len(shard["little_content"]) for shard in rows[report_writer.WRITTEN]),
    )
    recorded = counts.quarantined + counts.duplicates + counts.used
    if recorded != counts.found:
        raise RuntimeError(f"{counts.found} images were found, but {recorded} were recorded: {counts}")
    return counts


def _count_pictures(clusters: Rows, by_split: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Of classes with similar images: the number of examples if the images of a cluster count as one."""
    repeated: Counter[str] = Counter()
    for row in clusters:
        repeated.update({label: images - 1 for label, images in row["images_of_labels"].items() if images > 1})
    return {
        label: sum(classes.get(label, 0) for classes in by_split.values()) - images
        for label, images in sorted(repeated.items())
    }


def _find_shortcuts(report_uri: str) -> list[shortcuts.Shortcut]:
    train, held_out = (fact_table.read(report_uri, splits, _MOST_FACTS) for splits in ((TRAIN,), (EVAL, TEST)))
    return shortcuts.find(shortcuts.facts_of(train), train.labels, shortcuts.facts_of(held_out), held_out.labels)


def _log_quarantined(rows: Rows) -> None:
    for row in rows[: data_checks.SHOWN]:
        _log.info("  quarantined: %s (%s: %s)", row["path"], row["reason"], row["detail"])
    if len(rows) > data_checks.SHOWN:
        _log.info("  quarantined: %d more", len(rows) - data_checks.SHOWN)


def _write_schema(uri: str) -> None:
    """Writes the types and shapes by which Transform parses the examples.

    The schema that SchemaGen infers describes only the facts about the images.
    """
    schema = schema_pb2.Schema()
    kinds = ((features.BYTES_FEATURES, schema_pb2.BYTES), (features.INT_FEATURES, schema_pb2.INT))
    for names, kind in (*kinds, (features.FLOAT_FEATURES, schema_pb2.FLOAT)):
        for name in names:
            feature = schema.feature.add(name=name, type=kind)
            feature.presence.min_fraction = 1.0
            feature.shape.dim.add(size=1)
    io_utils.write_pbtxt_file(os.path.join(uri, "schema.pbtxt"), schema)
