"""Training on several devices: virtual CPUs, in a process of its own, because TensorFlow fixes its devices once."""

import json
import pickle
import subprocess
import sys

import pytest
from examples import folder_of
from training import custom_config

from config.classifier import ClassifierConfig

PROGRAM = """
import pickle, sys, types
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from modules import trainer
trainer.run_fn(types.SimpleNamespace(**pickle.load(sys.stdin.buffer)))
"""


pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "augmentation", [{}, {"flip": "horizontal", "rotation": 10.0, "brightness": 0.1, "mixup": 0.2}]
)
def test_two_devices_share_each_batch_and_the_model_serves_on_one(
    transform_output, example_files, tmp_path, augmentation
):
    config = ClassifierConfig.model_validate(
        {
            "backbone": {"image_size": 96},
            "head": {"kind": "dense", "dropout": 0.0},
            "training": {
                "replicas": 2,
                "batch_size": 6,
                "head": {"epochs": 3, "learning_rate": 0.01},
                "fine_tune": {"epochs": 1, "layers": "last_conv"},
            },
            "augmentation": augmentation,
        }
    )
    arguments = {
        "custom_config": custom_config(config),
        "train_files": [example_files["train"]],
        "eval_files": [example_files["eval"]],
        "transform_graph_path": folder_of(transform_output),
        "hyperparameters": None,
        "serving_model_dir": str(tmp_path / "model"),
        "model_run_dir": str(tmp_path / "run"),
    }
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=pickle.dumps(arguments), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    history = json.loads((tmp_path / "run" / "history.json").read_text())["phases"]
    assert [len(record["epochs"]) for record in history] == [3, 1]
    assert history[0]["epochs"][-1]["loss"] < history[0]["epochs"][0]["loss"]
    # Served here, where there is but one CPU device.
    import tensorflow as tf

    signatures = tf.saved_model.load(str(tmp_path / "model")).signatures
    records = tf.data.TFRecordDataset(tf.io.gfile.glob(example_files["eval"]), "GZIP")
    examples = tf.constant(list(records.as_numpy_iterator()))
    right = signatures["serving_default"](examples)["probabilities"].numpy().argmax(axis=1)
    accuracy = (right == signatures["true_labels"](examples)["label"].numpy()).mean()
    assert accuracy == pytest.approx(history[-1]["epochs"][-1]["val_accuracy"])
