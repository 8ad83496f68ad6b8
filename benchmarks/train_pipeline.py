"""Trains with the pipeline, up to and with Trainer, and answers the test images with its SavedModel.

The stages behind Trainer judge and push a model, but don't change it. It is called by benchmarks/accuracy.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx.dsl.compiler import compiler
from tfx.proto.orchestration import pipeline_pb2
from tfx.utils import path_utils

from benchmarks import trial
from benchmarks.peak_memory import PeakMemory
from config import loading
from config.stages import TRAINER, TRUNK_FEATURES, TUNER
from modules.serving import class_names
from modules.training import history
from pipeline import pipeline
from pipeline.local_runner import Session
from pipeline.workspace import RunFolder, temporary_files

_TRAINING_STAGES = {TRUNK_FEATURES, TUNER, TRAINER}  # LabelCheck changes nothing of the model
_BATCH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="of the run; its data.path holds test/")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("answers", type=Path, help="folder for the answers on the test images")
    options = parser.parse_args()
    config = loading.load(str(options.config))
    folder = RunFolder(options.workspace, config.name)
    with PeakMemory(interval=0.2) as peak, folder.locked(), temporary_files():
        session = Session(config, str(options.config), folder, sys.stdout)
        runner = session.runner()
        runner.run_with_ir(_up_to_trainer(session))
    training = sum(stage.seconds for stage in runner.times if stage.id in _TRAINING_STAGES)
    outputs = runner.records[TRAINER].outputs
    phases = history.read(outputs["model_run"].uri).get("phases", [])
    fine_tuned = [phase["rolled_back"] for phase in phases if phase["phase"] == "fine_tune"]
    costs = trial.costs_so_far(training, peak.gib, any(fine_tuned) if fine_tuned else None)
    model = tf.saved_model.load(path_utils.serving_model_path(outputs["model"].uri))
    files = trial.test_files(Path(config.data.path) / "test")
    trial.save(options.answers, class_names.read(model), _answers(model, files), costs)


def _up_to_trainer(session: Session) -> pipeline_pb2.Pipeline:
    """The pipeline as TFX compiles it, without the stages behind Trainer."""
    folder = session.folder
    made = pipeline.create_pipeline(
        session.config,
        str(folder.artifacts),
        session.push_directory,
        str(folder.training_state),
        folder.connection(),
    )
    compiled = compiler.Compiler().compile(made)
    names = [node.pipeline_node.node_info.id for node in compiled.nodes]
    del compiled.nodes[names.index(TRAINER) + 1 :]
    return compiled


def _answers(model: object, files: list[Path]) -> np.ndarray:
    serve = model.signatures["serve_images"]  # type: ignore[attr-defined]
    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    answers = [serve(images=tf.constant([file.read_bytes() for file in batch])) for batch in batches]
    return np.concatenate([answer["probabilities"].numpy() for answer in answers])


if __name__ == "__main__":
    main()
