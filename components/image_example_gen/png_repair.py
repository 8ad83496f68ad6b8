"""PNGs that Pillow refuses though their picture is whole."""

from __future__ import annotations

import struct
import zlib

from modules.data.decoders import png

_NEEDED_CHUNKS = (b"tRNS", b"eXIf")
_NEEDED_TEXTS = (png.XMP, png.RAW_PROFILE)
_MAX_METADATA = 1 << 20  # bytes


def without_odd_chunks(encoded: bytes) -> bytes:
    """A PNG with only the chunks that its picture needs, and correct checksums in those that may be missing.

    Pillow refuses a file with a wrong checksum in any chunk, or with a long text. The picture is whole all the same.
    """
    kept, at = [png.MAGIC], len(png.MAGIC)
    while at + 12 <= len(encoded):
        (size,) = struct.unpack_from(">I", encoded, at)
        kind, body = encoded[at + 4 : at + 8], encoded[at + 8 : at + 8 + size]
        needed = kind in _NEEDED_CHUNKS or body.startswith(_NEEDED_TEXTS)
        if kind[:1].isupper():
            kept.append(encoded[at : at + 12 + size])
        elif needed and size <= _MAX_METADATA:
            kept.append(struct.pack(">I", size) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
        at += 12 + size
    return b"".join(kept) + encoded[at:]
