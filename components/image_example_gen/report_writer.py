"""Writes the rows of all reports in one step of the Beam pipeline.

Every step of a pipeline costs time even if it has nothing to do, so there is none per report.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import tensorflow as tf

from components.image_example_gen import quarantine_writer, report
from config.data import IngestionConfig

ROWS = "rows"
"""Tag of the outputs of other steps that are rows of reports; see `to`."""

CONFLICTS, CLUSTERS, WRITTEN, FOUND = "conflicts.jsonl", "clusters.jsonl", "written.jsonl", "found.jsonl"
"""Reports for the stage itself, which `take` removes."""
_OWN = (CONFLICTS, CLUSTERS, WRITTEN, FOUND)
_KEPT = (report.QUARANTINE, report.DUPLICATES, report.NEAR_DUPLICATES)

Rows = list[dict[str, Any]]


def to(name: str, row: Any) -> beam.pvalue.TaggedOutput:
    """A row of a report as a further output of a step; a RejectedImage is a row of the quarantine."""
    return beam.pvalue.TaggedOutput(ROWS, (name, row))


class WriteReports(beam.PTransform):
    """Writes collections of (name of a report, row). One worker handles all rows of a report."""

    def __init__(self, uri: str, config: IngestionConfig):
        """Stores the arguments.

        Args:
          uri: of the folder of the reports.
          config: `max_pixels` is used.
        """
        super().__init__()
        self._uri, self._max_pixels = uri, config.max_pixels

    def expand(self, rows: Iterable[beam.PCollection]) -> beam.PCollection:
        grouped = rows | "AllRows" >> beam.Flatten() | "GroupByReport" >> beam.GroupByKey()
        return grouped | "WriteReport" >> beam.Map(_write, self._uri, self._max_pixels)


def _write(rows_of_report: tuple[str, Iterable[Any]], uri: str, max_pixels: int) -> None:
    name, rows = rows_of_report
    if name == report.QUARANTINE:
        rows = quarantine_writer.make_rows(rows, os.path.join(uri, report.THUMBNAILS), max_pixels)
    report.write_rows(os.path.join(uri, name), rows)


def take(uri: str) -> dict[str, Rows]:
    """Reads what `WriteReports` wrote, as name of the report to rows; removes what only the stage needs.

    No worker writes a report without rows. Those that are kept are written here then.
    """
    rows: dict[str, Rows] = {}
    for name in (*_KEPT, *_OWN):
        path = os.path.join(uri, name)
        is_written = tf.io.gfile.exists(path)
        rows[name] = report.read_rows(path) if is_written else []
        if name in _KEPT and not is_written:
            report.write_rows(path, [])
        elif name in _OWN and is_written:
            tf.io.gfile.remove(path)
    return rows
