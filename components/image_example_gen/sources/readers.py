"""Reads the images of what a source lists, one at a time."""

from __future__ import annotations

import errno
import gzip
import os
import struct
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, Protocol, TypeVar

import google_crc32c

from components.image_example_gen.byte_location import ByteLocation
from components.image_example_gen.quarantine import Reason, Rejection
from components.image_example_gen.sources import filesystem, names, values
from components.image_example_gen.sources.item import Item
from config.errors import BadInputError

T = TypeVar("T")

_GZIP_START = b"\x1f\x8b"
_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")
_UNPACK_ZLIB = "the file is compressed with ZLIB, which is not read; write it again with GZIP or without compression"
_BLOCK = 1 << 20  # bytes
_NO_CLASS = -1  # what TFDS writes for an image without a label


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
    line: int = 0
    columns: tuple[str, ...] = ()


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
        yield RawImage(
            item.path,
            item.label,
            item.split,
            item.group,
            item.weight,
            location,
            encoded,
            rejection,
            item.line,
            item.columns,
        )


@dataclass(frozen=True)
class RecordReader:
    """A `Reader` of TFRecords of tf.Example.

    Attributes:
      fields: role to name of the feature: image and label; perhaps split, group and weight.
      class_names: by index, for labels that are whole numbers; None: the numbers themselves are the names.
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
        location = ByteLocation(uri, record.offset, len(record.content), self.fields["image"])
        found = features.get(self.fields["image"], [])
        if len(found) != 1 or not isinstance(found[0], bytes):
            detail = self._missing_detail("image", features) or (
                f"one value of bytes is expected in the feature {self.fields['image']!r}; it has {len(found)} of type "
                f"{type(found[0]).__name__}"
            )
            return _rejected(path, Reason.UNREADABLE, detail)
        label, rejection = self._value(path, "label", features, self._read_label)
        if rejection and (detail := self._missing_detail("label", features)):
            rejection = Rejection(Reason.NO_LABEL, detail)
        split = self._value(path, "split", features, values.to_split) or item.split
        group = self._value(path, "group", features, values.to_group)
        weight = self._value(path, "weight", features, values.to_weight)
        return RawImage(path, "" if rejection else label, split, group, weight, location, found[0], rejection)

    def _value(self, path: str, role: str, features: Mapping[str, Sequence[Any]], read: Callable[[Any], T]) -> T:
        """The value of a role.

        Raises:
          BadInputError: if it cannot be used, with the record's place.
        """
        name = self.fields.get(role, "")
        found = features.get(name, [])
        try:
            if len(found) > 1:
                raise values.ValueProblemError(f"one value is allowed. Received: {len(found)} values")
            return read(found[0] if found else None)
        except values.ValueProblemError as error:
            raise BadInputError(f"{path}: {name} ({role}): {error}") from None

    def _read_label(self, value: Any) -> tuple[str, Rejection | None]:
        label = values.to_label(value)
        is_number = isinstance(value, int | float) and label
        if is_number and self.class_names is not None and float(value).is_integer():
            index = int(value)
            if index == _NO_CLASS:
                return "", Rejection(Reason.NO_LABEL, "the image has no label (index -1)")
            if not 0 <= index < len(self.class_names):
                detail = f"the label {index} is not an index of the classes: there are {len(self.class_names)}, from 0"
                return "", Rejection(Reason.UNKNOWN_LABEL, detail)
            label = self.class_names[index]
        rejection = names.reject_label(label, self.classes, value)
        if rejection and self.class_names is not None and isinstance(value, bytes | str) and label.isdecimal():
            detail = f"{rejection.detail}; text is never an index: write the label as a whole number, or as the name"
            rejection = Rejection(rejection.reason, detail)
        return label, rejection

    def _missing_detail(self, role: str, features: Mapping[str, Sequence[Any]]) -> str:
        """That the record has no value in the feature of a role, and which features it has; empty if it has one."""
        if features.get(self.fields[role]):
            return ""
        present = ", ".join(sorted(features)) or "none"
        return f"the record has no value in the feature {self.fields[role]!r}; its features are: {present}"


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
    found = features.get(location.feature, [])
    if len(found) != 1 or not isinstance(found[0], bytes):
        raise OSError(errno.EIO, f"{location.uri}: the file changed during the run; start the run again")
    return found[0]


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


def _parse_features(record: bytes) -> dict[str, list[Any]] | None:
    """Feature name to values: bytes, int or float; None if the record is not a tf.Example."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return None
    found: dict[str, list[Any]] = {}
    for name, feature in features.items():
        kind = feature.WhichOneof("kind")
        content: Sequence[Any] = getattr(feature, kind).value if kind else []
        is_one_float = kind == "float_list" and len(content) == 1
        found[name] = [values.from_float32(content[0])] if is_one_float else list(content)
    return found


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
            damaged = "the record's length is damaged, so it and the rest of the file are lost"
            yield _Record(offset, b"", _UNPACK_ZLIB if offset == 0 and _starts_as_zlib(header) else damaged)
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


def _starts_as_zlib(header: bytes) -> bool:
    """Whether these are the first bytes of a ZLIB stream, https://www.rfc-editor.org/rfc/rfc1950#section-2.2."""
    return len(header) > 1 and header[0] == 0x78 and (header[0] * 256 + header[1]) % 31 == 0


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
