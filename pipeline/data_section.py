"""The section `data` of the configuration: the labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from pipeline.section import ClassName, Section, is_elsewhere

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Action = Literal["stop", "warn", "ignore"]


class Splits(Section):
    """Shares of the three splits, as whole numbers: 8, 1, 1 is 80 %, 10 %, 10 %.

    Which split an image belongs to is decided by the hash of its bytes, or of its group's name.
    """

    train: int = Field(8, ge=1)
    """What the model is fitted on. Share, 1 or more; default 8."""
    eval: int = Field(1, ge=1)
    """What training stops early on. Share, 1 or more; default 1."""
    test: int = Field(1, ge=1)
    """What the gate decides on; training never sees it. Share, 1 or more; default 1."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _all_or_none(cls, section: Any) -> Any:
        if isinstance(section, dict) and section and not {"train", "eval", "test"} <= set(section):
            raise ValueError("all three of train, eval and test are wanted: shares mean something only together")
        return section


class Drift(Section):
    """Bounds on what changed since the version in production was trained.

    Between the training splits: of labels the largest difference of a class's share, among the classes that both know;
    of numbers the Jensen-Shannon divergence of their distributions, as TensorFlow Data Validation has it, 0 (the same)
    to 1.
    """

    new_classes: Action = "warn"
    """What to do about classes that production doesn't know: `stop`, `warn` (default) or `ignore`."""
    missing_classes: Action = "warn"
    """What to do about classes that production knows and the data no longer has: `stop`, `warn` (default), `ignore`."""
    new_formats: Action = "warn"
    """What to do about file formats that production was not trained on: `stop`, `warn` (default) or `ignore`."""
    labels: Share | None = 0.1
    """By how much a class's share may have changed; above 0, at most 1; null: by any; default 0.1."""
    size: Share | None = 0.15
    """How far the distributions of height and width may have moved; above 0, at most 1; null: any; default 0.15."""
    brightness: Share | None = 0.15
    """How far the distribution of brightness may have moved; above 0, at most 1; null: any; default 0.15."""
    beyond: Action = "warn"
    """What to do beyond these bounds: `stop`, `warn` (default) or `ignore`."""


class Data(Section):
    """The labelled images."""

    path: str = Field(min_length=1)
    """What `source` says; relative to the configuration file, or on any file system that Beam knows (`gs://`, `s3://`).
    May have `{SPAN}`, and `{VERSION}` beside it: the newest are taken."""
    source: Literal["folders", "manifest", "tfrecords", "tfds"] = "folders"
    """What `path` is. `folders` (default): a folder with one subfolder a class, images at any depth below. `manifest`:
    a `.csv` file, or one of JSON lines, with columns `path`, `label` and perhaps `split`, `group`, `weight`.
    `tfrecords`: a folder with files of tf.Example, or a pattern of such. `tfds`: a directory that TensorFlow Datasets
    has prepared."""
    root: str | None = None
    """manifest: what its paths are relative to, a folder or a URI; relative to the configuration file. Default: the
    manifest's folder."""
    fields: dict[Literal["image", "label", "split", "group", "weight"], str] = {}
    """What columns or features are called, by what they are. manifest: default path, label, split, group, weight, as
    far as they are there. tfrecords: `image` and `label` are needed. tfds: default image and label."""
    classes: list[Annotated[ClassName, Field(min_length=1)]] | None = Field(None, min_length=2)
    """The classes that are allowed; an image with another label is quarantined. tfrecords: also the names of integer
    labels, in their order. Default: whatever labels there are."""
    span: int | None = Field(None, ge=0)
    """Which `{SPAN}`; 0 or more; default: the newest."""
    splits: Splits = Splits()
    """Shares of train, eval and test; default 8, 1, 1."""
    stratified: bool = False
    """Whether each class is split by these shares as nearly as its images allow, for small classes. One more image can
    then move one other a boundary between splits; without, none. Default false."""
    near_duplicates: Literal["ignore", "report", "group"] = "report"
    """Pictures that look the same and are not the same bytes, across splits: `report` (default) counts and lists them,
    `group` keeps them on one side, `ignore` doesn't look."""
    near_duplicate_bits: int = Field(4, ge=0, le=16)
    """By how many of 64 bits the perceptual hashes of near-duplicates may differ; 0 to 16; default 4."""
    min_side: int = Field(8, ge=1)
    """Pixels of the shorter side below which an image is quarantined; 1 or more; default 8."""
    max_pixels: int = Field(89_478_485, ge=1)
    """Pixels above which an image is quarantined undecoded; 1 or more; default 89478485, above which Pillow suspects a
    decompression bomb."""
    outside_files: bool = False
    """Whether links in the data folder, or paths in a manifest, may lead out of it. Default false: such files are
    quarantined."""
    max_bad_fraction: float = Field(0.05, ge=0, le=1, allow_inf_nan=False)
    """Fraction of the files that may be unusable (they are quarantined, with the reason) before the run is stopped.
    0 to 1; default 0.05."""
    schema_: Annotated[str | None, Field(alias="schema")] = None
    """A curated schema of the facts about each image (label, format, height, width, brightness), as a TensorFlow
    Metadata `Schema` in text format; every split is validated against it, and an anomaly stops the run. Relative to
    the configuration file. Default: none; the schema is inferred."""
    drift: Drift = Drift()
    """What of the data may have changed since the version in production was trained."""

    @pydantic.field_validator("schema_")
    @classmethod
    def _schema_can_be_read(cls, path: str | None, info: pydantic.ValidationInfo) -> str | None:
        if path is not None and not is_elsewhere(info):
            from google.protobuf import text_format
            from tensorflow_metadata.proto.v0 import schema_pb2

            try:
                text_format.Parse(Path(path).read_text(encoding="utf-8"), schema_pb2.Schema())
            except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
                raise ValueError(f"a Schema in text format is expected ({error})") from None
        return path

    @pydantic.model_validator(mode="after")
    def _fields_of_this_source(self) -> Data:
        if self.root is not None and self.source != "manifest":
            raise ValueError(f"root is an option of source manifest. Received: source={self.source!r}")
        if self.fields and self.source == "folders":
            raise ValueError(f"fields are of source manifest, tfrecords and tfds. Received: source={self.source!r}")
        if self.source == "tfrecords" and not {"image", "label"} <= set(self.fields):
            raise ValueError(f"fields.image and fields.label are needed with tfrecords. Received: {self.fields!r}")
        if self.classes and len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes: a name is given twice. Received: {self.classes!r}")
        return self
