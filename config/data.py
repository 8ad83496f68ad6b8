"""The section `data`: the labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from config.image_facts import MAX_PIXELS
from config.section import ClassName, ConfigPath, LocalPath, PositiveShare, Section, may_look

Action = Literal["stop", "warn", "ignore"]

TRAIN, EVAL, TEST = SPLITS = ("train", "eval", "test")


class Splits(Section):
    """Shares of the three splits, as whole numbers: 8, 1, 1 is 80 %, 10 %, 10 %.

    The hash of an image's bytes, or of its group's name, decides which split it is in.
    """

    train: int = Field(8, ge=1)
    """The model is fitted on this split. Share, 1 or more; default 8."""
    eval: int = Field(1, ge=1)
    """Training stops early by the loss on this split. Share, 1 or more; default 1."""
    test: int = Field(1, ge=1)
    """The gate decides on this split; training never sees it. Share, 1 or more; default 1."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _all_or_none(cls, section: Any) -> Any:
        if isinstance(section, dict) and section and not set(SPLITS) <= set(section):
            raise ValueError("all three of train, eval and test are needed: a share means nothing alone")
        return section

    @property
    def shares(self) -> dict[str, int]:
        """Split name to share; the order counts."""
        return {name: getattr(self, name) for name in SPLITS}


class DriftConfig(Section):
    """Bounds on what has changed since the version in production was trained.

    The training splits are compared. Labels: the largest difference of a class's share, among the classes that both
    know. Numbers: the Jensen-Shannon divergence of the distributions, as TensorFlow Data Validation computes it, from 0
    (the same) to 1.
    """

    new_classes: Action = "warn"
    """What to do about classes that production does not know: `stop`, `warn` (default) or `ignore`."""
    missing_classes: Action = "warn"
    """What to do about classes that production knows and the data no longer has: `stop`, `warn` (default), `ignore`."""
    new_formats: Action = "warn"
    """What to do about file formats that production was not trained on: `stop`, `warn` (default) or `ignore`."""
    labels: PositiveShare | None = 0.1
    """How much a class's share may have changed; above 0, at most 1; null: no bound; default 0.1."""
    size: PositiveShare | None = 0.15
    """How far the distributions of height and width may have moved; above 0, at most 1; null: no bound; default
    0.15."""
    brightness: PositiveShare | None = 0.15
    """How far the distribution of brightness may have moved; above 0, at most 1; null: no bound; default 0.15."""
    beyond: Action = "warn"
    """What to do beyond these bounds: `stop`, `warn` (default) or `ignore`."""


def _check_column(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise ValueError("the name of a column is expected, in printable characters")
    return name.strip()


SliceColumn = Annotated[str, pydantic.AfterValidator(_check_column)]


class IngestionConfig(Section):
    """How ImageExampleGen reads the images."""

    source: Literal["folders", "manifest", "tfrecords", "tfds"] = "folders"
    """What `path` is. `folders` (default): a folder with one subfolder per class; images may be in folders below it.
    `manifest`: a `.csv` file, or a file of JSON lines, with columns `path`, `label` and perhaps `split`, `group`,
    `weight`. `tfrecords`: a folder with files of tf.Example, or a pattern of such files. `tfds`: a directory that
    TensorFlow Datasets has prepared."""
    root: ConfigPath | None = None
    """manifest: the folder or URI that its paths are relative to; relative to the configuration file. Default: the
    manifest's folder."""
    fields: dict[Literal["image", "label", "split", "group", "weight"], str] = {}
    """Names of the columns or features. manifest: default path, label, split, group, weight, where the columns exist.
    tfrecords: `image` and `label` are needed. tfds: default image and label."""
    slice_columns: list[SliceColumn] = []
    """manifest: further columns, whose values are kept with each image: for `gate.slices` (as `column/<name>`), for the
    search for bad slices, and for the warning of facts that tell the classes apart. Upper case does not matter. Values
    are text, numbers, true or false; an empty one is a value, too. Default: none."""
    classes: list[ClassName] | None = Field(None, min_length=2)
    """The classes that are allowed; an image with another label is quarantined. tfrecords: also the names, in their
    order, of labels that are whole numbers, unless the classes are such numbers themselves. Default: every label that
    occurs."""
    span: int | None = Field(None, ge=0)
    """Which `{SPAN}`; 0 or more; default: the newest."""
    splits: Splits = Splits()
    """Shares of train, eval and test; default 8, 1, 1."""
    stratified: Literal["auto", True, False] = "auto"
    """How small classes are split. `auto` (default): by hash; but a class of which a split would have no image gets its
    share there, which may move some of its images when images are added. `true`: each class is split by these shares as
    nearly as its images allow; adding an image may move at most one other across each boundary between splits. `false`:
    by hash alone, so that adding images never moves another; a split may have no image of a class."""
    near_duplicates: Literal["ignore", "report", "group"] = "report"
    """What to do about images in different splits that look the same but have other bytes: `report` (default) counts
    and lists them, `group` keeps them in one split, `ignore` does not search for them."""
    near_duplicate_bits: int = Field(4, ge=0, le=16)
    """By how many of 64 bits the perceptual hashes of near-duplicates may differ; 0 to 16; default 4."""
    min_side: int = Field(8, ge=1)
    """An image whose shorter side has fewer pixels is quarantined; 1 or more; default 8."""
    max_pixels: int = Field(MAX_PIXELS, ge=1)
    """An image with more pixels is quarantined without being decoded, and a served model refuses it; 1 or more;
    default 89478485, above which Pillow suspects a decompression bomb."""
    outside_files: bool = False
    """Whether links in the data folder, or paths in a manifest, may point outside of it. Default false: such files are
    quarantined."""
    max_bad_fraction: float = Field(0.05, ge=0, le=1, allow_inf_nan=False)
    """Fraction of the files that may be unusable (they are quarantined, with the reason) before the run is stopped.
    0 to 1; default 0.05."""

    @pydantic.model_validator(mode="after")
    def _fields_of_this_source(self) -> Self:
        if self.root is not None and self.source != "manifest":
            raise ValueError(f"root is an option of source manifest. Received: source={self.source!r}")
        if self.fields and self.source == "folders":
            raise ValueError(f"fields are of source manifest, tfrecords and tfds. Received: source={self.source!r}")
        if self.source == "tfrecords" and not {"image", "label"} <= set(self.fields):
            raise ValueError(f"fields.image and fields.label are needed with tfrecords. Received: {self.fields!r}")
        if self.slice_columns and self.source != "manifest":
            raise ValueError(f"slice_columns is an option of source manifest. Received: source={self.source!r}")
        if len({name.casefold() for name in self.slice_columns}) < len(self.slice_columns):
            raise ValueError(f"slice_columns: a column is named twice. Received: {self.slice_columns!r}")
        if self.classes and len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes: a name is given twice. Received: {self.classes!r}")
        return self


class DataConfig(IngestionConfig):
    """The labelled images."""

    path: LocalPath
    """Where the images are; `source` says what it is. Relative to the configuration file, or on any file system that
    Beam knows (`gs://`, `s3://`). May contain `{SPAN}`, and `{VERSION}` with it: the newest are taken."""
    schema_: Annotated[ConfigPath | None, Field(alias="schema")] = None
    """A curated schema of the facts about each image (label, format, height, width, brightness, sharpness), as a
    TensorFlow Metadata `Schema` in text format. Every split is validated against it, and an anomaly stops the run.
    Relative to the configuration file. Default: none; the schema is inferred."""
    drift: DriftConfig = DriftConfig()
    """What of the data may have changed since the version in production was trained."""

    @pydantic.field_validator("schema_")
    @classmethod
    def _schema_can_be_read(cls, path: str | None, info: pydantic.ValidationInfo) -> str | None:
        if path is not None and may_look(info):
            from google.protobuf import text_format
            from tensorflow_metadata.proto.v0 import schema_pb2

            try:
                text_format.Parse(Path(path).read_text(encoding="utf-8"), schema_pb2.Schema())
            except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
                raise ValueError(f"a Schema in text format is expected ({error})") from None
        return path

    @property
    def ingestion(self) -> IngestionConfig:
        """The part of the section that ImageExampleGen depends on beside the path."""
        return self.part(IngestionConfig)
