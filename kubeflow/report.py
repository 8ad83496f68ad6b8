"""Makes the report of a run, and hands it to Kubeflow's user interface. It runs as a task of its own.

Its outputs are artifacts of the types that the interface draws: `page`, the report as HTML; `classification`, the
confusion matrix and the ROC curve; `figures`, numbers. A report that cannot be made does not fail the run: the page
then says why.
"""

from __future__ import annotations

import html
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from config.errors import ExitCode, one_line
from config.stages import (
    BASELINE_MODEL,
    EVALUATOR,
    EXAMPLE_VALIDATOR,
    IMAGE_EXAMPLE_GEN,
    LABEL_CHECK,
    PUSHER,
    REPORT,
    SERVING_CHECK,
    TRAINER,
    TRANSFORM,
    TUNER,
)
from kubeflow import executor_io
from modules.files import atomic_write

if TYPE_CHECKING:
    from pipeline.report.run import ReportedRun
    from pipeline.run_metadata import StageRecord

_log = logging.getLogger("regraft.kubeflow")

# What the report is made of: stage to its outputs. No two outputs have the same name.
READ: dict[str, tuple[str, ...]] = {
    IMAGE_EXAMPLE_GEN: ("examples", "report"),
    EXAMPLE_VALIDATOR: ("anomalies",),
    TRANSFORM: ("transform_graph",),
    LABEL_CHECK: ("label_check",),
    TUNER: ("tuner_results",),
    TRAINER: ("model", "model_run"),
    BASELINE_MODEL: ("baseline_model",),
    EVALUATOR: ("evaluation", "blessing"),
    SERVING_CHECK: ("infra_blessing",),
    PUSHER: ("pushed_model",),
}
PAGE, CLASSIFICATION, FIGURES = "page", "classification", "figures"
_MOST_POINTS = 200  # of the ROC curve: the server keeps them as a property


def main(arguments: Sequence[str]) -> ExitCode:
    """Writes the page, and the metadata of all outputs.

    Args:
      arguments: the launcher's `ExecutorInput` as JSON, with the artifacts of READ, and Pusher's parameters.

    Returns:
      OK, also if there is no report.
    """
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    executor_input = json.loads(arguments[0])
    outputs = executor_input["outputs"]
    metadata: dict[str, dict[str, Any]] = {}
    try:
        run = _run(executor_input)
        from pipeline.report import page

        metadata = {CLASSIFICATION: _classification(run), FIGURES: _figures(run)}
        content = page.render(run)
    except Exception as error:
        _log.exception("the report was not made")
        reason = html.escape(one_line(error))
        content = f"<!doctype html><title>No report</title><p>No report: {reason}. The log of {REPORT} has more.</p>\n"
    artifacts = {key: several["artifacts"][0] for key, several in outputs["artifacts"].items()}
    atomic_write(executor_io.local_path(artifacts[PAGE]["uri"]), content)
    answer = {
        key: {"artifacts": [{**artifact, "metadata": metadata.get(key, {})}]} for key, artifact in artifacts.items()
    }
    atomic_write(executor_io.local_path(outputs["outputFile"]), json.dumps({"artifacts": answer}))
    return ExitCode.OK


def _run(executor_input: Mapping[str, Any]) -> ReportedRun:
    from components import run_parameters
    from config.run import RunConfig
    from pipeline import summary
    from pipeline.report import run

    parameters = executor_input["inputs"]["parameterValues"]
    config = run_parameters.applied(RunConfig.parse(parameters["config"]), parameters)
    records = _records(_inputs(executor_input))
    found = summary.collect(config, "", parameters["directory"], records, [])
    run_id = _run_id(executor_input["outputs"]["artifacts"][PAGE]["artifacts"][0]["uri"])
    return run.of_summary(found, config, records, run_id, commands=[f"regraft kubeflow report {run_id}"])


def _inputs(executor_input: Mapping[str, Any]) -> dict[str, Any]:
    """The input artifacts by name, with the folders of this container."""
    artifacts = executor_io.for_executor(executor_input, {})["inputs"]["artifacts"]
    return {key: several["artifacts"][0] for key, several in artifacts.items()}


def _records(artifacts: Mapping[str, Mapping[str, Any]]) -> dict[str, StageRecord]:
    from pipeline.run_metadata import StageRecord

    return {
        stage: StageRecord(False, outputs={name: _artifact(artifacts[name]) for name in names})
        for stage, names in READ.items()
        if names[0] in artifacts
    }


def _artifact(content: Mapping[str, Any]) -> Any:
    from ml_metadata.proto import metadata_store_pb2

    artifact = metadata_store_pb2.Artifact(uri=content["uri"])
    for name, value in content.get("metadata", {}).items():
        if isinstance(value, str):
            artifact.custom_properties[name].string_value = value
        elif isinstance(value, int | float) and float(value).is_integer():  # JSON knows no other numbers
            artifact.custom_properties[name].int_value = int(value)
        elif isinstance(value, float):
            artifact.custom_properties[name].double_value = value
    return artifact


def _run_id(uri: str) -> str:
    """The server's id of the run: the launcher puts outputs into `<pipeline root>/<pipeline>/<run>/<task>/…`."""
    return uri.rpartition(f"/{REPORT}/")[0].rpartition("/")[2]


def _classification(run: ReportedRun) -> dict[str, Any]:
    """TFMA's confusion matrix, and the ROC curve of all classes together, each against the others."""
    from kfp import dsl

    from pipeline.report import results

    metrics = dsl.ClassificationMetrics()
    if run.evaluation is not None:
        metrics.log_confusion_matrix(list(run.classes), run.evaluation.confusion.tolist())
    found = results.collect(run)
    if found is not None and (curve := _roc(found.predicted.candidate.labels, found.predicted.candidate.probabilities)):
        metrics.log_roc_curve(*curve)
    return dict(metrics.metadata)


def _roc(labels: Any, probabilities: Any) -> tuple[list[float], list[float], list[float]] | None:
    """False positive rate, true positive rate and threshold; None if no image has a class that the model knows."""
    import numpy as np
    from sklearn import metrics

    from pipeline.report import curves

    truth = labels[:, np.newaxis] == np.arange(probabilities.shape[1])
    if not truth.any():
        return None
    curve = metrics.roc_curve(truth.ravel(), probabilities.ravel())
    chosen = curves.spread(curve[0], curve[1], _MOST_POINTS)
    false_rate, true_rate, thresholds = (column[chosen].tolist() for column in curve)
    return false_rate, true_rate, [min(threshold, 1.0) for threshold in thresholds]  # scikit-learn's first is infinite


def _figures(run: ReportedRun) -> dict[str, float]:
    verdict = run.summary.verdict
    if verdict is None:
        return {}
    found = {"blessed": float(verdict.blessed)}
    found["test_images"] = float(verdict.examples)
    if verdict.accuracy is not None:
        low, high = verdict.accuracy_bounds
        found |= {"accuracy": verdict.accuracy, "accuracy_lower_bound": low, "accuracy_upper_bound": high}
    if verdict.change is not None:
        found["accuracy_change"] = verdict.change.value
    for name, figures in verdict.per_class.items():
        if figures.recall is not None:
            found[f"recall of {name}"] = figures.recall
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
