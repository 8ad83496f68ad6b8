"""Runs every image through the trunk, on Beam."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.ml.inference.base import RunInference
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components import example_counts, progress
from components.trunk_features import model_handler
from components.trunk_features.extractor import Recipe
from config.data import TRAIN
from config.errors import BadInputError
from modules.data import trunk_features

_log = logging.getLogger("regraft.trunk_features")


class TrunkFeaturesError(BadInputError):
    """The activations cannot be kept as the configuration asks."""


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of TrunkFeatures."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the stage.

        Args:
          input_dict: `examples`, `transform_graph`; see the component.
          output_dict: `features`; see the component.
          exec_properties: `recipe`, `splits`; see the component.

        Raises:
          BadInputError: if the backbone cannot be built, the dtype cannot hold its activations, or examples are
            missing.
        """
        recipe = Recipe.parse(exec_properties["recipe"])
        splits: list[str] = json.loads(exec_properties["splits"])
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        transform_graph = artifact_utils.get_single_uri(input_dict["transform_graph"])
        features = artifact_utils.get_single_instance(output_dict["features"])
        features.split_names = artifact_utils.encode_split_names(splits)

        extractor = model_handler.extractor(exec_properties["recipe"], transform_graph)
        manifest = extractor.manifest
        if manifest.mode == trunk_features.CACHED:
            patterns = {
                split: io_utils.all_files_pattern(artifact_utils.get_split_uri([examples], split)) for split in splits
            }
            counts = {split: _count(pattern) for split, pattern in patterns.items()}
            for split, count in counts.items():
                example_counts.check(examples, split, count)
            folder = os.path.join(features.uri, ".progress")
            pipeline = self._make_beam_pipeline()
            for split, pattern in patterns.items():
                views = recipe.views if split == TRAIN else 1  # only training images are augmented
                handler = model_handler.TrunkHandler(
                    exec_properties["recipe"], transform_graph, views, sum(counts.values()), folder
                )
                prefix = os.path.join(artifact_utils.get_split_uri([features], split), "features")
                _compute(pipeline, split, pattern, handler, prefix)
            _log.info("  the trunk runs in %s", extractor.runtime.description)
            with progress.follow(folder, "computed", _log):
                result = pipeline.run()
                _refuse_overflow(result, recipe)
            manifest = dataclasses.replace(manifest, runtime=_used_runtimes(result) or manifest.runtime)
        model_handler.extractor.cache_clear()
        manifest.write(features.uri)


def _count(pattern: str) -> int:
    records = tf.data.TFRecordDataset(tf.io.gfile.glob(pattern), "GZIP")
    return int(records.reduce(np.int64(0), lambda count, _: count + 1))


def _compute(
    pipeline: beam.Pipeline, split: str, pattern: str, handler: model_handler.TrunkHandler, prefix: str
) -> None:
    _ = (
        pipeline
        | f"Read.{split}" >> beam.io.ReadFromTFRecord(pattern, compression_type="gzip")
        | f"Trunk.{split}" >> RunInference(handler)
        | f"Encode.{split}" >> beam.ParDo(_Encode())
        | f"Write.{split}" >> beam.io.WriteToTFRecord(prefix, file_name_suffix=".tfrecord")
    )


class _Encode(beam.DoFn):
    """Features to a serialized tf.Example. It counts images whose activations are too large for the dtype."""

    overflow = beam.metrics.Metrics.counter("trunk_features", "overflow")

    def process(self, element: model_handler.Features) -> Iterator[bytes]:
        key, label, weight, activations = element
        if not np.isfinite(activations).all():
            self.overflow.inc()
        yield trunk_features.encode(key, int(label), float(weight), activations)


def _refuse_overflow(result: beam.runners.runner.PipelineResult, recipe: Recipe) -> None:
    result.wait_until_finish()
    if images := sum(_counters(result, _Encode.overflow).values()):
        wider = "; trunk_features.dtype float32 may hold them" if recipe.dtype == "float16" else ""
        raise TrunkFeaturesError(f"the trunk's activations of {images} images are too large for {recipe.dtype}{wider}")


def _used_runtimes(result: beam.runners.runner.PipelineResult) -> str:
    """What the workers ran the trunk in; workers on other machines choose for themselves."""
    images = {name: _counters(result, counter) for name, counter in model_handler.IMAGES_BY_RUNTIME.items()}
    return ", ".join(name for name, counted in images.items() if sum(counted.values()))


def _counters(
    result: beam.runners.runner.PipelineResult, counter: beam.metrics.metric.Metrics.DelegatingCounter
) -> dict[str, int]:
    """What a counter counted in each step of a pipeline."""
    named = (
        beam.metrics.MetricsFilter().with_namespace(counter.metric_name.namespace).with_name(counter.metric_name.name)
    )
    return {found.key.step: found.result for found in result.metrics().query(named)["counters"]}
