"""Reads labelled images and writes them as examples in splits; every image is accounted for."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections import Counter
from collections.abc import Collection, Sequence
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

from components import progress
from components.image_example_gen import deciding, looking, quarantine, report, sources, workers, writing
from components.image_example_gen.settings import TEST, TRAIN, Settings
from components.image_example_gen.sources import spans
from modules import features
from modules.errors import BadInputError

_log = logging.getLogger("regraft.ingest")

_SHOWN = 10  # bad files listed in an error message
_SCRATCH = ".scratch"
_CONFLICTS, _WRITTEN, _FOUND = "conflicts.jsonl", "written.jsonl", "found.jsonl"  # what the pipeline hands back


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
          exec_properties: `data_path`, `settings`; see the component.

        Raises:
          BadInputError: if the source can't be worked with, too many images are bad, the same bytes stand under two
            labels, a group in two splits, a split is empty, or a class has no training or no test example.
        """
        settings = Settings.parse(exec_properties["settings"])
        resolved = spans.resolve(exec_properties["data_path"], settings.span)
        source = sources.open_source(resolved.path, dataclasses.replace(settings, span=None))
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        report_uri = artifact_utils.get_single_uri(output_dict["report"])

        files = self._ingested(source, settings, examples.uri, report_uri)
        _refuse_conflicts(files[_CONFLICTS])
        counts = _counts(files, settings)
        named = {item.split for item in source.items() if item.split}
        _refuse_bad_data(counts, files[report.QUARANTINE], settings, named)
        _refuse_missing_classes(counts, settings.classes or source.classes() or counts.classes, settings, named)
        report.write_counts(report_uri, counts)
        _write_schema(artifact_utils.get_single_uri(output_dict["schema"]))
        examples.span, examples.version = resolved.span or 0, resolved.version or 0
        examples.split_names = artifact_utils.encode_split_names(list(settings.splits))
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, write_split.to_file_format_str(example_gen_pb2.FORMAT_TFRECORDS_GZIP))

    def _ingested(
        self, source: sources.Source, settings: Settings, examples_uri: str, report_uri: str
    ) -> dict[str, list[dict[str, Any]]]:
        """Runs the Beam pipeline; gives what it wrote beside the examples: rows by the name of the report."""
        items, scratch = source.items(), os.path.join(examples_uri, _SCRATCH)
        self._beam_pipeline_args = workers.settled(self._beam_pipeline_args, items)
        rows: dict[str, beam.PCollection] = {}
        looked_at, written = os.path.join(scratch, "looked_at"), os.path.join(scratch, "written")
        with (
            progress.followed(looked_at, "looked at", _log),
            progress.followed(written, "written", _log),
            self._make_beam_pipeline() as pipeline,
        ):
            looked = (
                pipeline
                | "Items" >> beam.Create(items)
                | "Spread" >> beam.Reshuffle()
                | "Batch" >> beam.BatchElements(min_batch_size=looking.BATCH, max_batch_size=looking.BATCH)
                | "Look"
                >> beam.ParDo(
                    looking.Look(source.reader(), settings, scratch, looked_at, sum(map(looking.work, items)))
                ).with_outputs(looking.REFUSED, main="seen")
            )
            decided = looked["seen"] | "Decide" >> deciding.Decide(settings)
            rows[report.QUARANTINE] = looked[looking.REFUSED] | "Quarantine" >> quarantine.Rows(report_uri, settings)
            rows[report.DUPLICATES] = decided["duplicates"]
            rows[report.NEAR_DUPLICATES] = decided["near_duplicates"]
            rows[_CONFLICTS] = decided["conflicts"]
            rows[_WRITTEN] = decided["examples"] | "Write" >> writing.Write(examples_uri, written)
            rows[_FOUND] = _number((looked["seen"], looked[looking.REFUSED]))
            for name, collection in rows.items():
                _write_report(collection, os.path.join(report_uri, name))
        if tf.io.gfile.exists(scratch):
            tf.io.gfile.rmtree(scratch)
        files = {name: report.read_rows(os.path.join(report_uri, name)) for name in rows}
        for name in (_CONFLICTS, _WRITTEN, _FOUND):
            tf.io.gfile.remove(os.path.join(report_uri, name))
        return files


def _number(collections: tuple[beam.PCollection, ...]) -> beam.PCollection:
    return (
        collections
        | "Looked" >> beam.Flatten()
        | "Count" >> beam.combiners.Count.Globally()
        | "Found" >> beam.Map(lambda found: {"path": "", "found": found})
    )


def _write_report(rows: beam.PCollection, path: str) -> None:
    name = os.path.basename(path)
    gathered = rows | f"Gather[{name}]" >> beam.combiners.ToList()
    gathered | f"Write[{name}]" >> beam.Map(lambda found: report.write_rows(path, found))


def _counts(files: dict[str, list[dict[str, Any]]], settings: Settings) -> report.Counts:
    """Adds up what was written, quarantined and recognised as a duplicate, and holds it against what was found."""
    by_split: dict[str, Counter[str]] = {split: Counter() for split in settings.splits}
    for shard in files[_WRITTEN]:
        by_split[shard["split"]].update(shard["classes"])
    near: Counter[str] = Counter()
    for cluster in files[report.NEAR_DUPLICATES]:
        near.update(cluster["images"])
    counts = report.Counts(
        found=files[_FOUND][0]["found"],
        quarantined=len(files[report.QUARANTINE]),
        duplicates=len(files[report.DUPLICATES]),
        splits={split: dict(sorted(classes.items())) for split, classes in by_split.items()},
        fingerprint=report.combined([shard["fingerprint"] for shard in files[_WRITTEN]]),
        transcoded=sum(shard["transcoded"] for shard in files[_WRITTEN]),
        reasons=dict(sorted(Counter(row["reason"] for row in files[report.QUARANTINE]).items())),
        near_duplicates={split: near[split] for split in settings.splits},
    )
    accounted = counts.quarantined + counts.duplicates + sum(map(counts.examples, settings.splits))
    if accounted != counts.found:
        raise RuntimeError(f"{counts.found} images were found, but {accounted} accounted for: {counts}")
    return counts


def _refuse_conflicts(conflicts: list[dict[str, Any]]) -> None:
    if not conflicts:
        return
    shown = "; ".join(" = ".join([row["path"], *row["with"]]) for row in conflicts[:_SHOWN] if row["kind"] == "labels")
    if shown:
        raise BadInputError(f"the same image stands under different labels: {shown}")
    shown = "; ".join(f"{row['kind']}: {', '.join([row['path'], *row['with']])}" for row in conflicts[:_SHOWN])
    raise BadInputError(f"a group must be in one split, and the source puts it into several: {shown}")


def _refuse_bad_data(
    counts: report.Counts, quarantined: list[dict[str, Any]], settings: Settings, named: Collection[str]
) -> None:
    if not counts.found:
        raise BadInputError("no image was found at all")
    for row in quarantined[:_SHOWN]:
        _log.info("  quarantined: %s (%s: %s)", row["path"], row["reason"], row["detail"])
    if counts.quarantined > _SHOWN:
        _log.info("  quarantined: %d more", counts.quarantined - _SHOWN)
    if counts.quarantined > settings.max_bad_fraction * counts.found:
        shown = "; ".join(f"{row['path']} ({row['reason']})" for row in quarantined[:_SHOWN])
        more = f"; and {counts.quarantined - _SHOWN} more" if counts.quarantined > _SHOWN else ""
        raise BadInputError(
            f"{counts.quarantined} of {counts.found} files can't be used, more than data.max_bad_fraction "
            f"{settings.max_bad_fraction:g} allows: {shown}{more}"
        )
    for split in counts.splits:
        if not counts.examples(split):
            raise BadInputError(
                f"no image fell into split {split!r} of {counts.found - counts.quarantined}: more images (or groups) "
                f"are needed, or a larger share in data.splits{_named(named)}"
            )


def _refuse_missing_classes(
    counts: report.Counts, classes: Sequence[str], settings: Settings, named: Collection[str]
) -> None:
    unusable = [name for name in classes if name not in counts.classes]
    if unusable:
        raise BadInputError(f"no file of {unusable} can be used as an image of its own: the classes would vanish")
    untrained = [name for name in classes if name not in counts.splits[TRAIN]]
    if untrained:
        raise BadInputError(
            f"no image of {untrained} fell into the training split: these classes need more images (or groups)"
            f"{_named(named)}"
        )
    untested = [name for name in classes if name not in counts.splits[TEST]]
    if untested and not settings.untested_classes:
        numbers = ", ".join(f"{name!r} ({sum(of.get(name, 0) for of in counts.splits.values())})" for name in untested)
        raise BadInputError(
            f"no image of {numbers} fell into the test split, so that nothing would be known of them: data.stratified "
            f"true gives each class its share, more images help, gate.on_missing_class warn goes without{_named(named)}"
        )


def _named(named: Collection[str]) -> str:
    return f"; the source itself names images for {', '.join(sorted(named))}" if named else ""


def _write_schema(uri: str) -> None:
    """The contract of the examples, which Transform reads them by. What SchemaGen infers is about the facts alone."""
    schema = schema_pb2.Schema()
    kinds = ((features.BYTES_FEATURES, schema_pb2.BYTES), (features.INT_FEATURES, schema_pb2.INT))
    for names, kind in (*kinds, (features.FLOAT_FEATURES, schema_pb2.FLOAT)):
        for name in names:
            feature = schema.feature.add(name=name, type=kind)
            feature.presence.min_fraction = 1.0
            feature.shape.dim.add(size=1)
    io_utils.write_pbtxt_file(os.path.join(uri, "schema.pbtxt"), schema)
