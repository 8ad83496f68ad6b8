"""The pipeline: its stages in the order in which they run. Every runner uses this one."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tfx  # noqa: F401  first: it replaces a module that TFDV 1.16 imports, on Python 3.11

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
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

import modules
from components import run_parameters
from components.baseline_model.component import BaselineModel
from components.evaluator.component import Evaluator
from components.example_validator.component import ExampleValidator
from components.export.component import Export
from components.image_example_gen.component import ImageExampleGen
from components.label_check.component import LabelCheck
from components.pusher.component import Pusher
from components.serving_check.component import ServingCheck
from components.trainer.component import Trainer
from components.transform.component import Transform
from components.trunk_features.component import TrunkFeatures
from components.trunk_features.extractor import Recipe
from components.tuner.component import Tuner
from config.data import TEST
from config.run import RunConfig
from config.search_space import HEAD_KIND
from config.stages import CANDIDATE, SCHEMA_GEN
from modules.backbones import tensorflow_js
from modules.data.features import FACTS
from modules.files import fingerprint
from pipeline import infra_validation

_MODULES = Path(modules.__file__).parent

RuntimeParameters = Mapping[str, data_types.RuntimeParameter]


def create_pipeline(
    config: RunConfig,
    pipeline_root: str,
    push_directory: str | data_types.RuntimeParameter,
    state_directory: str | None = None,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None = None,
    bless_anyway: str | data_types.RuntimeParameter = "",
    runtime_parameters: RuntimeParameters | None = None,
    remote: bool = False,
) -> tfx_pipeline.Pipeline:
    """Builds the pipeline.

    Args:
      config: of the run.
      pipeline_root: where artifacts go.
      push_directory: where blessed models go.
      state_directory: where the state of an unfinished training is kept; None: a training that is killed starts again.
      metadata_connection_config: of the ML Metadata store; None where the orchestrator has its own.
      bless_anyway: why a candidate that is not blessed shall be pushed; empty: it is not pushed.
      runtime_parameters: parameters of components/run_parameters.py that a run can be given.
      remote: whether the stages run on other machines. Then no file outside of the project is read now.
    """
    parameters = runtime_parameters or {}
    data = _data_stages(config, pipeline_root, push_directory, parameters.get(run_parameters.DATA_PATH), remote)
    examples = data.example_gen.outputs["examples"]
    candidate = _candidate(config, data, state_directory, parameters, remote)
    model, model_run = (candidate.trainer.outputs[name] for name in ("model", "model_run"))
    baseline_model = BaselineModel(model=model, directory=push_directory)
    of_gate, report = _only(parameters, run_parameters.GATE), data.example_gen.outputs["report"]
    evaluator = _evaluator(config, examples, model, baseline_model, of_gate, report=report, **candidate.optional)
    serving_check = ServingCheck(model=model, model_run=model_run, config=config.serving_check)
    serving_check.add_upstream_node(evaluator)  # nothing else runs while it measures
    stages = [*data.all, *candidate.stages, baseline_model, evaluator, serving_check]
    infra_validator = None
    if config.serving_check.tf_serving is not None:
        infra_validator = infra_validation.stage(config.serving_check.tf_serving, examples, model)
        stages.append(infra_validator)
    pusher = Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["infra_blessing"],
        tf_serving_blessing=infra_validator.outputs["blessing"] if infra_validator else None,
        report=report,
        statistics=data.statistics_gen.outputs["statistics"],
        schema=data.schema_gen.outputs["schema"],
        anomalies=data.example_validator.outputs["anomalies"],
        model_run=model_run,
        exports=candidate.optional["exports"],
        directory=push_directory,
        keep=config.push.keep,
        config=config.model_dump(mode="json", by_alias=True, exclude={"beam", "kubeflow"}),
        bless_anyway=bless_anyway,
        runtime_parameters=parameters,
    )
    return _pipeline(config, pipeline_root, [*stages, pusher], metadata_connection_config)


def create_check_pipeline(
    config: RunConfig,
    pipeline_root: str,
    push_directory: str,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig,
) -> tfx_pipeline.Pipeline:
    """Builds the part of the pipeline that checks the data. A run takes its results from the cache.

    Args:
      config: of the run.
      pipeline_root: where artifacts go.
      push_directory: where the version in production is.
      metadata_connection_config: of the ML Metadata store.
    """
    data = _data_stages(config, pipeline_root, push_directory)
    return _pipeline(config, pipeline_root, data.all, metadata_connection_config)


def create_gate_pipeline(
    config: RunConfig,
    candidate: Path,
    pipeline_root: str,
    push_directory: str,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig,
) -> tfx_pipeline.Pipeline:
    """Builds the part of the pipeline that judges a model which exists already.

    Args:
      config: of the run.
      candidate: a SavedModel with the served signatures.
      pipeline_root: where artifacts go, and a copy of the candidate.
      push_directory: where the baseline is.
      metadata_connection_config: of the ML Metadata store.
    """
    content = fingerprint(candidate)
    copy = Path(pipeline_root, "_candidates", content)
    if fingerprint(path_utils.serving_model_dir(str(copy))) != content:
        shutil.rmtree(copy, ignore_errors=True)
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
    ).with_id(CANDIDATE)
    baseline_model = BaselineModel(model=model.outputs["result"], directory=push_directory)
    # Without LabelCheck there is no probe to beat, as there is no serving check.
    config = config.model_copy(update={"gate": config.gate.model_copy(update={"must_beat_probe": False})})
    examples, report = example_gen.outputs["examples"], example_gen.outputs["report"]
    evaluator = _evaluator(config, examples, model.outputs["result"], baseline_model, report=report)
    stages = [example_gen, model, baseline_model, evaluator]
    return _pipeline(config, pipeline_root, stages, metadata_connection_config)


def _pipeline(
    config: RunConfig,
    pipeline_root: str,
    stages: list,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None,
) -> tfx_pipeline.Pipeline:
    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root,
        components=stages,
        enable_cache=True,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(config.beam.arguments()),
    )


@dataclass(frozen=True)
class _DataStages:
    """The stages that read and check the images."""

    example_gen: ImageExampleGen
    statistics_gen: tfx_components.StatisticsGen
    schema_gen: base_component.BaseComponent
    example_validator: ExampleValidator

    @property
    def all(self) -> list[base_component.BaseComponent]:
        return [self.example_gen, self.statistics_gen, self.schema_gen, self.example_validator]


def _data_stages(
    config: RunConfig,
    pipeline_root: str,
    push_directory: str | data_types.RuntimeParameter,
    data_path: data_types.RuntimeParameter | None = None,
    remote: bool = False,
) -> _DataStages:
    example_gen = _example_gen(config, data_path)
    statistics_gen = tfx_components.StatisticsGen(
        examples=example_gen.outputs["examples"],
        stats_options=tfdv.StatsOptions(feature_allowlist=list(FACTS)),
    )
    schema_gen = _schema_gen(config, statistics_gen.outputs["statistics"], None if remote else pipeline_root)
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        directory=push_directory,
        drift=config.data.drift,
    )
    return _DataStages(example_gen, statistics_gen, schema_gen, example_validator)


@dataclass(frozen=True)
class _Candidate:
    """The stages that make the candidate.

    Attributes:
      stages: in the order in which they run.
      trainer: one of them.
      optional: what Evaluator reads besides the candidate, by the name of its input; None where no stage makes it.
    """

    stages: list[base_component.BaseComponent]
    trainer: base_component.BaseComponent
    optional: dict[str, types.BaseChannel | None]


def _candidate(
    config: RunConfig, data: _DataStages, state_directory: str | None, parameters: RuntimeParameters, remote: bool
) -> _Candidate:
    """The stages up to Trainer and, if files for devices are asked for, Export."""
    stages = _training_stages(config, data, state_directory, parameters, remote)
    trainer, graph = stages[-1], stages[0].outputs["transform_graph"]
    features = next((stage.outputs["image_features"] for stage in stages if isinstance(stage, LabelCheck)), None)
    if config.export is None:
        return _Candidate(stages, trainer, {"image_features": features, "exports": None, "transform_graph": None})
    model, examples = trainer.outputs["model"], data.example_gen.outputs["examples"]
    export = Export(model, examples, graph, config.export, config.backbone.image_input, config.data.max_pixels)
    optional = {"image_features": features, "exports": export.outputs["exports"], "transform_graph": graph}
    return _Candidate([*stages, export], trainer, optional)


def _training_stages(
    config: RunConfig, data: _DataStages, state_directory: str | None, parameters: RuntimeParameters, remote: bool
) -> list[base_component.BaseComponent]:
    """Transform, TrunkFeatures where activations are kept, LabelCheck and Tuner if there are any, and Trainer."""
    examples = data.example_gen.outputs["examples"]
    backbone_files = {} if remote else _fingerprints(config.backbone.files)
    head_files = {} if remote else _fingerprints(_custom_head_file(config))
    transform = Transform(
        examples=examples,
        schema=data.example_gen.outputs["schema"],
        module_file=str(_MODULES / "preprocessing.py"),
        image_input=config.backbone.image_input,
        max_pixels=config.data.max_pixels,
    )
    transform.add_upstream_node(data.example_validator)  # nothing is trained on images that do not fit the schema
    graph, stages, features = transform.outputs["transform_graph"], [transform], None
    if not config.reason_for_pixels:
        trunk_features = TrunkFeatures(examples, graph, _recipe(config), backbone_files)
        stages.append(trunk_features)
        features = trunk_features.outputs["features"]
    if config.label_check is not None:
        report = data.example_gen.outputs["report"]
        label_check = LabelCheck(examples, graph, report, features, _recipe(config), backbone_files, config.label_check)
        stages.append(label_check)
    files, of_training = {**backbone_files, **head_files}, _only(parameters, run_parameters.TRAINING)
    hyperparameters = None
    if config.tuner is not None and features is not None:
        tuner = Tuner(
            examples=examples,
            features=features,
            transform_graph=graph,
            module_file=str(_MODULES / "tuner.py"),
            config=config.classifier,
            tuner=config.tuner,
            space=config.search_space,
            layers=config.trunk_layers,
            state_directory=state_directory,
            files=files,
            runtime_parameters=of_training,
        )
        stages.append(tuner)
        hyperparameters = tuner.outputs["best_hyperparameters"]
    trainer = Trainer(
        examples=examples,
        features=features,
        transform_graph=graph,
        module_file=str(_MODULES / "trainer.py"),
        config=config.classifier,
        state_directory=state_directory,
        files=files,
        hyperparameters=hyperparameters,
        layers=config.trunk_layers,
        runtime_parameters=of_training,
    )
    return [*stages, trainer]


def _example_gen(config: RunConfig, data_path: data_types.RuntimeParameter | None = None) -> ImageExampleGen:
    return ImageExampleGen(
        data_path=data_path or config.data.path,
        ingestion=config.data.ingestion,
        allow_untested_classes=config.gate.on_missing_class == "warn",
    )


def _evaluator(
    config: RunConfig,
    examples: types.BaseChannel,
    model: types.BaseChannel,
    baseline_model: BaselineModel,
    runtime_parameters: RuntimeParameters | None = None,
    **optional: types.BaseChannel | None,
) -> Evaluator:
    return Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline_model.outputs["baseline_model"],
        gate=config.gate,
        example_splits=[TEST],
        runtime_parameters=runtime_parameters,
        **optional,
    )


def _schema_gen(
    config: RunConfig, statistics: types.BaseChannel, pipeline_root: str | None
) -> base_component.BaseComponent:
    """The schema of the facts about the images: the user's own, or inferred.

    Args:
      config: of the run.
      statistics: of the facts.
      pipeline_root: where a copy of the user's own schema is kept; None: it is read where it is.
    """
    schema = config.data.schema_
    if schema is None:
        return tfx_components.SchemaGen(statistics=statistics, infer_feature_shape=True)
    if pipeline_root is None:
        return ImportSchemaGen(schema_file=schema).with_id(SCHEMA_GEN)
    # TFX's cache knows the file by its path alone. A name made of the content makes an edited schema another one.
    copy = Path(pipeline_root, "_schemas", f"{fingerprint(schema)}.pbtxt")
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(schema, copy)
    return ImportSchemaGen(schema_file=str(copy)).with_id(SCHEMA_GEN)


def _recipe(config: RunConfig) -> Recipe:
    """What TrunkFeatures computes, and nothing that its result does not depend on."""
    kept = config.trunk_features
    several = kept.views > 1
    return Recipe(
        backbone=config.backbone,
        layers=config.trunk_layers,
        pooling=None if config.training.fine_tune or HEAD_KIND in config.search_space else config.head.fixed_pooling,
        blocks=config.head.pooled_blocks,
        dtype=kept.dtype,
        runtime=kept.runtime,
        views=kept.views,
        augmentation=config.augmentation if several else None,
        seed=config.training.seed if several else None,
        required=config.needs_kept_features,
    )


def _only(parameters: RuntimeParameters, names: Iterable[str]) -> dict[str, data_types.RuntimeParameter]:
    return {name: parameters[name] for name in names if name in parameters}


def _fingerprints(paths: Iterable[str]) -> dict[str, str]:
    return {Path(path).name: tensorflow_js.fingerprint(path) for path in paths if Path(path).exists()}


def _custom_head_file(config: RunConfig) -> list[str]:
    """The file of a custom head's function."""
    if config.head.function is None:
        return []
    spec = importlib.util.find_spec(config.head.function.rpartition(".")[0])
    return [spec.origin] if spec and spec.origin else []
