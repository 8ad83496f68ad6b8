"""The chain of stages, in reading order. Every runner uses this one."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tfx  # noqa: F401  first: it stands in for a module that TFDV 1.16 imports and tfx-bsl 1.21 no longer has

# isort: split
import tensorflow_data_validation as tfdv
from ml_metadata.proto import metadata_store_pb2
from tfx import components as tfx_components
from tfx import types
from tfx import version as tfx_version
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base import base_component
from tfx.dsl.components.common import importer
from tfx.orchestration import data_types
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.proto import infra_validator_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

import modules
from components import run_parameters
from components.baseline_model.component import BaselineModel
from components.evaluator.component import Evaluator
from components.example_validator.component import ExampleValidator
from components.image_example_gen.component import ImageExampleGen
from components.pusher.component import Pusher
from components.serving_check.component import ServingCheck
from components.trainer.component import Trainer
from components.trunk_features.component import TrunkFeatures
from modules import features, heads, signatures
from modules.fingerprints import fingerprint
from modules.trunk_features import Recipe
from pipeline import thresholds
from pipeline.config import Config

_MODULES = Path(modules.__file__).parent


def create_pipeline(
    config: Config,
    pipeline_root: str,
    push_directory: str | data_types.RuntimeParameter,
    state_directory: str | None = None,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None = None,
    bless_anyway: str | data_types.RuntimeParameter = "",
    given: Mapping[str, data_types.RuntimeParameter] | None = None,
    elsewhere: bool = False,
) -> tfx_pipeline.Pipeline:
    """Builds the pipeline.

    Args:
      config: the run.
      pipeline_root: where artifacts go.
      push_directory: where blessed models go.
      state_directory: where the state of an unfinished training is kept; None: a training that is killed starts over.
      metadata_connection_config: of the ML Metadata store; None where the orchestrator has its own.
      bless_anyway: why a candidate that isn't blessed is to be pushed all the same; empty: it isn't.
      given: parameters of components/run_parameters.py that a run can be given anew.
      elsewhere: whether the stages run on other machines, in an image that has this package. Then its modules are
        named, not packed, and no file outside the pipeline is looked at now.
    """
    given = given or {}
    example_gen = _example_gen(config, given.get(run_parameters.DATA_PATH))
    statistics_gen = tfx_components.StatisticsGen(
        examples=example_gen.outputs["examples"],
        stats_options=tfdv.StatsOptions(feature_allowlist=list(features.FACTS)),
    )
    schema_gen = _schema_gen(config, statistics_gen.outputs["statistics"], None if elsewhere else pipeline_root)
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        directory=push_directory,
        drift=config.data.drift.model_dump(),
    )
    transform = tfx_components.Transform(
        examples=example_gen.outputs["examples"],
        schema=example_gen.outputs["schema"],
        **_user_code("preprocessing", "preprocessing_fn", elsewhere),
        custom_config=config.backbone.model_dump(include={"image_size", "aspect", "interpolation", "preprocessing"}),
        materialize=False,
        disable_statistics=True,
    )
    files = {} if elsewhere else _fingerprints(_backbone_files(config))
    trunk_features = _trunk_features(
        config, example_gen.outputs["examples"], transform.outputs["transform_graph"], files
    )
    trainer = Trainer(
        examples=example_gen.outputs["examples"],
        features=trunk_features[0].outputs["features"] if trunk_features else None,
        transform_graph=transform.outputs["transform_graph"],
        custom_config=_trainer_config(
            config, state_directory, files if elsewhere else {**files, **_fingerprints([_source(config)])}
        ),
        **_user_code("trainer", "run_fn", elsewhere),
        given=_only(given, run_parameters.TRAINING),
    )
    baseline_model = BaselineModel(model=trainer.outputs["model"], directory=push_directory)
    evaluator = _evaluator(
        config, example_gen, trainer.outputs["model"], baseline_model, _only(given, run_parameters.GATE)
    )
    serving_check = ServingCheck(
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        settings=config.serving_check.model_dump(exclude={"tf_serving"}),
    )
    infra_validator = _infra_validator(config, example_gen, trainer)
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["infra_blessing"],
        tf_serving_blessing=infra_validator[0].outputs["blessing"] if infra_validator else None,
        report=example_gen.outputs["report"],
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        directory=push_directory,
        keep=config.push.keep,
        config=config.model_dump(mode="json", by_alias=True, exclude={"beam", "kubeflow"}),
        bless_anyway=bless_anyway,
        given=given,
    )
    # Nothing is trained on images that don't fit the schema; nothing is measured beside something else.
    transform.add_upstream_node(example_validator)
    serving_check.add_upstream_node(evaluator)
    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root,
        components=[
            *(example_gen, statistics_gen, schema_gen, example_validator),
            *(transform, *trunk_features, trainer, baseline_model, evaluator, serving_check, *infra_validator, pusher),
        ],
        enable_cache=True,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(config.beam.arguments()),
    )


def create_gate_pipeline(
    config: Config,
    candidate: Path,
    pipeline_root: str,
    push_directory: str,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig,
) -> tfx_pipeline.Pipeline:
    """Builds the part of the pipeline that judges a model which is there already.

    Args:
      config: the run.
      candidate: a SavedModel with the served signatures.
      pipeline_root: where artifacts go; a copy of the candidate, too.
      push_directory: where the baseline is.
      metadata_connection_config: of the ML Metadata store.
    """
    copy = Path(pipeline_root, "_candidates", fingerprint(candidate))
    if not copy.exists():
        temporary = copy.with_suffix(".tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(candidate, path_utils.serving_model_dir(str(temporary)))
        temporary.rename(copy)
    example_gen = _example_gen(config)
    model = importer.Importer(
        source_uri=str(copy),
        artifact_type=standard_artifacts.Model,
        # Without it TFX looks for the layout of before 0.30.
        custom_properties={artifact_utils.ARTIFACT_TFX_VERSION_CUSTOM_PROPERTY_KEY: tfx_version.__version__},
    ).with_id("Candidate")
    baseline_model = BaselineModel(model=model.outputs["result"], directory=push_directory)
    evaluator = _evaluator(config, example_gen, model.outputs["result"], baseline_model)
    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root,
        components=[example_gen, model, baseline_model, evaluator],
        enable_cache=True,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(config.beam.arguments()),
    )


def _example_gen(config: Config, data_path: str | data_types.RuntimeParameter | None = None) -> ImageExampleGen:
    return ImageExampleGen(data_path or config.data.path, config.ingestion())


def _evaluator(
    config: Config,
    example_gen: ImageExampleGen,
    model: types.BaseChannel,
    baseline_model: BaselineModel,
    given: Mapping[str, data_types.RuntimeParameter] | None = None,
) -> Evaluator:
    return Evaluator(
        examples=example_gen.outputs["examples"],
        model=model,
        baseline_model=baseline_model.outputs["baseline_model"],
        eval_config=thresholds.eval_config(config.gate),
        example_splits=["test"],
        allow_new_classes=config.gate.allow_new_classes,
        given=given,
    )


def _schema_gen(
    config: Config, statistics: types.BaseChannel, pipeline_root: str | None
) -> base_component.BaseComponent:
    """The schema of the facts: the person's own, or inferred.

    Args:
      config: the run.
      statistics: of the facts.
      pipeline_root: where a copy of the person's own is kept; None: it is used where it stands.
    """
    if config.data.schema_ is None:
        return tfx_components.SchemaGen(statistics=statistics, infer_feature_shape=True)
    if pipeline_root is None:
        return ImportSchemaGen(schema_file=config.data.schema_).with_id("SchemaGen")
    # TFX's cache knows the file by its path alone; under a name made of its content, an edited schema is another one.
    copy = Path(pipeline_root, "_schemas", f"{fingerprint(config.data.schema_)}.pbtxt")
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(config.data.schema_, copy)
    return ImportSchemaGen(schema_file=str(copy)).with_id("SchemaGen")


def _infra_validator(
    config: Config, example_gen: ImageExampleGen, trainer: Trainer
) -> list[tfx_components.InfraValidator]:
    """The stage, or none."""
    if config.serving_check.tf_serving is None:
        return []
    return [
        tfx_components.InfraValidator(
            model=trainer.outputs["model"],
            examples=example_gen.outputs["examples"],
            serving_spec=infra_validator_pb2.ServingSpec(
                tensorflow_serving=infra_validator_pb2.TensorFlowServing(tags=[config.serving_check.tf_serving]),
                local_docker=infra_validator_pb2.LocalDockerConfig(),
            ),
            request_spec=infra_validator_pb2.RequestSpec(
                tensorflow_serving=infra_validator_pb2.TensorFlowServingRequestSpec(
                    signature_names=[signatures.SERVING_DEFAULT]
                ),
                split_name="eval",
                num_examples=8,
            ),
        )
    ]


def _trunk_features(
    config: Config, examples: types.BaseChannel, transform_graph: types.BaseChannel, files: Mapping[str, str]
) -> list[TrunkFeatures]:
    """The stage, or none."""
    if config.trains_on_pixels_because():
        return []
    fine_tune, settings = config.training.fine_tune, config.trunk_features
    several = settings.views > 1
    recipe = Recipe(
        backbone=config.backbone.model_dump(),
        layers=fine_tune.layers if fine_tune else None,
        pooling=None if fine_tune else heads.fixed_pooling(heads.HeadOptions(**config.head.model_dump())),
        dtype=settings.dtype,
        views=settings.views,
        augmentation=config.augmentation.model_dump() if several else None,
        seed=config.training.seed if several else None,
        always=settings.mode == "cached",
    )
    return [TrunkFeatures(examples, transform_graph, recipe, files)]


def _user_code(module: str, function: str, is_installed: bool) -> dict[str, str]:
    """How a stage of TFX is told what to call."""
    if is_installed:
        return {function: f"{modules.__name__}.{module}.{function}"}
    return {"module_file": str(_MODULES / f"{module}.py")}


def _only(
    given: Mapping[str, data_types.RuntimeParameter], names: Iterable[str]
) -> dict[str, data_types.RuntimeParameter]:
    return {name: given[name] for name in names if name in given}


def _trainer_config(config: Config, state_directory: str | None, files: Mapping[str, str]) -> dict[str, Any]:
    """What training depends on, and nothing else, so that a change elsewhere doesn't train again."""
    sections = {name: getattr(config, name).model_dump() for name in ("backbone", "head", "training", "augmentation")}
    return {
        **sections,
        "trunk_features": config.trunk_features.model_dump(include={"memory_gib"}),
        "pixels_because": config.trains_on_pixels_because(),
        "state_directory": state_directory,
        "files": dict(files),
    }


def _backbone_files(config: Config) -> list[str | None]:
    return [config.backbone.weights, config.backbone.saved_model, config.backbone.keras_model]


def _fingerprints(paths: Iterable[str | None]) -> dict[str, str]:
    return {path: fingerprint(path) for path in paths if path and Path(path).exists()}


def _source(config: Config) -> str | None:
    """The file of a custom head's function."""
    if config.head.function is None:
        return None
    spec = importlib.util.find_spec(config.head.function.rpartition(".")[0])
    return spec.origin if spec else None
