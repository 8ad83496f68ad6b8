import keras
import numpy as np
import pytest
import tensorflow as tf

from modules.data import trunk_features
from modules.data.cached_features import FeatureTable
from modules.data.input_pipeline import Batches, EmptySplitError
from modules.data.trunk_features import Manifest
from modules.training.losses import Labels


def table_of(patterns: list[str], manifest: Manifest, memory: int) -> FeatureTable:
    return FeatureTable.read(patterns, manifest, 3, memory)


def test_a_table_gives_every_image_once_an_epoch_in_one_of_its_views(tmp_path):
    """Each activation says its image and its view."""
    manifest = Manifest("cached", "", "layer", False, (2,), "float16", 4, "")
    with tf.io.TFRecordWriter(str(tmp_path / "part")) as writer:
        for image in (7, 3, 9, 0, 5, 1, 8, 2, 6, 4):
            activations = np.array([[image, view] for view in range(4)], np.float16)
            writer.write(trunk_features.encode(b"%d" % image, image % 3, 1 + image / 10, activations))
    table = table_of([str(tmp_path / "*")], manifest, memory=10**6)
    assert (table.images, table.counts, table.held) == (10, [4, 3, 3], 10 * 4 * 2 * 2)
    assert table.weighted
    labels = Labels(3, "softmax", weights=(1.0, 2.0, 3.0), by_example=True)

    def epoch(number: int, seed: int = 0, of: FeatureTable = table, drop: bool = False) -> np.ndarray:
        batches = list(of.training_epoch(number, Batches(seed, 4, labels, drop)).as_numpy_iterator())
        activations, targets, weights = (np.concatenate(column) for column in zip(*batches, strict=True))
        assert activations.dtype == np.float32
        np.testing.assert_array_equal(targets.argmax(axis=1), activations[:, 0] % 3)
        np.testing.assert_allclose(weights, (activations[:, 0] % 3 + 1) * (1 + activations[:, 0] / 10), rtol=1e-6)
        return activations

    epochs = [epoch(number) for number in range(20)]
    for rows in epochs:
        assert sorted(rows[:, 0]) == list(range(10))
    assert {view for rows in epochs for view in rows[:, 1]} == {0, 1, 2, 3}
    np.testing.assert_array_equal(epoch(3), epochs[3])
    assert not np.array_equal(epochs[3], epochs[4]) and not np.array_equal(epoch(3, seed=1), epochs[3])
    assert len(epoch(0, drop=True)) == 8

    evaluation = list(table.evaluation(Batches(0, 4, labels, True)).as_numpy_iterator())
    assert [len(batch) for batch in evaluation] == [2, 2, 2], "unweighted"
    np.testing.assert_array_equal(np.concatenate([batch[0] for batch in evaluation]), [[n, 0] for n in range(10)])

    mapped = table_of([str(tmp_path / "*")], manifest, memory=10)
    assert isinstance(mapped.activations, np.memmap) and mapped.held == 0
    np.testing.assert_array_equal(epoch(3, of=mapped), epochs[3])

    fewer = [epoch(number, of=table.drawing(2)) for number in range(9)]
    assert {view for rows in fewer for view in rows[:, 1]} == {0, 1}
    np.testing.assert_array_equal(epoch(3, of=table.drawing(None)), epochs[3])

    vector = keras.Input((2,))
    double = keras.Model(vector, keras.layers.Rescaling(2.0)(vector))
    behind = table.behind(double)
    assert behind.held == table.size_behind(double) == 10 * 4 * 2 * 4
    np.testing.assert_array_equal(next(iter(behind.evaluation(Batches(0, 4, labels, False))))[0], 2 * evaluation[0][0])


def test_a_table_of_nothing_is_refused(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "part")):
        pass
    manifest = Manifest("cached", "", "layer", False, (2,), "float16", 1, "")
    with pytest.raises(EmptySplitError, match=r"no examples in .*part"):
        table_of([str(tmp_path / "part")], manifest, 10)
