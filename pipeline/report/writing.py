"""Writes the report of a run into its pipeline's folder."""

from __future__ import annotations

import datetime
import logging
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from config import interruption
from config.errors import one_line
from modules.files import atomic_write
from pipeline.workspace import DEFAULT_WORKSPACE, RunFolder, display_path

if TYPE_CHECKING:
    from config.run import RunConfig
    from pipeline.report.run import ReportedRun
    from pipeline.run_metadata import StageRecord
    from pipeline.summary import Summary


def write(
    summary: Summary, config: RunConfig, records: Mapping[str, StageRecord], run_id: str, folder: RunFolder
) -> str:
    """Makes the report of the run that has just ended. An error changes nothing else of the run.

    Args:
      summary: of the run.
      config: its configuration.
      records: stage id to its record.
      run_id: as ML Metadata has it.
      folder: of the pipeline.

    Returns:
      a line for the terminal: where the report is, or why there is none.
    """
    start = time.monotonic()
    try:
        from pipeline.report import run

        started = datetime.datetime.fromisoformat(run_id)
        again = commands(summary.config, folder)
        path = save(run.of_summary(summary, config, records, run_id, commands=again, started=started), folder)
        atomic_write(folder.report, path.read_bytes())
    except Exception as error:
        interruption.check(error)
        logging.exception("the report was not made")
        return f"no report: {one_line(error)}; the log has the details, and the run does not depend on the report"
    logging.info("the report took %.1f s", time.monotonic() - start)
    return f"report: {display_path(folder.report)}"


def commands(config: str, folder: RunFolder, number: int | None = None) -> list[str]:
    """What a person can do next.

    Args:
      config: the configuration's file; empty if its name is not known.
      folder: of the pipeline.
      number: of the run, where it need not be the last one.
    """
    place = shlex.quote(display_path(folder.path))
    workspace = shlex.quote(display_path(folder.path.parent))
    again = f"regraft run {shlex.quote(config or 'CONFIG')}"
    if workspace != DEFAULT_WORKSPACE:
        again += f" --workspace {workspace}"
    return [
        again if config else f"{again}  # CONFIG: a file with the configuration below; its name was not recorded",
        f"regraft explain {place}" if number is None else f"regraft explain {place} --run {number}",
        f"regraft history {place}",
    ]


def save(run: ReportedRun, folder: RunFolder) -> Path:
    """Renders the report, and keeps it for this run.

    Returns:
      its file.
    """
    from pipeline.report import page

    path = folder.report_of(run.run_id)
    atomic_write(path, page.render(run))
    return path
