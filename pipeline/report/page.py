"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

from config.stages import IMAGE_EXAMPLE_GEN
from pipeline.report import (
    album,
    classes,
    confusion,
    data,
    facts,
    gate,
    heat_maps,
    labels,
    results,
    serving,
    slices,
    stress,
    templating,
    training,
)
from pipeline.report.album import Wanted
from pipeline.report.run import ReportedRun

_TEMPLATE = "report.html.j2"


def render(run: ReportedRun) -> str:
    """The page.

    Args:
      run: which came to a verdict.

    Returns:
      HTML, with all styles, pictures and charts in it.
    """
    summary, found, reported = run.summary, results.collect(run), data.findings(run)
    shown = found.gallery if found else None
    suspect = labels.collect(run)
    large = shown.large if shown else set()
    wanted = Wanted(
        keys={*(shown.shown if shown else ()), *(suspect.keys(large) if suspect else ())},
        paths=reported.paths,
        large=large,
        classes=run.classes,
        sheet=data.sheet_size(len(run.classes)),
    )
    images = album.collect(run.uri(IMAGE_EXAMPLE_GEN, "examples"), wanted)
    return templating.render(
        _TEMPLATE,
        run=run,
        summary=summary,
        verdict=summary.verdict,
        outcome=gate.outcome(run),
        checks=gate.checks(run),
        serving=summary.serving_check,
        serving_rows=list(serving.rows(summary.serving_check["measured"])) if summary.serving_check else [],
        stress=stress.collect(run),
        confusion=confusion.of_matrix(run.evaluation.confusion, run.classes) if run.evaluation else None,
        slices=slices.table(run.evaluation.slices) if run.evaluation else None,
        bad_slices=slices.found(run),
        results=found,
        class_rows=classes.rows(run, found),
        album=images,
        labels=suspect,
        heat_maps=heat_maps.collect(run, images),
        training=training.collect(run),
        findings=reported,
        counts=summary.data.counts if summary.data else None,
        drift=data.drift(run),
        balance=data.balance(run),
        sheets=data.sheets(images, run.classes),
        most_rows=data.MOST_ROWS,
        facts=facts.collect(run),
    )
