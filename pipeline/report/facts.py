"""The section about the run itself: times, configuration, versions of everything."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from pipeline.report import charts
from pipeline.report.charts import Chart
from pipeline.report.run import ReportedRun

_PACKAGES = (
    "regraft",
    "tensorflow",
    "keras",
    "tfx",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "tensorflow-data-validation",
    "apache-beam",
    "ml-metadata",
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
    "matplotlib",
)


@dataclass(frozen=True)
class Facts:
    """What the section shows.

    Attributes:
      times: chart of the stages; None if their times are not known.
      total: seconds of all stages.
      config: the whole configuration as YAML, with defaults; empty if it was not recorded.
      versions: name and version of Python, the system and the packages that matter.
    """

    times: Chart | None
    total: float
    config: str
    versions: Sequence[tuple[str, str]]


def collect(run: ReportedRun) -> Facts:
    """Gathers the facts. Versions are those of the program that makes the page."""
    config = run.config.model_dump(mode="json", by_alias=True) if run.config else None
    return Facts(
        _times(run) if run.summary.stages else None,
        sum(stage.seconds for stage in run.summary.stages),
        yaml.safe_dump(config, sort_keys=False, allow_unicode=True) if config else "",
        [("Python", platform.python_version()), ("system", platform.platform()), *_versions()],
    )


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in _PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "not installed"))
    return found


def _times(run: ReportedRun) -> Chart:
    stages = run.summary.stages
    with charts.styled():
        made, (axes,) = charts.figure(5.2, 1.0 + 0.28 * len(stages))
        bars = axes.barh(
            [charts.name(stage.id) for stage in stages],
            [0 if stage.cached else stage.seconds for stage in stages],
            color=charts.SERIES[0],
        )
        axes.bar_label(bars, ["cached" if stage.cached else f"{stage.seconds:.1f} s" for stage in stages], padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="seconds")
        longest = max(stages, key=lambda stage: stage.seconds)
        alt = f"The time of each stage. {longest.id} took longest: {longest.seconds:.1f} seconds."
        rows = [(stage.id, "cached" if stage.cached else stage.seconds) for stage in stages]
        return charts.finish(made, alt, ("stage", "seconds"), rows)
