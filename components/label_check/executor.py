"""Looks for wrong labels in all splits."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import example_counts, example_files, progress
from components.image_example_gen import report
from components.label_check import checking, image_features, results
from components.label_check.results import Kind
from components.label_check.vectors import Vectors
from components.trunk_features.extractor import Recipe
from config.label_check import LabelCheckConfig
from modules.data import transform_graph

_log = logging.getLogger("regraft.label_check")


class Executor(base_executor.BaseExecutor):
    """Executor of LabelCheck."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the stage.

        Args:
          input_dict: `examples`, `transform_graph`, `report`, perhaps `features`; see the component.
          output_dict: `image_features`, `label_check`; see the component.
          exec_properties: `recipe`, `splits`, `config`; see the component.

        Raises:
          BadInputError: if the backbone cannot be built, or examples are missing.
        """
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        graph = artifact_utils.get_single_uri(input_dict["transform_graph"])
        kept = artifact_utils.get_single_uri(input_dict["features"]) if input_dict.get("features") else None
        vectors_uri = artifact_utils.get_single_uri(output_dict["image_features"])
        splits: list[str] = json.loads(exec_properties["splits"])
        files = {split: example_files.of_split(examples, split) for split in splits}
        total = sum(example_counts.recorded(examples).get(split, 0) for split in splits)
        vectors = Vectors(Recipe.parse(exec_properties["recipe"]), graph, kept)
        folder = os.path.join(vectors_uri, ".progress")
        with progress.follow(folder, "described", _log):
            counts = vectors.write(vectors_uri, files, progress.Tally.of(folder, total))
        for split, count in counts.items():
            example_counts.check(examples, split, count)

        findings = checking.check(
            image_features.read(vectors_uri),
            transform_graph.class_names(tft.TFTransformOutput(graph)),
            _look_alikes(artifact_utils.get_single_uri(input_dict["report"])),
            LabelCheckConfig.parse(exec_properties["config"]),
        )
        results.write(artifact_utils.get_single_uri(output_dict["label_check"]), findings)
        numbers = ", ".join(f"{kind} {sum(findings.totals.suspects[kind].values())}" for kind in Kind)
        _log.info("  of %d images: %s", sum(counts.values()), numbers)


def _look_alikes(uri: str) -> list[dict[str, Any]]:
    path = os.path.join(uri, report.NEAR_DUPLICATES)
    return report.read_rows(path) if tf.io.gfile.exists(path) else []
