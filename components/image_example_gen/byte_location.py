"""Where the bytes of one image are stored."""

from __future__ import annotations

from typing import NamedTuple


class ByteLocation(NamedTuple):
    """The place from which an image can be read again.

    Attributes:
      uri: of the file.
      offset: where the record starts in the file, in bytes.
      size: of the record, in bytes; 0: the whole file is the image.
      feature: name of the feature of the record's tf.Example that holds the image.
    """

    uri: str
    offset: int = 0
    size: int = 0
    feature: str = ""
