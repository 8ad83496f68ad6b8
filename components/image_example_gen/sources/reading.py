"""From what a source lists to images' bytes, one at a time."""

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

from components.image_example_gen.reasons import Reason
from components.image_example_gen.sources import class_names, files, split_names
from components.image_example_gen.sources.item import Item

_GZIP = b"\x1f\x8b"
_HEAD, _TAIL = struct.Struct("<QI"), struct.Struct("<I")


class Place(NamedTuple):
    """Where an image's bytes can be had again.

    Attributes:
      uri: the file.
      offset, size: of the record in it; a size of 0: the whole file is the image.
      feature: of the record's tf.Example, the one that is the image.
    """

    uri: str
    offset: int = 0
    size: int = 0
    feature: str = ""


@dataclass(frozen=True)
class RawImage:
    """An image's bytes, and what its source says of it; see `item.Item`."""

    path: str
    label: str
    split: str
    group: str
    weight: float
    place: Place
    encoded: bytes
    refused: tuple[Reason, str] | None = None


class Reader(Protocol):
    """Reads items."""

    def images(self, item: Item, scratch: str) -> Iterator[RawImage]:
        """Every image of an item.

        Args:
          item: what the source has listed.
          scratch: a folder that all workers see, for what must be unpacked to be read again.
        """


class FileReader:
    """A `Reader` of files that are one image each."""

    def images(self, item: Item, scratch: str) -> Iterator[RawImage]:
        del scratch
        refused, encoded = item.refused, b""
        if refused is None:
            try:
                encoded = files.read(item.uri)
            except OSError as error:
                refused = (Reason.UNREADABLE, error.strerror or str(error))
        place = Place(item.uri)
        yield RawImage(item.path, item.label, item.split, item.group, item.weight, place, encoded, refused)


@dataclass(frozen=True)
class RecordReader:
    """A `Reader` of TFRecords of tf.Example.

    Attributes:
      fields: names of the features: image, label, and perhaps split, group and weight.
      names: class names by index, for labels that are integers; None: the integers are the names.
      classes: those that are allowed; None: all.
    """

    fields: Mapping[str, str]
    names: Sequence[str] | None
    classes: Sequence[str] | None

    def images(self, item: Item, scratch: str) -> Iterator[RawImage]:
        if item.refused:
            yield _refused(item.path, item.refused)
            return
        uri = item.uri
        try:
            if _is_packed(uri):
                uri = _unpacked(uri, scratch)
            with files.open_file(uri) as file:
                for number, (offset, record, damage) in enumerate(_records(file)):
                    place = Place(uri, offset, len(record), self.fields["image"])
                    yield self._image(f"{item.path}#{number}", item, place, record, damage)
        except (OSError, EOFError) as error:
            yield _refused(item.path, (Reason.UNREADABLE, str(error)))

    def _image(self, path: str, item: Item, place: Place, record: bytes, damage: str) -> RawImage:
        if damage:
            return _refused(path, (Reason.TRUNCATED, damage))
        values = _values(record)
        if values is None:
            return _refused(path, (Reason.UNREADABLE, "the record is no tf.Example"))
        found = {role: values.get(name) for role, name in self.fields.items()}
        if not isinstance(found["image"], bytes):
            known = ", ".join(sorted(values)) or "none"
            detail = f"the record has no bytes in {self.fields['image']!r}; its features are {known}"
            return _refused(path, (Reason.UNREADABLE, detail))
        text = {role: _text(value) for role, value in found.items() if role != "image"}
        split = split_names.standard(text["split"]) if text.get("split") else item.split
        if split is None:
            return _refused(path, (Reason.UNREADABLE, f"the split {text['split']!r} is none of train, eval and test"))
        label = class_names.normalised(self._label(found["label"]))
        refused = class_names.refusal(label, self.classes)
        try:
            weight = float(text.get("weight") or 1.0)
        except ValueError:
            return _refused(path, (Reason.UNREADABLE, f"the weight {text['weight']!r} is no number"))
        label = "" if refused else label
        return RawImage(path, label, split, text.get("group", ""), weight, place, found["image"], refused)

    def _label(self, value: Any) -> str:
        if isinstance(value, int) and self.names is not None:
            return self.names[value] if 0 <= value < len(self.names) else f"index {value} of {len(self.names)} classes"
        return _text(value)


def fetch(place: Place) -> bytes:
    """An image's bytes, read again.

    Raises:
      OSError: if they can't be had any more.
    """
    if not place.size:
        return files.read(place.uri)
    with files.open_file(place.uri) as file:
        file.seek(place.offset)
        values = _values(file.read(place.size)) or {}
    found = values.get(place.feature)
    if not isinstance(found, bytes):
        raise OSError(errno.EIO, f"{place.uri} has changed while it was read")
    return found


def _refused(path: str, why: tuple[Reason, str]) -> RawImage:
    return RawImage(path, label="", split="", group="", weight=1.0, place=Place(""), encoded=b"", refused=why)


def _values(record: bytes) -> dict[str, Any] | None:
    """Single values of a tf.Example by the feature's name; None if it is none."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return None
    found: dict[str, Any] = {}
    for name, feature in features.items():
        kind = feature.WhichOneof("kind")
        values: Sequence[Any] = getattr(feature, kind).value if kind else []
        if len(values) == 1:
            found[name] = values[0]
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode("utf-8", "surrogateescape").strip() if isinstance(value, bytes) else str(value)


def _records(file: IO[bytes]) -> Iterator[tuple[int, bytes, str]]:
    """Offset and content of each record, and what is wrong with it, in the format of TFRecords.

    A record is its length, 8 bytes; a checksum of that; the content; a checksum of that:
    https://www.tensorflow.org/tutorials/load_data/tfrecord. Behind a damaged length nothing can be found any more.
    """
    offset = 0
    while head := file.read(_HEAD.size):
        if len(head) < _HEAD.size or _masked_checksum(head[:8]) != _HEAD.unpack(head)[1]:
            yield offset, b"", "a record's length is damaged: it and all behind it in this file is lost"
            return
        length = _HEAD.unpack(head)[0]
        content, tail = file.read(length), file.read(_TAIL.size)
        start, offset = offset + _HEAD.size, offset + _HEAD.size + length + _TAIL.size
        if len(content) < length or len(tail) < _TAIL.size:
            yield start, b"", "the file ends within this record"
            return
        damaged = _masked_checksum(content) != _TAIL.unpack(tail)[0]
        yield start, content, "the record's checksum is wrong" if damaged else ""


def _masked_checksum(content: bytes) -> int:
    checksum = google_crc32c.value(content)
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _is_packed(uri: str) -> bool:
    with files.open_file(uri) as file:
        return file.read(len(_GZIP)) == _GZIP


def _unpacked(uri: str, scratch: str) -> str:
    """A copy of a gzipped file that can be read from any offset."""
    import tensorflow as tf

    target = os.path.join(scratch, f"{uuid.uuid4().hex}.tfrecord")
    tf.io.gfile.makedirs(scratch)
    with (
        files.open_file(uri) as packed,
        gzip.GzipFile(fileobj=packed) as content,
        tf.io.gfile.GFile(target, "wb") as file,
    ):
        while block := content.read(1 << 20):
            file.write(block)
    return target
