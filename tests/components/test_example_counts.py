"""Readers of examples notice that some are missing."""

import json

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components import example_counts
from components.evaluator import preconditions
from modules.data import features, tf_example


@pytest.fixture
def examples(tmp_path):
    """Two shards of test, one of train, as ImageExampleGen records them."""
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = str(tmp_path), json.dumps(["train", "test"])
    for split, shards in {"train": ["ab"], "test": ["cd", "efg"]}.items():
        (tmp_path / f"Split-{split}").mkdir()
        for number, keys in enumerate(shards):
            with tf.io.TFRecordWriter(str(tmp_path / f"Split-{split}" / f"{number}.gz"), "GZIP") as writer:
                for key in keys:
                    writer.write(tf_example.serialize({features.KEY: key.encode()}))
    example_counts.record(artifact, {"train": 2, "eval": 0, "test": 5})
    return artifact


def test_all_examples_that_were_written_are_enough(examples):
    preconditions.check_no_overlap(examples, ["test"])
    assert example_counts.recorded(examples) == {"train": 2, "eval": 0, "test": 5}


@pytest.mark.parametrize(("shard", "words"), [("test/0", "5 examples of split test"), ("train/0", "2 examples of sp")])
def test_a_shard_that_is_gone_stops_the_evaluation(examples, tmp_path, shard, words):
    (tmp_path / f"Split-{shard}.gz").unlink()
    with pytest.raises(example_counts.IncompleteExamplesError, match=words):
        preconditions.check_no_overlap(examples, ["test"])


def test_examples_of_other_writers_are_taken_as_they_are():
    example_counts.check(standard_artifacts.Examples(), "test", 7)
