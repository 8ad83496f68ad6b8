"""Labels, splits, groups and weights mean the same in every source."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from components.image_example_gen.sources import manifest, readers, tfrecords, values
from components.image_example_gen.sources.readers import RawImage
from config.data import IngestionConfig
from config.errors import BadInputError
from config.section import normalize_class_name

LABELS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=6),
    st.sampled_from(["nan", "NaN", " 1 ", "1.0", "01", "1.10", "-0", "Infinity", "null", "cafe\u0301", "1e3", "٣"]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32),
    st.none(),
)


def from_csv(folder: Path, label: Any) -> str:
    """The label of an image, None or a reason if it has none, as Python's own writer puts it into a CSV file."""
    with (folder / "m.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "label"], ["a.jpg", label], ["b.jpg", "red"], ["c.jpg", "blue"]])
    return manifest.ManifestSource(str(folder / "m.csv"), IngestionConfig(source="manifest")).items()[0].label


def from_jsonl(folder: Path, label: Any) -> str:
    rows = [{"path": "a.jpg", "label": label}, {"path": "b.jpg", "label": "red"}, {"path": "c.jpg", "label": "blue"}]
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest.ManifestSource(str(folder / "m.jsonl"), IngestionConfig(source="manifest")).items()[0].label


def from_record(folder: Path, label: Any) -> str:
    return read(folder, img=b"x", y=label)[0].label


def feature(value: Any) -> tf.train.Feature:
    several = value if isinstance(value, list) else [] if value is None else [value]
    if not several:
        return tf.train.Feature()
    if isinstance(several[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=several))
    if isinstance(several[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=several))
    encoded = [one.encode() if isinstance(one, str) else one for one in several]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))


FIELDS = {"image": "img", "label": "y", "split": "s", "group": "g", "weight": "w"}


def read(folder: Path, classes: Sequence[str] | None = None, **record: Any) -> list[RawImage]:
    """Reads a file of two records: the second one."""
    example = tf.train.Example(
        features=tf.train.Features(feature={name: feature(value) for name, value in record.items()})
    )
    path = folder / "all.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString())
    config = IngestionConfig(source="tfrecords", fields=FIELDS, classes=classes)
    source = tfrecords.TFRecordSource(str(path), config)
    return [image for item in source.items() for image in source.reader().images(item, str(folder / "scratch"))]


@given(LABELS)
def test_a_label_is_the_same_class_in_every_source(tmp_path_factory, label):
    folder = tmp_path_factory.mktemp("label")
    found = {source.__name__: source(folder, label) for source in (from_csv, from_jsonl, from_record)}
    if isinstance(label, float) and math.isfinite(label):  # a table has the number of Python, a record that of 32 bits
        label = float(str(np.float32(label)))
        found |= {source.__name__: source(folder, label) for source in (from_csv, from_jsonl)}
    assert len(set(found.values())) == 1, found
    assert normalize_class_name(found["from_csv"]) == found["from_csv"]


@pytest.mark.parametrize("source", [from_csv, from_jsonl, from_record])
class TestEverySource:
    @pytest.mark.parametrize("missing", [None, "", "  ", math.nan, math.inf, -math.inf, "NaN", "nan", "-Infinity"])
    def test_a_number_that_is_none_is_a_missing_label(self, tmp_path, source: Callable, missing):
        assert source(tmp_path, missing) == ""

    @pytest.mark.parametrize(
        ("written", "label"),
        [
            *((one, "1") for one in (1, 1.0, "1", "1.0", " 1 ", "1.00")),
            *((zero, "0") for zero in (0, 0.0, -0.0, "-0", "-0.0")),
            ("001", "001"),
            ("1.10", "1.10"),
            ("1.1", "1.1"),
            ("1e0", "1e0"),
            ("+1", "+1"),
            ("1.", "1."),
            (1.5, "1.5"),
            (-2.0, "-2"),
            (16777216.0, "16777216"),
            (1e20, "1e+20"),
            (2**62, str(2**62)),
            ("none", "none"),
            ("null", "null"),
            ("cafe\u0301", "caf\u00e9"),
        ],
    )
    def test_a_whole_number_is_one_class_and_other_text_stays(self, tmp_path, source: Callable, written, label):
        assert source(tmp_path, written) == label


def test_a_32_bit_float_is_the_number_that_was_written(tmp_path):
    assert from_record(tmp_path, 0.1) == "0.1"


@pytest.mark.parametrize(
    ("value", "group"),
    [(math.nan, ""), ("NULL", ""), ("None", ""), ("NA", ""), ("<NA>", ""), (7.0, "7"), ("p 1", "p 1")],
)
def test_a_group_that_means_none_is_none(tmp_path, value, group):
    assert read(tmp_path, img=b"x", y="red", g=value)[0].group == group
    rows = [{"path": f"{i}.jpg", "label": "red" if i else "blue", "group": value} for i in range(2)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = manifest.ManifestSource(str(tmp_path / "m.jsonl"), IngestionConfig(source="manifest")).items()
    assert [item.group for item in items] == [group, group]


@pytest.mark.parametrize(
    ("value", "split"), [(math.nan, ""), ("None", ""), (" Validation ", "eval"), ("TRAIN", "train"), (None, "")]
)
def test_a_split_that_means_none_is_none(value, split):
    assert values.to_split(value) == split


@pytest.mark.parametrize("weight", [1, 1.0, "1.0", b"1", " 1e0 "])
def test_a_weight_may_be_a_number_or_its_text(weight):
    assert values.to_weight(weight) == 1.0
    assert values.to_weight(None) == values.to_weight("") == values.to_weight(b" ") == 1.0


@pytest.mark.parametrize(
    "weight",
    [math.nan, math.inf, -5.0, -5, "nan", "inf", "-1", "heavy", "1,5", "1_0", b"\xff", True, [2.0], 1e39, 10**400],
)
def test_a_weight_that_is_no_number_from_0_is_refused(weight):
    with pytest.raises(values.ValueProblemError, match="Received: "):
        values.to_weight(weight)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"w": math.nan}, r"all\.tfrecord#0: w \(weight\): a number of 0 or more is allowed\. Received: nan"),
        ({"w": -5.0}, r"w \(weight\): .*Received: -5\.0"),
        ({"w": -5}, r"w \(weight\): .*Received: -5"),
        ({"w": math.inf}, r"w \(weight\): .*Received: inf"),
        ({"w": "heavy"}, r"w \(weight\): .*Received: b'heavy'"),
        ({"w": [1.0, 2.0]}, r"w \(weight\): one value is allowed\. Received: 2 values"),
        ({"y": ["red", "blue"]}, r"y \(label\): one value is allowed\. Received: 2 values"),
        ({"y": b"\xff\xfe"}, r"y \(label\): the text is not UTF-8"),
        ({"g": ["a", "b"]}, r"g \(group\): one value is allowed"),
        ({"g": b"\xff"}, r"g \(group\): the text is not UTF-8"),
        ({"s": "holdout"}, r"s \(split\): train, eval .* are allowed\. Received: 'holdout'"),
        ({"s": 7}, r"s \(split\): .*Received: '7'"),
        ({"s": ["train", "test"]}, r"s \(split\): one value is allowed"),
    ],
)
def test_a_record_with_a_value_that_cannot_be_used_is_refused_with_its_place(tmp_path, record, message):
    with pytest.raises(BadInputError, match=message):
        read(tmp_path, **{"img": b"x", "y": "red", **record})


@pytest.mark.parametrize(
    ("record", "reason", "detail"),
    [
        (
            {"img": ["a", "b"]},
            "unreadable",
            "one value of bytes is expected in the feature 'img'; it has 2 of type bytes",
        ),
        ({"img": 7}, "unreadable", "it has 1 of type int"),
        ({"img": None}, "unreadable", "the record has no value in the feature 'img'; its features are: g, img, y"),
        ({"y": None}, "no-label", "the record has no value in the feature 'y'; its features are: g, img, y"),
        ({"y": math.nan}, "no-label", r"the image has no label \(nan\)"),
    ],
)
def test_a_record_without_image_or_label_is_quarantined_with_what_it_has(tmp_path, record, reason, detail):
    (image,) = read(tmp_path, **{"img": b"x", "y": "red", "g": "1", **record})
    assert image.rejection and image.rejection.reason == reason
    assert image.label == ""
    assert re.search(detail, image.rejection.detail)


@pytest.mark.parametrize(
    ("label", "classes", "found"),
    [
        (1, ["pear", "apple"], "apple"),
        (1.0, ["pear", "apple"], "apple"),
        ("apple", ["pear", "apple"], "apple"),
        (-1, ["pear", "apple"], "no-label"),
        (2, ["pear", "apple"], "unknown-label"),
        (0.5, ["pear", "apple"], "unknown-label"),
        ("1", ["pear", "apple"], "unknown-label"),
        (1, ["1", "2"], "1"),  # classes that are numbers are named by numbers
        (2, ["1", "2"], "2"),
        ("2.0", ["1", "2"], "2"),
        (1, ["001", "002"], "002"),
    ],
)
def test_a_number_is_the_index_of_a_class_unless_it_is_its_name(tmp_path, label, classes, found):
    (image,) = read(tmp_path, classes, img=b"x", y=label)
    assert (image.rejection.reason if image.rejection else image.label) == found


def test_the_index_of_a_class_that_tfds_does_not_know_makes_no_class():
    """Test splits of TFDS have the label -1."""
    reader = readers.RecordReader({"image": "img", "label": "y"}, ["pear", "apple"], None)
    assert reader._read_label(-1)[1].reason == "no-label"
    assert reader._read_label(2)[1].reason == "unknown-label"
    assert reader._read_label(1) == ("apple", None)
