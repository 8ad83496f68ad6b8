"""The whole stage, with sources of every kind on every file system."""

import csv
import gzip
import hashlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import drawing
import google.auth
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from drawing import encode, flat
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from ingesting import Ingested, ingest

from components.image_example_gen import report, splitting
from config.beam import BeamConfig
from config.errors import BadInputError
from modules.data import tf_example

SEED = np.random.default_rng(0)
SHARES = {"splits": {"train": 2, "eval": 1, "test": 1}}
COLOURS = ("cyan", "magenta", "yellow")


def colour(index: int) -> str:
    return COLOURS[index % 3]


def picture(index: int) -> bytes:
    return encode(flat(colour(index), (24, 24), seed=index))


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """60 pictures in three folders."""
    root = tmp_path_factory.mktemp("photos") / "photos"
    for index in range(60):
        file = root / COLOURS[index % 3] / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(index))
    return root


@pytest.fixture(scope="module")
def from_folders(photos, tmp_path_factory) -> Ingested:
    return ingest(photos, tmp_path_factory.mktemp("folders") / "run", **SHARES)


def labels(run: Ingested) -> dict[str, tuple[str, str]]:
    """Key to label and split."""
    return {example["key"]: (example["label"], example["split"]) for example in run.examples.values()}


def table(file: Path, rows: list[dict]) -> Path:
    with file.open("w", newline="") as content:
        writer = csv.DictWriter(content, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return file


def rows_of(**more) -> list[dict]:
    return [
        {
            "path": f"{COLOURS[index % 3]}/{index}.png",
            "label": COLOURS[index % 3],
            **{k: f(index) for k, f in more.items()},
        }
        for index in range(60)
    ]


class TestManifest:
    def test_the_same_images_go_to_the_same_splits(self, photos, from_folders, tmp_path):
        file = table(tmp_path / "m.csv", rows_of())
        assert labels(ingest(file, tmp_path / "run", source="manifest", root=str(photos), **SHARES)) == labels(
            from_folders
        )

    def test_splits_groups_and_weights_are_read(self, photos, tmp_path):
        split = {0: "train", 1: "test", 2: "validation", 3: "", 4: ""}
        rows = rows_of(split=lambda i: split[i % 5], group=lambda i: f"g{i}", weight=lambda i: i / 10)
        file = table(tmp_path / "m.csv", rows)
        run = ingest(file, tmp_path / "run", source="manifest", root=str(photos))
        for index, row in enumerate(rows):
            example = run.examples[row["path"]]
            assert example["weight"] == pytest.approx(index / 10)
            assert example["group"] == f"g{index}"
            if row["split"]:
                assert example["split"] == row["split"].replace("validation", "eval")

    def test_a_missing_split_is_taken_out_of_train(self, photos, tmp_path):
        rows = rows_of(split=lambda i: "test" if i % 4 == 0 else "train")
        run = ingest(table(tmp_path / "m.csv", rows), tmp_path / "run", source="manifest", root=str(photos), **SHARES)
        assert {row["path"] for row in rows if row["split"] == "test"} == {
            path for path, example in run.examples.items() if example["split"] == "test"
        }
        assert 5 < run.counts.examples("eval") < 30

    def test_identical_images_in_two_splits_stay_in_the_test_split(self, photos, tmp_path):
        rows = rows_of(split=lambda i: ["train", "eval", "test"][(i // 3) % 3])
        copy = {"path": rows[0]["path"].replace("0.png", "copy.png"), "label": "cyan", "split": "test"}
        shutil.copytree(photos, tmp_path / "photos")
        (tmp_path / "photos" / copy["path"]).write_bytes(picture(0))
        file = table(tmp_path / "m.csv", [*rows, copy])
        run = ingest(file, tmp_path / "run", source="manifest", root=str(tmp_path / "photos"))
        assert run.examples["cyan/0.png"]["split"] == "test"
        assert run.rows[report.DUPLICATES] == [
            {
                **{"path": "cyan/copy.png", "same_as": "cyan/0.png", "line": 62, "same_as_line": 2},
                "splits": ["test", "train"],
            }
        ]
        assert run.counts.in_several_splits == 1

    def test_an_image_in_two_groups_keeps_both_in_one_split(self, photos, tmp_path):
        rows = rows_of(group=lambda i: f"g{i % 12}")
        twice = [{**rows[index], "group": f"g{(index + 1) % 12}"} for index in range(0, 12)]
        file = table(tmp_path / "m.csv", [*rows, *twice[:3]])
        run = ingest(file, tmp_path / "run", source="manifest", root=str(photos), **SHARES)
        joined = {run.examples[rows[i]["path"]]["split"] for i in range(60) if i % 12 in (0, 1, 2, 3)}
        assert len(joined) == 1

    def test_a_group_in_two_splits_is_an_error_with_its_paths(self, photos, tmp_path):
        rows = rows_of(split=lambda i: ["train", "eval", "test"][i // 20], group=lambda i: f"scene {i % 20}")
        with pytest.raises(BadInputError, match=r"puts a group into several splits.*group 'scene 0': cyan/0.png"):
            ingest(table(tmp_path / "m.csv", rows), tmp_path / "run", source="manifest", root=str(photos))

    def test_identical_images_with_two_labels_are_an_error_with_both_paths(self, photos, tmp_path):
        rows = [*rows_of(), {"path": "cyan/0.png", "label": "yellow"}]
        with pytest.raises(
            BadInputError,
            match=r"images have different labels: cyan/0\.png \(cyan, line 2\) = cyan/0\.png \(yellow, line 62\)",
        ):
            ingest(table(tmp_path / "m.csv", rows), tmp_path / "run", source="manifest", root=str(photos))

    def test_labels_that_are_not_allowed_are_quarantined(self, photos, tmp_path):
        rows = rows_of()
        rows[0]["label"], rows[1]["label"] = "teal", ""
        rows[2]["path"] = "gone.png"
        file = table(tmp_path / "m.csv", rows)
        run = ingest(file, tmp_path / "run", source="manifest", root=str(photos), classes=list(COLOURS), **SHARES)
        assert run.reasons() == {
            **{"cyan/0.png": "unknown-label", "magenta/1.png": "no-label", "gone.png": "unreadable"}
        }
        assert run.rows[report.QUARANTINE][0]["thumbnail"], "the image can be shown"


def record(encoded: bytes, label: bytes | int, **more: bytes) -> bytes:
    return tf_example.serialize({"img": encoded, "y": label, **more})


def write_records(file: Path, records: list[bytes], compression: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file), compression) as writer:
        for content in records:
            writer.write(content)
    return file


FIELDS = {"source": "tfrecords", "fields": {"image": "img", "label": "y"}, **SHARES}


class TestTFRecords:
    @pytest.mark.parametrize("compression", ["", "GZIP"])
    def test_the_same_images_go_to_the_same_splits(self, from_folders, tmp_path, compression):
        records = [record(picture(index), COLOURS[index % 3].encode()) for index in range(60)]
        for part in range(3):
            write_records(tmp_path / "data" / f"part-{part}.tfrecord", records[part * 20 : part * 20 + 20], compression)
        for path in (tmp_path / "data", tmp_path / "data" / "part-*"):
            run = ingest(path, tmp_path / f"run {path.name}", **FIELDS)
            assert labels(run) == labels(from_folders)
            assert "part-1.tfrecord#7" in run.examples
            assert not list((tmp_path / f"run {path.name}").rglob(".scratch"))

    def test_integer_labels_are_indices_of_the_classes(self, tmp_path):
        records = [record(picture(index), min(index % 3, 2)) for index in range(60)] + [record(picture(60), 3)]
        write_records(tmp_path / "data" / "all", records)
        run = ingest(tmp_path / "data", tmp_path / "run", classes=["tea", "coffee", "milk"], **FIELDS)
        assert run.examples["all#4"]["label"] == "coffee"
        assert run.reasons() == {"all#60": "unknown-label"}
        detail = "the label 3 is not an index of the classes: there are 3, from 0"
        assert run.rows[report.QUARANTINE][0]["detail"] == detail

    def test_integer_labels_without_classes_are_the_names(self, tmp_path):
        write_records(tmp_path / "data" / "all", [record(picture(index), index % 3) for index in range(60)])
        run = ingest(tmp_path / "data", tmp_path / "run", **FIELDS)
        assert run.examples["all#4"]["label"] == "1"

    def test_folders_that_tfx_writes_assign_the_splits(self, from_folders, tmp_path):
        run = ingest(
            from_folders.folder / "examples",
            tmp_path / "run",
            source="tfrecords",
            fields={"image": "image/encoded", "label": "image/label", "group": "image/group", "weight": "image/weight"},
        )
        assert labels(run) == labels(from_folders)

    def test_folders_within_a_pattern_assign_the_splits(self, from_folders, tmp_path):
        fields = {"image": "image/encoded", "label": "image/label"}
        pattern = from_folders.folder / "examples" / "Split-*" / "data*.gz"
        assert labels(ingest(pattern, tmp_path / "run", source="tfrecords", fields=fields)) == labels(from_folders)

    def test_files_that_can_not_be_read_are_quarantined(self, tmp_path, tmp_path_factory):
        records = [record(picture(index), colour(index).encode()) for index in range(60)]
        write_records(tmp_path / "data" / "all", records)
        outside = write_records(tmp_path_factory.mktemp("outside") / "x", records)
        (tmp_path / "data" / "linked").symlink_to(outside)
        (tmp_path / "data" / "empty").write_bytes(b"")
        run = ingest(tmp_path / "data", tmp_path / "run", **FIELDS)
        assert run.reasons() == {"linked": "unreadable", "empty": "unreadable"}
        assert run.counts.found == 62 == run.recorded()

    def test_a_folder_of_an_unknown_split_is_an_error(self, tmp_path):
        write_records(tmp_path / "data" / "Split-holdout" / "all", [record(picture(0), b"cyan")])
        with pytest.raises(BadInputError, match="the folder 'Split-holdout' names an unknown split"):
            ingest(tmp_path / "data", tmp_path / "run", **FIELDS)

    def test_damaged_records_are_quarantined_and_the_others_are_not(self, tmp_path):
        records = [record(picture(index), COLOURS[index % 3].encode()) for index in range(60)]
        whole = write_records(tmp_path / "data" / "whole", records)
        content = bytearray(write_records(tmp_path / "data" / "odd", records[:5]).read_bytes())
        size = 16 + len(records[0])
        content[size + 40] ^= 1  # within the second record
        content[2 * size + 2] ^= 1 if len(records[1]) == len(records[0]) else 0
        (tmp_path / "data" / "odd").write_bytes(content)
        (tmp_path / "data" / "cut").write_bytes(whole.read_bytes()[: 3 * size // 2])
        odd = [b"no example", record(b"", b"cyan"), record(picture(1), b""), tf.train.Example().SerializeToString()]
        write_records(tmp_path / "data" / "others", odd)
        (tmp_path / "data" / "packed.gz").write_bytes(gzip.compress(whole.read_bytes())[:-50])
        run = ingest(tmp_path / "data", tmp_path / "run", **FIELDS)
        assert run.counts.found == run.recorded()
        assert len(run.examples) == 60
        reasons = run.reasons()
        assert reasons["odd#1"] == reasons["cut#1"] == "truncated"
        assert reasons["others#0"] == reasons["others#3"] == "unreadable"
        assert (reasons["others#1"], reasons["others#2"]) == ("not-an-image", "no-label")
        assert reasons["packed.gz"] == "unreadable"

    def test_a_folder_without_records_and_missing_field_names_are_errors(self, tmp_path):
        with pytest.raises(BadInputError, match="a folder with TFRecord files"):
            ingest(tmp_path, tmp_path / "run", **FIELDS)
        with pytest.raises(ValueError, match=r"fields\.image and fields\.label are needed with tfrecords"):
            ingest(tmp_path, tmp_path / "run 2", source="tfrecords", fields={"image": "img"})


class Colours(tfds.core.GeneratorBasedBuilder):
    """A data set as TFDS prepares it."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["yellow", "cyan", "magenta"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: object) -> dict:
        return {"train": self._generate_examples(0, 40), "test": self._generate_examples(40, 60)}

    def _generate_examples(self, first: int, last: int) -> Iterator:
        for index in range(first, last):
            yield index, {"image": flat(COLOURS[index % 3], (24, 24), seed=index), "label": COLOURS[index % 3]}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    builder = Colours(data_dir=str(tmp_path_factory.mktemp("tfds")))
    builder.download_and_prepare()
    return Path(builder.data_dir)


def test_a_directory_that_tfds_has_prepared_is_read(prepared, tmp_path):
    run = ingest(prepared, tmp_path / "run", source="tfds")
    assert run.counts.found == 60
    assert run.counts.examples("test") == 20
    assert set(run.counts.classes) == set(COLOURS)
    assert run.counts.examples("train") + run.counts.examples("eval") == 40
    for example in run.examples.values():
        mean = tf.io.decode_png(example["encoded"]).numpy().mean(axis=(0, 1))
        assert example["label"] == min(COLOURS, key=lambda name: np.abs(mean - np.array(drawing.COLOURS[name])).sum())


def test_a_directory_that_tfds_has_not_prepared_is_an_error(photos, prepared, tmp_path):
    with pytest.raises(BadInputError, match="a directory that TFDS has prepared"):
        ingest(photos, tmp_path / "run", source="tfds")
    with pytest.raises(
        BadInputError, match=r"data\.fields\.label: the dataset has the features image, label\. Received: 'y'"
    ):
        ingest(prepared, tmp_path / "run 2", source="tfds", fields={"label": "y"})


class TestSpan:
    def test_the_newest_span_is_read_and_recorded(self, photos, tmp_path):
        for span in (1, 2):
            shutil.copytree(photos, tmp_path / f"day-{span}" / "v1")
        (tmp_path / "day-2" / "v1" / "cyan" / "0.png").unlink()
        run = ingest(f"{tmp_path}/day-{{SPAN}}/v{{VERSION}}", tmp_path / "run", **SHARES)
        assert run.counts.found == 59
        assert (run.properties.span, run.properties.version) == (2, 1)
        earlier = ingest(f"{tmp_path}/day-{{SPAN}}/v{{VERSION}}", tmp_path / "earlier", span=1, **SHARES)
        assert earlier.counts.found == 60


class TestSmallClasses:
    """Of 63 photos, a class has 8 different ones, all in train by their hashes."""

    @pytest.fixture(scope="class")
    def few(self, tmp_path_factory) -> Path:
        root, numbers = tmp_path_factory.mktemp("few") / "photos", iter(range(10_000))
        for name, count in (("cyan", 25), ("magenta", 27), ("yellow", 8)):
            (root / name).mkdir(parents=True)
            while count:
                content = encode(flat(name, (24, 24), seed=next(numbers)))
                in_train = splitting.split_of(hashlib.sha256(content).hexdigest(), {"train": 8, "other": 2}) == "train"
                if in_train or name != "yellow":
                    (root / name / f"{count}.png").write_bytes(content)
                    count -= 1
        for copy in range(3):
            shutil.copy(root / "yellow/1.png", root / f"yellow/copy {copy}.png")
        return root

    def test_each_split_gets_images_of_it_and_the_others_stay_where_their_hashes_put_them(self, few, tmp_path):
        run = ingest(few, tmp_path / "run", allow_untested_classes=False)
        by_hash = ingest(few, tmp_path / "by hash", stratified=False)
        assert run.counts.found == 63 and run.counts.duplicates == 3
        assert {split: images["yellow"] for split, images in run.counts.splits.items()} == {
            **{"train": 6, "eval": 1, "test": 1}
        }
        assert {key for key, split in by_hash.splits().items() if run.splits()[key] != split} == {
            example["key"]
            for example in run.examples.values()
            if (example["label"], example["split"]) > ("yellow", "") and example["split"] != "train"
        }
        with pytest.raises(BadInputError, match=r"'yellow' \(images in all splits: 8\) is in the test split"):
            ingest(few, tmp_path / "strict", stratified=False, allow_untested_classes=False)

    def test_groups_stay_together_and_splits_of_the_source_stay(self, few, tmp_path):
        paths = sorted(path for path in few.rglob("*.png"))
        number = {path: int(path.stem) if path.stem.isdigit() else 1 for path in paths}
        rows = [
            {"path": str(path), "label": path.parent.name, "group": f"{path.parent.name} {number[path] // 2}"}
            for path in paths
        ]
        run = ingest(table(few.parent / "m.csv", rows), tmp_path / "run", source="manifest", outside_files=True)
        splits: dict[str, set[str]] = {}
        for example in run.examples.values():
            splits.setdefault(example["group"], set()).add(example["split"])
        assert all(len(found) == 1 for found in splits.values())
        of_yellow = [found for group, found in splits.items() if "yellow" in group]
        assert set().union(*of_yellow) == {"train", "eval", "test"}
        test = {path for path in paths if path.parent.name == "magenta" and number[path] % 2}
        named = [{**row, "group": "", "split": "test" if Path(row["path"]) in test else ""} for row in rows]
        run = ingest(table(few.parent / "n.csv", named), tmp_path / "named", source="manifest", outside_files=True)
        assert run.counts.splits["test"] == {"magenta": len(test)}, "such a split is complete"
        assert run.counts.splits["eval"]["yellow"] == 1 and run.counts.splits["train"]["yellow"] == 7


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def serving(command: list[str], url: str) -> subprocess.Popen:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=1)
        except urllib.error.HTTPError:  # it answers
            return process
        except OSError:
            time.sleep(0.1)
            continue
        return process
    process.kill()
    raise TimeoutError(url)


@pytest.fixture(scope="module")
def s3(photos) -> Iterator[str]:
    """The photos in a bucket of moto's S3, which replaces Amazon's."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = serving([sys.executable, "-m", "moto.server", "-p", str(port)], url)
    settings = {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="photos")
        for file in photos.rglob("*.png"):
            client.put_object(Bucket="photos", Key=f"day-7/{file.relative_to(photos)}", Body=file.read_bytes())
        client.put_object(Bucket="photos", Key="day-7/cyan/", Body=b"")
        for key in (
            ".hidden/x.png",
            "cyan/@eaDir/0.png/a.jpg",
            "cyan/@eaDir/1.png/a.jpg",
            "cyan/THUMBS.DB",
            "_$folder$",
        ):
            client.put_object(Bucket="photos", Key=f"day-7/{key}", Body=b"x")
        for index in range(60):
            key = f"splits/{['Train', 'valid', 'test'][index // 3 % 3]}/{colour(index)}/{index}.png"
            client.put_object(Bucket="photos", Key=key, Body=picture(index))
        client.put_object(Bucket="photos", Key="day-6/cyan/1.png", Body=b"x")
        yield "s3://photos"
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def gs(photos) -> Iterator[str]:
    """The photos in a bucket of an emulator of Google's storage."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["-m", "gcp_storage_emulator", "start", "--port", str(port), "--in-memory", "--default-bucket", "photos"]
    process = serving([sys.executable, *command], url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        # Without this, Beam would search for credentials for half a minute.
        patch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "any"))
        bucket = storage.Client(project="any", credentials=AnonymousCredentials()).bucket("photos")
        for file in photos.rglob("*.png"):
            bucket.blob(f"all/{file.relative_to(photos)}").upload_from_string(file.read_bytes())
        yield "gs://photos"
    process.kill()
    process.wait()


class TestObjectStores:
    def test_folders_in_google_cloud_storage_are_read(self, gs, from_folders, tmp_path):
        assert labels(ingest(f"{gs}/all", tmp_path / "run", **SHARES)) == labels(from_folders)

    def test_folders_in_a_bucket_are_read(self, s3, from_folders, tmp_path):
        run = ingest(f"{s3}/day-{{SPAN}}", tmp_path / "run", **SHARES)
        assert labels(run) == labels(from_folders)
        assert run.properties.span == 7
        assert "cyan/0.png" in run.examples
        assert run.counts.ignored == {".hidden/": 1, "*_$folder$": 1, "@eaDir/": 1, "Thumbs.db": 1}

    def test_folders_of_splits_in_a_bucket_are_the_splits(self, s3, tmp_path):
        run = ingest(f"{s3}/splits", tmp_path / "run")
        split = {"Train": "train", "valid": "eval", "test": "test"}
        assert {path: (example["split"], example["label"]) for path, example in run.examples.items()} == {
            path: (split[path.split("/")[0]], path.split("/")[1]) for path in run.examples
        }
        assert len(run.examples) == 60 and run.counts.split_folders == split

    def test_a_manifest_may_name_objects(self, s3, photos, from_folders, tmp_path):
        rows = rows_of()
        for row in rows[:30]:
            row["path"] = f"{s3}/day-7/{row['path']}"
        file = table(tmp_path / "m.csv", rows)
        shutil.copytree(photos, tmp_path, dirs_exist_ok=True)
        run = ingest(file, tmp_path / "run", source="manifest", outside_files=True, **SHARES)
        assert labels(run) == labels(from_folders)

    def test_records_in_a_bucket_are_read(self, s3, from_folders, tmp_path):
        records = [record(picture(index), COLOURS[index % 3].encode()) for index in range(60)]
        file = write_records(tmp_path / "all", records)
        boto3.client("s3").put_object(Bucket="photos", Key="records/all", Body=file.read_bytes())
        assert labels(ingest(f"{s3}/records", tmp_path / "run", **FIELDS)) == labels(from_folders)

    def test_a_missing_object_is_quarantined_and_a_missing_bucket_is_an_error(self, s3, photos, tmp_path):
        rows = rows_of()
        rows[0]["path"] = f"{s3}/day-7/gone.png"
        shutil.copytree(photos, tmp_path, dirs_exist_ok=True)
        run = ingest(table(tmp_path / "m.csv", rows), tmp_path / "run", source="manifest", outside_files=True, **SHARES)
        assert run.reasons() == {f"{s3}/day-7/gone.png": "unreadable"}
        with pytest.raises(BadInputError, match=r"s3://nowhere: the bucket can't be reached.*: .*NoSuchBucket"):
            ingest("s3://nowhere/photos", tmp_path / "run 2")
        with pytest.raises(BadInputError, match=r"data\.path: 'ftp://"):
            ingest("ftp://nowhere/photos", tmp_path / "run 3")

    def test_a_store_that_does_not_answer_is_an_error_that_names_the_bucket(self, monkeypatch, tmp_path):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "any")
        with pytest.raises(BadInputError, match=r"s3://silent: the bucket can't be reached.*: Could not connect"):
            ingest("s3://silent/photos", tmp_path / "run")


@pytest.mark.slow
def test_two_worker_processes_write_the_same_files_as_one(photos, from_folders, tmp_path):
    assert ingest(photos, tmp_path / "run", BeamConfig(workers=2), **SHARES).files == from_folders.files
