"""Reads the images of what a source lists, one at a time."""

from __future__ import annotations

import errno
import gzip
import os
import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, Protocol

import google_crc32c

from components.image_example_gen.byte_location import ByteLocation
from components.image_example_gen.quarantine import Reason, Rejection
from components.image_example_gen.sources import filesystem, names
from components.image_example_gen.sources.item import Item
from config.section import normalize_class_name

_GZIP_START = b"\x1f\x8b"
_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")
_BLOCK = 1 << 20  # bytes


@dataclass(frozen=True)
class RawImage:
    """An image's bytes, and what its source records about it; see `item.Item`."""

    path: str
    label: str
    split: str
    group: str
    weight: float
    location: ByteLocation
    encoded: bytes
    rejection: Rejection | None = None


class Reader(Protocol):
    """Reads items."""

    def images(self, item: Item, scratch: str) -> Iterator[RawImage]:
        """Every image of an item.

        Args:
          item: an image file, or a file of records.
          scratch: a folder that all workers share, for unpacked copies of compressed files.
        """


class FileReader:
    """A `Reader` of files that contain one image each."""

    def images(self, item: Item, scratch: str) -> Iterator[RawImage]:
        del scratch
        rejection, encoded = item.rejection, b""
        if rejection is None:
            try:
                encoded = filesystem.read(item.uri)
            except OSError as error:
                rejection = Rejection(Reason.UNREADABLE, error.strerror or str(error))
        location = ByteLocation(item.uri)
        yield RawImage(item.path, item.label, item.split, item.group, item.weight, location, encoded, rejection)


@dataclass(frozen=True)
class RecordReader:
    """A `Reader` of TFRecords of tf.Example.

    Attributes:
      fields: role to name of the feature: image and label; perhaps split, group and weight.
      class_names: by index, for labels that are integers; None: the integers themselves are the names.
      classes: that are allowed; None: all.
    """

    fields: Mapping[str, str]
    class_names: Sequence[str] | None
    classes: Sequence[str] | None

    def images(self, item: Item, scratch: str) -> Iterator[RawImage]:
        if item.rejection:
            yield _rejected(item.path, *item.rejection)
            return
        uri = item.uri
        try:
            if _is_gzipped(uri):
                uri = _unpack(uri, scratch)
            with filesystem.open_file(uri) as file:
                for number, record in enumerate(_read_records(file)):
                    yield self._read_image(f"{item.path}#{number}", item, uri, record)
        except (OSError, EOFError) as error:
            yield _rejected(item.path, Reason.UNREADABLE, str(error))

    def _read_image(self, path: str, item: Item, uri: str, record: _Record) -> RawImage:
        if record.problem:
            return _rejected(path, Reason.TRUNCATED, record.problem)
        features = _parse_features(record.content)
        if features is None:
            return _rejected(path, Reason.UNREADABLE, "the record is not a tf.Example")
        values = {role: features.get(name) for role, name in self.fields.items()}
        encoded = values["image"]
        if not isinstance(encoded, bytes):
            present = ", ".join(sorted(features)) or "none"
            detail = f"the record has no bytes in the feature {self.fields['image']!r}; its features are: {present}"
            return _rejected(path, Reason.UNREADABLE, detail)
        text = {role: _as_text(value) for role, value in values.items() if role != "image"}
        split = names.standard_split_name(text["split"]) if text.get("split") else item.split
        if split is None:
            detail = f"the split {text['split']!r} is unknown; the names {names.KNOWN_SPLIT_NAMES} are allowed"
            return _rejected(path, Reason.UNREADABLE, detail)
        label = normalize_class_name(self._label_of(values["label"]))
        rejection = names.reject_label(label, self.classes)
        try:
            weight = float(text.get("weight") or 1.0)
        except ValueError:
            return _rejected(path, Reason.UNREADABLE, f"the weight {text['weight']!r} is not a number")
        label = "" if rejection else label
        location = ByteLocation(uri, record.offset, len(record.content), self.fields["image"])
        return RawImage(path, label, split, text.get("group", ""), weight, location, encoded, rejection)

    def _label_of(self, value: Any) -> str:
        if isinstance(value, int) and self.class_names is not None:
            known = 0 <= value < len(self.class_names)
            return self.class_names[value] if known else f"index {value} of {len(self.class_names)} classes"
        return _as_text(value)


def fetch(location: ByteLocation) -> bytes:
    """Reads an image's bytes again.

    Raises:
      OSError: if they are no longer there.
    """
    if not location.size:
        return filesystem.read(location.uri)
    with filesystem.open_file(location.uri) as file:
        file.seek(location.offset)
        features = _parse_features(file.read(location.size)) or {}
    encoded = features.get(location.feature)
    if not isinstance(encoded, bytes):
        raise OSError(errno.EIO, f"{location.uri}: the file changed during the run; start the run again")
    return encoded


def _rejected(path: str, reason: Reason, detail: str) -> RawImage:
    return RawImage(
        path,
        label="",
        split="",
        group="",
        weight=1.0,
        location=ByteLocation(""),
        encoded=b"",
        rejection=Rejection(reason, detail),
    )


def _parse_features(record: bytes) -> dict[str, Any] | None:
    """Feature name to value, of features with a single value; None if the record is not a tf.Example."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return None
    single: dict[str, Any] = {}
    for name, feature in features.items():
        kind = feature.WhichOneof("kind")
        values: Sequence[Any] = getattr(feature, kind).value if kind else []
        if len(values) == 1:
            single[name] = values[0]
    return single


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode("utf-8", "surrogateescape").strip() if isinstance(value, bytes) else str(value)


class _Record(NamedTuple):
    """A record of a TFRecord file: where its content starts, the content, and what is wrong with it."""

    offset: int
    content: bytes
    problem: str


def _read_records(file: IO[bytes]) -> Iterator[_Record]:
    """Reads the records of a file of TFRecords.

    A record is: its length in 8 bytes; a checksum of the length; the content; a checksum of the content:
    https://www.tensorflow.org/tutorials/load_data/tfrecord. After a damaged length, no record can be found.
    """
    offset = 0
    while header := file.read(_HEADER.size):
        if len(header) < _HEADER.size or _masked_checksum(header[:8]) != _HEADER.unpack(header)[1]:
            yield _Record(offset, b"", "the record's length is damaged, so it and the rest of the file are lost")
            return
        length = _HEADER.unpack(header)[0]
        content, footer = file.read(length), file.read(_FOOTER.size)
        start, offset = offset + _HEADER.size, offset + _HEADER.size + length + _FOOTER.size
        if len(content) < length or len(footer) < _FOOTER.size:
            yield _Record(start, b"", "the file ends within this record")
            return
        damaged = _masked_checksum(content) != _FOOTER.unpack(footer)[0]
        yield _Record(start, content, "the record's checksum is wrong" if damaged else "")


def _masked_checksum(content: bytes) -> int:
    checksum = google_crc32c.value(content)
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _is_gzipped(uri: str) -> bool:
    with filesystem.open_file(uri) as file:
        return file.read(len(_GZIP_START)) == _GZIP_START


def _unpack(uri: str, scratch: str) -> str:
    """Writes an uncompressed copy of a gzipped file, which can be read from any offset."""
    import tensorflow as tf

    target = os.path.join(scratch, f"{uuid.uuid4().hex}.tfrecord")
    tf.io.gfile.makedirs(scratch)
    with (
        filesystem.open_file(uri) as packed,
        gzip.GzipFile(fileobj=packed) as content,
        tf.io.gfile.GFile(target, "wb") as file,
    ):
        while block := content.read(_BLOCK):
            file.write(block)
    return target
