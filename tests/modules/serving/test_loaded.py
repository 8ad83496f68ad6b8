"""Models that are in memory once."""

from __future__ import annotations

import shutil

import pytest
import tensorflow as tf

from modules.serving import loaded


def save(folder, number):
    module = tf.Module()
    module.variable = tf.Variable(float(number))
    module.answer = tf.function(lambda: module.variable + 0.0, input_signature=[])
    tf.saved_model.save(module, str(folder))


@pytest.fixture(autouse=True)
def nothing_is_loaded():
    loaded._load.cache_clear()


def test_a_model_is_loaded_once(tmp_path):
    save(tmp_path / "model", 1)
    assert loaded.load(tmp_path / "model") is loaded.load(str(tmp_path / "model"))


def test_a_model_that_was_replaced_is_loaded_again(tmp_path):
    save(tmp_path / "model", 1)
    assert loaded.load(tmp_path / "model").answer().numpy() == 1
    shutil.rmtree(tmp_path / "model")
    save(tmp_path / "model", 2)
    assert loaded.load(tmp_path / "model").answer().numpy() == 2


def test_a_folder_whose_path_looks_like_a_pattern(tmp_path):
    save(tmp_path / "plain", 3)
    (tmp_path / "plain").rename(tmp_path / "[model] *")
    assert loaded.load(tmp_path / "[model] *").answer().numpy() == 3


def test_a_model_that_is_gone_is_not_answered_from_memory(tmp_path):
    save(tmp_path / "model", 1)
    loaded.load(tmp_path / "model")
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(OSError):
        loaded.load(tmp_path / "model")


def test_the_model_in_production_stays_while_a_candidate_is_judged(tmp_path):
    for number in (1, 2, 3):
        save(tmp_path / str(number), number)
    first, second = loaded.load(tmp_path / "1"), loaded.load(tmp_path / "2")
    assert loaded.load(tmp_path / "1") is first
    loaded.load(tmp_path / "3")
    assert loaded.load(tmp_path / "2") is not second
