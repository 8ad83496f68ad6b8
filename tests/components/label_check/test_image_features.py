import numpy as np
import pytest
import tensorflow as tf

from components.label_check import image_features
from modules.data import features, tf_example


@pytest.fixture
def files(tmp_path) -> list[str]:
    path = str(tmp_path / "raw.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for key in ("c", "a", "b"):
            values = {features.KEY: key.encode(), features.PATH: b"\xff" + key.encode(), features.LABEL: "é".encode()}
            writer.write(tf_example.serialize({**values, features.GROUP: b"scene"}))
    return [path]


def test_rows_are_in_the_order_of_the_keys_whatever_order_vectors_come_in(files, tmp_path):
    writer = image_features.Writer(str(tmp_path / "out"), "test", files, 2)
    writer.add(["b", "c"], np.array([[2, 2], [3, 1e9]]))
    writer.add(["a"], np.array([[1, -1e9]]))
    writer.close()
    image_features.write_manifest(str(tmp_path / "out"), ["test"], (1, 1))
    found = image_features.read(str(tmp_path / "out"))
    split = found.splits["test"]
    assert found.blocks == (1, 1)
    assert split.keys == ["a", "b", "c"] and split.labels == ["é"] * 3 and split.groups == ["scene"] * 3
    assert [path.encode("utf-8", "surrogateescape") for path in split.paths] == [b"\xffa", b"\xffb", b"\xffc"]
    assert split.vectors.dtype == np.float16 and isinstance(split.vectors, np.memmap)
    assert split.vectors.tolist() == [[1, -65504], [2, 2], [3, 65504]]


def test_an_image_without_a_vector_is_noticed(files, tmp_path):
    writer = image_features.Writer(str(tmp_path / "out"), "test", files, 2)
    writer.add(["b"], np.ones((1, 2)))
    with pytest.raises(ValueError, match="2 of 3 images have no features"):
        writer.close()


def test_a_split_may_be_empty(tmp_path):
    image_features.Writer(str(tmp_path), "test", [], 2).close()
    image_features.write_manifest(str(tmp_path), ["test"], (2,))
    assert image_features.read(str(tmp_path)).splits["test"].vectors.shape == (0, 2)


def test_several_splits_are_read_as_one_array():
    parts = [np.arange(6).reshape(3, 2), np.empty((0, 2)), np.arange(6, 10).reshape(2, 2)]
    stacked = image_features.Stacked(parts)
    assert len(stacked) == 5
    assert stacked[np.array([4, 0, 2, 3])].tolist() == [[8, 9], [0, 1], [4, 5], [6, 7]]
