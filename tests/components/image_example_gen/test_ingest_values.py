"""The stage with labels, groups, weights and class names as users have them by accident."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from drawing import encode, flat
from ingesting import ingest
from PIL import Image

from components import fact_table
from components.image_example_gen import data_warnings, sources
from components.image_example_gen.quarantine import BadImagesError
from components.image_example_gen.sources.readers import RawImage
from config.data import IngestionConfig
from config.errors import BadInputError
from modules.data import tf_example

IMAGES = 24
SHARES = {"splits": {"train": 1, "eval": 1, "test": 1}}
TFRECORDS = {"source": "tfrecords", "fields": {"image": "img", "label": "y", "weight": "w", "group": "g"}, **SHARES}


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for index in range(IMAGES):
        (folder / f"{index}.png").write_bytes(encode(flat("cyan" if index % 2 else "yellow", (24, 24), seed=index)))
    return folder


def manifest(photos: Path, folder: Path, **columns: Any) -> dict[str, Any]:
    """What `ingest` needs for a table with these columns; each is a function of the image's number."""
    rows = [
        {"path": f"{index}.png", "label": f"{index % 2}", **{name: value(index) for name, value in columns.items()}}
        for index in range(IMAGES)
    ]
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"path": folder / "m.jsonl", "source": "manifest", "root": str(photos), **SHARES}


def records(photos: Path, folder: Path, **features: Any) -> dict[str, Any]:
    """The same as records."""
    with tf.io.TFRecordWriter(str(folder / "all.tfrecord")) as writer:
        for index in range(IMAGES):
            values = {"img": (photos / f"{index}.png").read_bytes(), **{name: f(index) for name, f in features.items()}}
            writer.write(tf_example.serialize(values))
    return {"path": folder / "all.tfrecord", **TFRECORDS}


def test_labels_and_groups_that_are_not_a_number_are_missing(photos, tmp_path):
    label = {0: math.nan, 1: math.inf, 2: 1.0, 3: "1", 4: 0, 5: " 0.0 "}
    data = manifest(photos, tmp_path, label=lambda i: label.get(i, i % 2), group=lambda i: math.nan)
    run = ingest(folder=tmp_path / "run", **data)
    assert run.counts.classes == ["0", "1"]
    assert run.reasons() == {"0.png": "no-label", "1.png": "no-label"}
    assert {example["group"] for example in run.examples.values()} == {""}
    assert all(run.counts.examples(split) for split in ("train", "eval", "test"))


def test_columns_of_the_manifest_become_features_and_facts(photos, tmp_path):
    farm = {0: "north", 1: "", 2: None, 3: 7.0, 4: True, 5: "N/A"}
    data = manifest(photos, tmp_path, Farm=lambda i: farm.get(i, "south"), note=lambda i: "unused")
    run = ingest(folder=tmp_path / "run", slice_columns=["farm"], **data)
    values = {path: example["column/farm"] for path, example in run.examples.items()}
    assert [values[f"{i}.png"] for i in range(7)] == ["north", "", "", "7", "true", "", "south"]
    assert not any("column/note" in example for example in run.examples.values())
    for split in ("train", "eval", "test"):
        facts = fact_table.read(str(tmp_path / "run" / "report"), [split])
        wanted = {example["key"]: example for example in run.examples.values() if example["split"] == split}
        assert set(facts.keys) == set(wanted)
        assert facts.labels == [wanted[key]["label"] for key in facts.keys]
        assert facts.texts["column/farm"] == [wanted[key]["column/farm"] for key in facts.keys]
        np.testing.assert_allclose(facts.numbers["image/sharpness"], [wanted[k]["sharpness"] for k in facts.keys])

    with pytest.raises(BadInputError, match=r"^data\.slice_columns\.0: .*m\.jsonl has no column 'barn'; .*Farm"):
        sources.open_source(str(data["path"]), IngestionConfig(**data_of(data), slice_columns=["barn"])).items()


def data_of(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of IngestionConfig."""
    return {name: value for name, value in data.items() if name != "path"}


def test_records_with_floats_and_integers_have_the_same_classes(photos, tmp_path):
    label = {0: math.nan, 1: 1.0, 2: b"1.0", 3: b" 1"}
    data = records(photos, tmp_path, y=lambda i: label.get(i, i % 2), g=lambda i: math.nan, w=lambda i: 2)
    run = ingest(folder=tmp_path / "run", **data)
    assert run.counts.classes == ["0", "1"]
    assert run.reasons() == {"all.tfrecord#0": "no-label"}
    assert {(example["group"], example["weight"]) for example in run.examples.values()} == {("", 2.0)}
    assert list(data_warnings.of(run.counts)) == [
        "data.fields.group: no image has a group; check the name in data.fields, or remove it"
    ]


@pytest.mark.parametrize("weight", [math.nan, -5.0])
def test_a_record_with_a_weight_that_is_none_stops_the_run_with_its_place(photos, tmp_path, weight):
    data = records(photos, tmp_path, y=lambda i: i % 2, w=lambda i: weight if i == 7 else 1.0)
    with pytest.raises(BadInputError, match=rf"all\.tfrecord#7: w \(weight\): a number of 0 .* Received: {weight}"):
        ingest(folder=tmp_path / "run", **data)


def test_weights_that_are_all_0_stop_the_run(photos, tmp_path):
    data = manifest(photos, tmp_path, weight=lambda i: 0)
    with pytest.raises(BadInputError, match=r"the weights of all \d+ images in the train split are 0"):
        ingest(folder=tmp_path / "run", **data)


def test_weights_of_a_class_that_are_all_0_stop_the_run(photos, tmp_path):
    data = manifest(photos, tmp_path, weight=lambda i: (1e-60, 2)[i % 2])  # 1e-60 is 0 in an example
    with pytest.raises(BadInputError, match=r"the weights of all images of \['0'\] in the train split are 0"):
        ingest(folder=tmp_path / "run", **data)


def test_one_image_in_two_rows_is_named_with_its_lines_and_must_have_one_weight(photos, tmp_path):
    data = manifest(photos, tmp_path, weight=lambda i: 1)
    rows = data["path"].read_text()
    data["path"].write_text(rows + rows.splitlines()[3] + "\n")
    run = ingest(folder=tmp_path / "run", **data)
    assert run.rows["duplicates.jsonl"] == [{"path": "3.png", "same_as": "3.png", "line": 25, "same_as_line": 4}]
    data["path"].write_text(rows + rows.splitlines()[3].replace('"weight": 1', '"weight": 5') + "\n")
    with pytest.raises(BadImagesError, match=r"different weights: 3\.png \(1\.0, line 4\) = 3\.png \(5\.0, line 25\)"):
        ingest(folder=tmp_path / "run 2", **data)


def test_look_alikes_with_different_labels_are_listed_and_group_says_what_is_missing(tmp_path):
    """In `near`, each image is another one saved anew; one of them is under `far`, too."""
    coarse = np.random.default_rng(3).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    motif = np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC))
    files = {f"near/{quality}.jpg": encode(motif, "JPEG", quality=quality) for quality in range(88, 96)}
    files |= {f"far/{i}.png": encode(flat("cyan", (24, 24), seed=i)) for i in range(12)} | {"far/x.png": encode(motif)}
    for name, encoded in files.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(encoded)
    run = ingest(tmp_path / "photos", tmp_path / "run", **SHARES)
    (row,) = run.rows["near_duplicates.jsonl"]
    assert row["images_of_labels"] == {"far": 1, "near": 8}
    assert row["examples"] == {"far": "far/x.png", "near": "near/88.jpg"}
    assert run.counts.look_alikes == 9
    with pytest.raises(BadInputError, match=r"near_duplicates: group keeps .* so the 8 images of 'near' count as 1"):
        group = {"near_duplicates": "group", "allow_untested_classes": False}
        ingest(tmp_path / "photos", tmp_path / "run 2", **SHARES, **group)


def test_all_images_under_two_labels_are_in_the_error(photos, tmp_path):
    data = manifest(photos, tmp_path)
    rows = data["path"].read_text().splitlines()
    swapped = [row.replace('"label": "0"', '"label": "2"') for row in rows]
    data["path"].write_text("\n".join([*rows, *swapped]))
    with pytest.raises(BadImagesError, match=r"different labels: .*; and 2 more; keep") as caught:
        ingest(folder=tmp_path / "run", **data)
    assert len(caught.value.rows) == IMAGES / 2


def test_labels_that_are_missing_are_named_where_no_image_is_left(photos, tmp_path):
    """Not: no image is in the test split."""
    data = records(photos, tmp_path, y=lambda i: math.nan)
    with pytest.raises(BadImagesError, match=r"24 of 24 files can't be used.*24 no-label, .*\(nan\)$") as caught:
        ingest(folder=tmp_path / "run", max_bad_fraction=1.0, **data)
    assert len(caught.value.rows) == IMAGES


def test_names_that_look_alike_are_warned_of_even_if_the_run_stops(tmp_path, caplog):
    for number, name in enumerate(["cat", "cat ", "Cat", "dog\u200b", "dog"]):
        for index in range(9):
            file = tmp_path / "photos" / name / f"{number}-{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode(flat("cyan", (24, 24), seed=10 * number + index)))
    with caplog.at_level(logging.WARNING, "regraft"):
        run = ingest(tmp_path / "photos", tmp_path / "run", **SHARES, stratified=True)
    assert run.counts.classes == ["Cat", "cat", "dog", "dog\u200b"]
    told = [record.getMessage() for record in caplog.records if record.name == "regraft.ingest"]
    assert told == [f"  warning: {warning}" for warning in data_warnings.of(run.counts)]
    assert told == [
        r"  warning: classes with nearly the same name: 'Cat' and 'cat', 'dog' and 'dog\u200b'; if they are one class, "
        "give their images one label",
        "  warning: the folders 'cat' and 'cat ' are one class, 'cat'",
    ]
    caplog.clear()
    for file in list((tmp_path / "photos" / "Cat").iterdir())[1:]:
        file.unlink()
    with caplog.at_level(logging.WARNING, "regraft"), pytest.raises(BadInputError, match="no image of 'Cat'"):
        ingest(tmp_path / "photos", tmp_path / "run 2", allow_untested_classes=False, **SHARES, stratified=True)
    assert "'Cat' and 'cat'" in caplog.text


def test_text_is_no_index_and_a_file_of_zlib_is_named(photos, tmp_path):
    """By the source's reader alone."""
    data = records(photos, tmp_path, y=lambda i: [b"0", b"a", 1][i % 3])
    packed = tmp_path / "packed.tfrecord"
    with tf.io.TFRecordWriter(str(packed), "ZLIB") as writer:
        writer.write(b"content")
    config = IngestionConfig(source="tfrecords", fields={"image": "img", "label": "y"}, classes=["a", "b"])

    def read(path: Path) -> list[RawImage]:
        source = sources.open_source(str(path), config)
        return [image for item in source.items() for image in source.reader().images(item, str(tmp_path))]

    text, name, index = read(data["path"])[:3]
    assert (name.label, index.label, text.label) == ("a", "b", "")
    assert text.rejection and text.rejection.detail == (
        "the label '0' is not in data.classes; text is never an index: write the label as a whole number, or as the "
        "name"
    )
    (whole,) = read(packed)
    assert (
        whole.rejection
        and "compressed with ZLIB, which is not read; write it again with GZIP" in whole.rejection.detail
    )
