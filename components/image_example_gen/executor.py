"""Reads a tree of images and writes them as examples, split by their content; every file is accounted for."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator
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

from components.image_example_gen import inspection, listing, report, splitting
from modules import features
from modules.errors import BadInputError

_log = logging.getLogger("regraft.ingest")

_EXAMPLES_PER_SHARD = 1000  # a shard is sorted in memory
_SHOWN = 10  # bad files listed in an error message
_PROGRESS_SECONDS = 10.0

_EXAMPLE, _QUARANTINED, _DUPLICATE, _CONFLICT = "example", "quarantined", "duplicate", "conflict"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of ImageExampleGen."""

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
          exec_properties: `data_path`, `splits`, `max_bad_fraction`; see the component.

        Raises:
          BadInputError: if too many files are bad, the same bytes stand under two labels, a split is empty, or a
            class has no training example.
        """
        root = exec_properties["data_path"]
        splits: dict[str, int] = json.loads(exec_properties["splits"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        report_uri = artifact_utils.get_single_uri(output_dict["report"])

        files = listing.list_files(root)
        conflicts_path = os.path.join(report_uri, "conflicts.jsonl")
        written_path = os.path.join(report_uri, "written.jsonl")
        with self._make_beam_pipeline() as pipeline:
            outcomes = _outcomes(pipeline, root, files)
            _write_report(outcomes[_QUARANTINED], os.path.join(report_uri, report.QUARANTINE))
            _write_report(outcomes[_DUPLICATE], os.path.join(report_uri, report.DUPLICATES))
            _write_report(outcomes[_CONFLICT], conflicts_path)
            written = _write_examples(outcomes[_EXAMPLE], splits, len(files), examples.uri)
            _write_report(written, written_path)

        _refuse_conflicts(report.read_rows(conflicts_path))
        counts = _counts(report_uri, report.read_rows(written_path), splits, len(files))
        os.remove(conflicts_path)
        os.remove(written_path)
        _refuse_bad_data(counts, report_uri, exec_properties["max_bad_fraction"])
        _refuse_untrained_classes(counts, sorted({file.label for file in files if file.label}))
        report.write_counts(report_uri, counts)
        _write_schema(artifact_utils.get_single_uri(output_dict["schema"]))
        examples.split_names = artifact_utils.encode_split_names(list(splits))
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, write_split.to_file_format_str(example_gen_pb2.FORMAT_TFRECORDS_GZIP))


def _outcomes(pipeline: beam.Pipeline, root: str, files: list[listing.ListedFile]) -> dict[str, beam.PCollection]:
    """Every file ends in exactly one of four collections: examples (key, label, serialized), or rows of a report."""
    tags = (_EXAMPLE, _QUARANTINED, _DUPLICATE, _CONFLICT)
    hashed = (
        pipeline
        | "Files" >> beam.Create(files)
        | "Spread" >> beam.Reshuffle()
        | "Hash" >> beam.ParDo(_Hash(root)).with_outputs(_QUARANTINED, main="hashed")
    )
    judged = (
        hashed["hashed"]
        | "SameBytes" >> beam.GroupByKey()
        | "Judge" >> beam.ParDo(_Judge(root, len(files))).with_outputs(*tags)
    )
    quarantined = (hashed[_QUARANTINED], judged[_QUARANTINED]) | "AllQuarantined" >> beam.Flatten()
    return {tag: judged[tag] for tag in tags} | {_QUARANTINED: quarantined}


class _Hash(beam.DoFn):
    """ListedFile to (SHA-256 of its bytes, ListedFile)."""

    def __init__(self, root: str):
        self._root = root

    def process(self, file: listing.ListedFile) -> Iterator[Any]:
        if file.linked_folder:
            yield _quarantined(file.path, inspection.Reason.LINKED_FOLDER, "a symbolic link to a folder")
        elif not file.label:
            yield _quarantined(file.path, inspection.Reason.NO_LABEL, "stands in no class folder")
        else:
            try:
                yield hashlib.sha256(_read(self._root, file.path)).hexdigest(), file
            except OSError as error:
                yield _quarantined(file.path, inspection.Reason.UNREADABLE, error.strerror or str(error))


class _Judge(beam.DoFn):
    """(key, files with the same bytes) to one example and its duplicates, or to what is wrong with them.

    The bytes are read a second time here, so that they need not travel through the grouping.
    """

    def __init__(self, root: str, files: int):
        self._root, self._files = root, files

    def setup(self) -> None:
        self._done, self._start = 0, time.monotonic()
        self._said = self._start

    def process(self, group: tuple[str, Iterable[listing.ListedFile]]) -> Iterator[Any]:
        key, files = group[0], sorted(group[1])
        self._progress(len(files))
        encoded = _read(self._root, files[0].path)
        try:
            facts = inspection.inspect(encoded)
        except inspection.UnusableError as error:
            yield from (_quarantined(file.path, error.reason, error.detail) for file in files)
            return
        if len({file.label for file in files}) > 1:
            paths = [file.path for file in files]
            yield beam.pvalue.TaggedOutput(_CONFLICT, {"path": paths[0], "same_bytes": paths[1:]})
            return
        serialized = _example(key, files[0], encoded, facts).SerializeToString(deterministic=True)
        yield beam.pvalue.TaggedOutput(_EXAMPLE, (key, files[0].label, serialized))
        for file in files[1:]:
            yield beam.pvalue.TaggedOutput(_DUPLICATE, {"path": file.path, "same_as": files[0].path})

    def _progress(self, files: int) -> None:
        self._done += files
        now = time.monotonic()
        if now - self._said > _PROGRESS_SECONDS:
            self._said = now
            rate = self._done / (now - self._start)
            left = (self._files - self._done) / rate
            _log.info("  %d of %d files, %.0f files/s, %.0f s left", self._done, self._files, rate, left)


def _read(root: str, path: str) -> bytes:
    if not stat.S_ISREG(os.stat(os.path.join(root, path)).st_mode):  # reading a pipe would wait for ever
        raise OSError(errno.EINVAL, "not a regular file")
    with open(os.path.join(root, path), "rb") as file:
        return file.read()


def _quarantined(path: str, reason: inspection.Reason, detail: str) -> beam.pvalue.TaggedOutput:
    return beam.pvalue.TaggedOutput(_QUARANTINED, {"path": path, "reason": str(reason), "detail": detail})


def _example(key: str, file: listing.ListedFile, encoded: bytes, facts: inspection.ImageFacts) -> tf.train.Example:
    values: dict[str, bytes | int] = {
        features.ENCODED: encoded,
        features.LABEL: file.label.encode("utf-8"),
        features.KEY: key.encode("ascii"),
        features.FORMAT: facts.format.encode("ascii"),
        features.SIZE_BAND: features.size_band(facts.height, facts.width).encode("ascii"),
        features.PATH: os.fsencode(file.path),
        features.HEIGHT: facts.height,
        features.WIDTH: facts.width,
    }
    return tf.train.Example(features=tf.train.Features(feature={k: _feature(v) for k, v in values.items()}))


def _feature(value: bytes | int) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _write_report(rows: beam.PCollection, path: str) -> None:
    name = os.path.basename(path)
    gathered = rows | f"Gather[{name}]" >> beam.combiners.ToList()
    gathered | f"Write[{name}]" >> beam.Map(lambda found: report.write_rows(path, found))


def _write_examples(examples: beam.PCollection, splits: dict[str, int], files: int, uri: str) -> beam.PCollection:
    """Writes each split in shards, ordered by key within a shard; gives one row a shard of what was written.

    Keys are hashes, so their order is as good as shuffled, and the same examples always make the same files: training
    with the same seed can be repeated. beam.io.WriteToTFRecord gives no order.
    """
    total = sum(splits.values())
    shards = {name: max(1, round(files * share / total / _EXAMPLES_PER_SHARD)) for name, share in splits.items()}

    def shard_of(example: tuple[str, str, bytes]) -> tuple[tuple[str, int], tuple[str, str, bytes]]:
        split = splitting.split_of(example[0], splits)
        # The split takes the hash modulo the shares; other digits choose the shard, so that both are independent.
        return (split, int(example[0][:16], 16) % shards[split]), example

    def write(shard: tuple[tuple[str, int], Iterable[tuple[str, str, bytes]]]) -> dict[str, Any]:
        (split, index), members = shard[0], sorted(shard[1])
        folder = os.path.join(uri, f"Split-{split}")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"data_tfrecord-{index:05d}-of-{shards[split]:05d}.gz")
        temporary = os.path.join(uri, f".{split}-{index}.tmp")
        with tf.io.TFRecordWriter(temporary, "GZIP") as writer:
            for _, _, serialized in members:
                writer.write(serialized)
        os.replace(temporary, path)
        classes = Counter(label for _, label, _ in members)
        fingerprint = report.fingerprint((split, label, key) for key, label, _ in members)
        return {"path": path, "split": split, "classes": classes, "fingerprint": fingerprint}

    return examples | "Shard" >> beam.Map(shard_of) | "ByShard" >> beam.GroupByKey() | "WriteShard" >> beam.Map(write)


def _counts(report_uri: str, written: list[dict[str, Any]], splits: dict[str, int], found: int) -> report.Counts:
    """Adds up what was written, quarantined and recognised as a duplicate, and holds it against what was found."""
    by_split: dict[str, Counter[str]] = {split: Counter() for split in splits}
    for shard in written:
        by_split[shard["split"]].update(shard["classes"])
    quarantined = len(report.read_rows(os.path.join(report_uri, report.QUARANTINE)))
    duplicates = len(report.read_rows(os.path.join(report_uri, report.DUPLICATES)))
    ordered = {split: dict(sorted(classes.items())) for split, classes in by_split.items()}
    fingerprint = report.combined([shard["fingerprint"] for shard in written])
    counts = report.Counts(found, quarantined, duplicates, ordered, fingerprint)
    accounted = quarantined + duplicates + sum(map(counts.examples, splits))
    if accounted != found:
        raise RuntimeError(f"{found} files were found, but {accounted} accounted for: {counts}")
    return counts


def _refuse_conflicts(conflicts: list[dict[str, Any]]) -> None:
    if conflicts:
        shown = "; ".join(" = ".join([row["path"], *row["same_bytes"]]) for row in conflicts[:_SHOWN])
        more = f" and {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
        raise BadInputError(f"the same image stands under different labels: {shown}{more}; keep one of each")


def _refuse_bad_data(counts: report.Counts, report_uri: str, max_bad_fraction: float) -> None:
    bad = report.read_rows(os.path.join(report_uri, report.QUARANTINE))
    for row in bad:
        _log.info("  quarantined: %s (%s: %s)", row["path"], row["reason"], row["detail"])
    if len(bad) > max_bad_fraction * counts.found:
        shown = "; ".join(f"{row['path']} ({row['reason']})" for row in bad[:_SHOWN])
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise BadInputError(
            f"{len(bad)} of {counts.found} files can't be used, more than data.max_bad_fraction "
            f"{max_bad_fraction:g} allows: {shown}{more}"
        )
    for split in counts.splits:
        if not counts.examples(split):
            raise BadInputError(
                f"no image fell into split {split!r} of {counts.found - counts.quarantined}: more images are needed, "
                f"or a larger share in data.splits"
            )


def _refuse_untrained_classes(counts: report.Counts, classes: list[str]) -> None:
    unusable = [name for name in classes if name not in counts.classes]
    if unusable:
        raise BadInputError(f"no file of {unusable} can be used as an image of its own: the classes would vanish")
    untrained = [name for name in classes if name not in counts.splits["train"]]
    if untrained:
        raise BadInputError(f"no image of {untrained} fell into the training split: these classes need more images")


def _write_schema(uri: str) -> None:
    """The contract of the examples, which Transform reads them by. What SchemaGen infers is about the facts alone."""
    schema = schema_pb2.Schema()
    for names, kind in ((features.BYTES_FEATURES, schema_pb2.BYTES), (features.INT_FEATURES, schema_pb2.INT)):
        for name in names:
            feature = schema.feature.add(name=name, type=kind)
            feature.presence.min_fraction = 1.0
            feature.shape.dim.add(size=1)
    io_utils.write_pbtxt_file(os.path.join(uri, "schema.pbtxt"), schema)
