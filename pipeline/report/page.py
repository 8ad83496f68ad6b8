"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from config.stages import EVALUATOR
from pipeline.report import classes, confusion, gate, results, templating
from pipeline.report.run import ReportedRun

_TEMPLATE = "report.html.j2"


def render(run: ReportedRun) -> str:
    """The page.

    Args:
      run: which came to a verdict.

    Returns:
      HTML, with all styles, pictures and charts in it.
    """
    found = results.collect(run)
    return templating.render(
        _TEMPLATE,
        run=run,
        summary=run.summary,
        verdict=run.summary.verdict,
        outcome=gate.outcome(run.summary),
        checks=gate.checks(run.summary),
        serving=run.summary.serving_check,
        confusion=_confusion(run),
        results=found,
        class_rows=classes.rows(run.summary, found),
    )


def _confusion(run: ReportedRun) -> confusion.Confusion | None:
    """None if the metrics are gone, as after `regraft clean`."""
    import tfx.components.evaluator.executor  # noqa: F401  first: TFMA can be imported only after it

    from components.evaluator import results as metrics

    evaluation, classes = run.uri(EVALUATOR, "evaluation"), run.summary.data.classes
    if evaluation is None or not Path(evaluation).is_dir():
        return None
    return confusion.of_matrix(metrics.confusion(evaluation, len(classes)), classes)
