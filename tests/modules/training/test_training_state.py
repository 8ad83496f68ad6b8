"""The state of an unfinished training, when its file is damaged or belongs to another training."""

import os
import types

import numpy as np
import pytest

from modules.training import training_state
from modules.training.training_state import TrainingState


@pytest.mark.parametrize("damage", ["short", "empty", "one byte"])
def test_a_damaged_state_starts_the_training_again(tmp_path, damage, caplog):
    state = TrainingState(str(tmp_path), "this training")
    state.save({"epoch": 3}, {"weights": [np.arange(1000.0)]})
    values, arrays = state.load()
    assert values == {"epoch": 3} and arrays["weights"][0].sum() == 499500
    (file,) = tmp_path.rglob("state.npz")
    if damage == "one byte":
        content = bytearray(file.read_bytes())
        content[4000] ^= 1
        file.write_bytes(content)
    else:
        os.truncate(file, 5000 if damage == "short" else 0)
    assert state.load() is None
    assert "is damaged" in caplog.text and "the training starts again" in caplog.text


def test_a_training_is_known_by_the_content_of_its_data_and_not_by_paths():
    def identity(digest: str, folder: str) -> dict:
        config = {"classifier": "{}", "state_directory": f"{folder}/training", "data": {"examples": digest}}
        files = {"train_files": [f"{folder}/train"], "eval_files": [f"{folder}/eval"], "transform_graph_path": folder}
        return training_state.identity(types.SimpleNamespace(custom_config=config, hyperparameters=None, **files))

    assert identity("a", "/here") == identity("a", "/moved")
    assert identity("a", "/here") != identity("b", "/here"), "as after the database of ML Metadata was deleted"
    assert identity("", "/here") != identity("", "/moved"), "without a record, the paths count"
