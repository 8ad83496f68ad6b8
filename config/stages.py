"""The one table of stages, in the order they run. (InfraValidator, which needs Docker, runs on one machine only.)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pydantic


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    Attributes:
      name: the stage's id in TFX, and its task's name on Kubeflow Pipelines.
      runs_on_beam: whether it is a Beam pipeline.
      default_gpus: how many GPUs its pod gets unless the configuration says otherwise.
      cacheable: whether Kubeflow's cache may answer for it. It may not where the result depends on more than the
        inputs: on the data folder, or on what is in production.
      only_on_kubeflow: whether only Kubeflow Pipelines needs it.
    """

    name: str
    runs_on_beam: bool = False
    default_gpus: int = 0
    cacheable: bool = True
    only_on_kubeflow: bool = False


EXTERNAL_STATE = "OutsideState"  # the task's name, which configurations of users have
IMAGE_EXAMPLE_GEN = "ImageExampleGen"
SCHEMA_GEN = "SchemaGen"
EXAMPLE_VALIDATOR = "ExampleValidator"
TRANSFORM = "Transform"
TRUNK_FEATURES = "TrunkFeatures"
LABEL_CHECK = "LabelCheck"
TUNER = "Tuner"
TRAINER = "Trainer"
EXPORT = "Export"
BASELINE_MODEL = "BaselineModel"
EVALUATOR = "Evaluator"
SERVING_CHECK = "ServingCheck"
PUSHER = "Pusher"
REPORT = "Report"
VERDICT = "Verdict"
CANDIDATE = "Candidate"  # takes the place of Trainer where the gate judges a model that exists already

TABLE = (
    Stage(EXTERNAL_STATE, cacheable=False, only_on_kubeflow=True),
    Stage(IMAGE_EXAMPLE_GEN, runs_on_beam=True),
    Stage("StatisticsGen", runs_on_beam=True),
    Stage(SCHEMA_GEN),
    Stage(EXAMPLE_VALIDATOR, cacheable=False),
    Stage(TRANSFORM, runs_on_beam=True),
    Stage(TRUNK_FEATURES, runs_on_beam=True, default_gpus=1),
    Stage(LABEL_CHECK),
    Stage(TUNER, default_gpus=1),
    Stage(TRAINER, default_gpus=1),
    Stage(EXPORT),
    Stage(BASELINE_MODEL, cacheable=False),
    Stage(EVALUATOR, runs_on_beam=True),
    Stage(SERVING_CHECK),
    Stage(PUSHER, cacheable=False),
    Stage(REPORT, cacheable=False, only_on_kubeflow=True),
    Stage(VERDICT, cacheable=False, only_on_kubeflow=True),
)
STAGES = {stage.name: stage for stage in TABLE}


def _is_in_the_table(name: str) -> str:
    if name not in STAGES:
        raise ValueError(f"stages are {', '.join(STAGES)}. Received: {name!r}")
    return name


StageName = Annotated[str, pydantic.AfterValidator(_is_in_the_table)]
