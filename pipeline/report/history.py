"""The page about all runs of a pipeline: accuracy, versions, data and drift over time."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from components import example_counts
from components.evaluator.metric_names import Metric
from components.evaluator.verdict import OVERALL
from components.example_validator import drift_findings
from components.pusher import properties
from components.serving_directory import ServingDirectory, ServingError
from config.stages import CANDIDATE, EXAMPLE_VALIDATOR, IMAGE_EXAMPLE_GEN, PUSHER
from modules.files import atomic_write
from pipeline import console, history, versions
from pipeline.history import PastRun
from pipeline.report import history_charts, templating
from pipeline.run_metadata import RunRecord
from pipeline.workspace import RunFolder

_TEMPLATE = "history.html.j2"
_GONE = (OSError, ValueError, LookupError, TypeError)  # removed by `regraft clean`, not JSON, or with other fields

Look = Literal["good", "bad", "warn", "none"]


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
      run: as `regraft history` has it.
      look: `good`: its model is a version; `warn`: it is one although it was refused; `bad`: it was refused; `none`:
        nothing was to be pushed, or the run did not end.
      bound: the lowest accuracy that the gate let pass; None without a verdict.
      images: split to number of examples; empty if it did not get that far.
      quarantined: number of files that could not be used; None if it is not known any more.
      is_new_data: whether its examples are not those of the run before; None if that is not known any more.
      drift: what had changed since the version in production was trained, in sentences; None if it is not known any
        more.
      report: link to the report of the run; None if there is none.
    """

    run: PastRun
    look: Look
    bound: float | None
    images: Mapping[str, int]
    quarantined: int | None
    is_new_data: bool | None
    drift: Sequence[str] | None
    report: str | None


@dataclass(frozen=True)
class Override:
    """A model that was pushed past a refusal: by whom, why, and which checks had failed."""

    version: str
    pushed_at: str
    by: str
    reason: str
    failed: Sequence[str]


def write(folder: str | Path, page: str | Path) -> None:
    """Writes the page.

    Args:
      folder: the pipeline's, `<workspace>/<pipeline name>`.
      page: the file. Its links to the reports of runs are relative to its folder.

    Raises:
      BadInputError: if the folder holds no runs, or the database is damaged.
      MetadataError: if the database cannot be read.
      OSError: if the file cannot be written.
    """
    atomic_write(page, render(folder, Path(page).absolute().parent))


def render(folder: str | Path, place: Path) -> str:
    """The page.

    Args:
      folder: the pipeline's.
      place: the folder that links are relative to.

    Returns:
      HTML, with all charts in it. The errors are those of `write`.
    """
    runs, records, past = history.read(folder)
    with console.redirected(Path(os.devnull)):  # TensorFlow logs a lot when it is imported
        entries = list(_entries(runs, records, past, place))
    directory = _directory(runs, records)
    return templating.render(
        _TEMPLATE,
        name=runs.path.name,
        made=datetime.datetime.now(datetime.UTC),
        entries=entries[::-1],
        accuracy=history_charts.accuracy(entries),
        images=history_charts.images(entries),
        headings=versions.HEADINGS,
        versions=list(versions.rows(directory))[::-1],
        overrides=[*_overrides(directory), *_overrides_of_removed(records, directory)],
    )


def _entries(runs: RunFolder, records: Sequence[RunRecord], past: Sequence[PastRun], place: Path) -> Iterator[Entry]:
    before: str | None = None
    for record, run in zip(records, past, strict=True):
        counts = _counts(record)
        fingerprint = counts.get("fingerprint")
        yield Entry(
            run=run,
            look=_look(record),
            bound=_bound(run),
            images=_images(record),
            quarantined=counts.get("quarantined"),
            is_new_data=fingerprint != before if fingerprint and before else None,
            drift=_drift(record),
            report=_link(runs.report_of(record.id), place),
        )
        before = fingerprint or before


def _look(record: RunRecord) -> Look:
    if PUSHER not in record.stages or CANDIDATE in record.stages:
        return "none"
    pushed = record.stages[PUSHER].outputs["pushed_model"].custom_properties
    if not pushed["pushed"].int_value:
        return "bad"
    return "warn" if pushed[properties.BLESSED_ANYWAY].string_value else "good"


def _bound(run: PastRun) -> float | None:
    checks = run.verdict.checks if run.verdict else ()
    return next((one.bound for one in checks if (one.metric, one.slice) == (Metric.ACCURACY, OVERALL)), None)


def _images(record: RunRecord) -> dict[str, int]:
    """From ML Metadata, which keeps them after the files are removed."""
    if IMAGE_EXAMPLE_GEN not in record.stages:
        return {}
    recorded = record.stages[IMAGE_EXAMPLE_GEN].outputs["examples"].custom_properties[example_counts.PROPERTY]
    return json.loads(recorded.string_value or "{}")


def _counts(record: RunRecord) -> dict[str, Any]:
    """The ingest report's counts; empty if they are gone."""
    from components.image_example_gen import report  # TensorFlow takes seconds, which a usage error must not wait for

    if IMAGE_EXAMPLE_GEN not in record.stages:
        return {}
    try:
        return dataclasses.asdict(report.read_counts(record.stages[IMAGE_EXAMPLE_GEN].outputs["report"].uri))
    except (*_GONE, _tensorflow_error()):
        return {}


def _tensorflow_error() -> type[Exception]:
    import tensorflow as tf

    error: type[Exception] = tf.errors.OpError
    return error


def _drift(record: RunRecord) -> list[str] | None:
    if EXAMPLE_VALIDATOR not in record.stages:
        return None
    try:
        found = drift_findings.read(record.stages[EXAMPLE_VALIDATOR].outputs["anomalies"].uri)
    except _GONE:
        return None
    return [finding.message for finding in found]


def _link(report: Path, place: Path) -> str | None:
    if not report.is_file():
        return None
    return urllib.parse.quote(os.fsencode(os.path.relpath(report, place)))


def _directory(runs: RunFolder, records: Sequence[RunRecord]) -> ServingDirectory:
    """The push directory of the last run that got that far; a recorded path in the workspace may be an old one."""
    named = None
    for record in records:
        if PUSHER in record.stages and (config := record.stages[PUSHER].parameters.get("config")):
            named = json.loads(config.string_value).get("push", {}).get("directory")
    return ServingDirectory(named or runs.serving)


def _overrides(directory: ServingDirectory) -> Iterator[Override]:
    for version in reversed(directory.versions()):
        try:
            manifest = directory.manifest(version)
        except ServingError:
            continue  # the table of versions says that it is damaged
        if found := manifest.get("blessed_anyway"):
            yield Override(
                str(version), manifest.get("pushed_at", ""), found["by"], found["reason"], found.get("failed", [])
            )


def _overrides_of_removed(records: Sequence[RunRecord], directory: ServingDirectory) -> Iterator[Override]:
    """Of versions that are not in the folder any more, ML Metadata knows the reason."""
    for record in reversed(records):
        if _look(record) == "warn" and not record.stages[PUSHER].cached:
            pushed = record.stages[PUSHER].outputs["pushed_model"].custom_properties
            version = pushed["pushed_version"].string_value
            if int(version) not in directory.versions():
                reason = pushed[properties.BLESSED_ANYWAY].string_value
                yield Override(version, record.started.isoformat(timespec="seconds"), "", reason, [])
