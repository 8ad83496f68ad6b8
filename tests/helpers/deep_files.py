"""Files of 16 bits per channel, with the picture that each must show, computed from the samples that are written."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from variants import HEIGHT, WIDTH, alpha, chunk, picture, png_of

DEPTHS = {16: 257, 12: 16, 8: 1}  # bits in use to the factor of 8 bits


class DeepFile(NamedTuple):
    """A file, and its picture.

    Attributes:
      encoded: the file.
      truth: uint8 [40, 64, 3]; None if the file must be refused.
    """

    encoded: bytes
    truth: np.ndarray | None


def pngs() -> Iterator[tuple[str, DeepFile]]:
    rgb, mask = picture(), alpha()
    grey = np.repeat(rgb[:, :, :1], 3, axis=2)
    opaque, see_through = np.full_like(mask, 255), mask[:, :, np.newaxis] == 0
    for bits, factor in DEPTHS.items():
        deep = rgb.astype(int) * factor
        key = np.all(rgb == rgb[10, 20], axis=2, keepdims=True)
        grey_key = chunk(b"tRNS", struct.pack(">H", deep[10, 20, 0]))
        rgb_key = chunk(b"tRNS", struct.pack(">3H", *deep[10, 20]))
        yield f"{bits}-grey-key", DeepFile(png_of(deep[:, :, :1], 16, 0, grey_key), np.where(key, 255, grey))
        yield f"{bits}-RGB-key", DeepFile(png_of(deep, 16, 2, rgb_key), np.where(key, 255, rgb))
        no_data = np.where(key, 65535, deep)
        sentinel = chunk(b"tRNS", struct.pack(">H", 65535)), chunk(b"tRNS", struct.pack(">3H", *[65535] * 3))
        yield f"{bits}-grey-no-data", DeepFile(png_of(no_data[:, :, :1], 16, 0, sentinel[0]), np.where(key, 255, grey))
        yield f"{bits}-RGB-no-data", DeepFile(png_of(no_data, 16, 2, sentinel[1]), np.where(key, 255, rgb))
        bad_time = chunk(b"tIME", b"\x07\xe8\1\1\1\1\1", crc=1)
        yield (
            f"{bits}-grey-key-odd",
            DeepFile(png_of(deep[:, :, :1], 16, 0, grey_key, bad_time), np.where(key, 255, grey)),
        )
        yield f"{bits}-RGB-odd", DeepFile(png_of(deep, 16, 2, bad_time), rgb)
        for opacity_bits, opacity_factor in DEPTHS.items():
            for name, shown in (("mask", mask), ("opaque", opaque)):
                levels = shown[:, :, np.newaxis].astype(int) * opacity_factor
                share = shown[:, :, np.newaxis] / 255
                hidden = np.where(see_through & (name == "mask"), 65535, deep)
                for kind, samples, seen in (("LA", hidden[:, :, :1], grey), ("RGBA", hidden, rgb)):
                    truth = np.rint(seen * share + 255 * (1 - share)).astype(np.uint8)
                    colour = 4 if kind == "LA" else 6
                    encoded = png_of(np.dstack([samples, levels]), 16, colour)
                    yield f"{bits}-{kind}-{name}-of-{opacity_bits}", DeepFile(encoded, truth)


def tiff(
    samples: np.ndarray,
    photometric: int,
    bits: int = 16,
    *,
    order: str = "<",
    planes: bool = False,
    packed: bool = False,
    extra: tuple[int, ...] = (),
    palette: tuple[int, ...] = (),
) -> bytes:
    """A TIFF of any kind.

    Args:
      samples: [height, width, channels].
      photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK.
      bits: per sample.
      order: `<` or `>`.
      planes: whether each channel is stored on its own.
      packed: whether the pixels are compressed with deflate.
      extra: meaning of channels beyond the colours.
      palette: entries, all of red first.
    """
    height, width, channels = samples.shape
    if bits < 8:
        digits = np.unpackbits(samples[:, :, 0].astype(np.uint8)[:, :, np.newaxis], axis=2)[:, :, 8 - bits :]
        rows = np.packbits(digits.reshape(height, -1), axis=1)
        parts = [rows.tobytes()]
    else:
        stored = samples.astype(order + ("u2" if bits == 16 else "u1"))
        parts = [stored[:, :, at].tobytes() for at in range(channels)] if planes else [stored.tobytes()]
    parts = [zlib.compress(part) for part in parts] if packed else parts
    starts = [8 + sum(map(len, parts[:at])) for at in range(len(parts))]
    body = b"".join(parts)
    body += bytes(len(body) % 2)
    tags = {256: (width,), 257: (height,), 258: (bits,) * channels, 259: (8 if packed else 1,), 262: (photometric,)}
    tags |= {273: starts, 277: (channels,), 278: (height,), 279: [len(part) for part in parts]}
    tags |= {284: (2 if planes else 1,)} | ({320: palette} if palette else {}) | ({338: extra} if extra else {})
    entries = b""
    for tag, values in sorted(tags.items()):
        kind, code = (4, "I") if tag in (273, 279) else (3, "H")
        content = struct.pack(f"{order}{len(values)}{code}", *values)
        if len(content) > 4:
            place, body = struct.pack(order + "I", 8 + len(body)), body + content
            content = place
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + content.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(body))
    return head + body + struct.pack(order + "H", len(tags)) + entries + bytes(4)


def tiffs() -> Iterator[tuple[str, DeepFile]]:
    rgb, mask = picture(), alpha()
    ink, opacity = 255 - rgb.astype(int), mask[:, :, np.newaxis].astype(int)
    grey, shown = np.repeat(rgb[:, :, :1], 3, axis=2), mask[:, :, np.newaxis] / 255
    composed = np.rint(rgb * shown + 255 * (1 - shown)).astype(np.uint8)
    black = np.zeros((HEIGHT, WIDTH, 1), int)
    for packed in (False, True):
        suffix = "-packed" if packed else ""
        for bits in (1, 2, 4, 8):
            top = 2**bits - 1
            levels = rgb[:, :, :1].astype(int) * top // 255
            seen = np.repeat(levels * 255 // top, 3, axis=2)
            yield f"white-is-zero-{bits}{suffix}", DeepFile(tiff(top - levels, 0, bits, packed=packed), seen)
        for bits, factor in DEPTHS.items():
            stored = ink[:, :, :1] * factor
            stored[0, 0] = 255 * factor  # black, so that all bits are in use
            seen = grey.copy()
            seen[0, 0] = 0
            yield f"white-is-zero-{bits}-of-16{suffix}", DeepFile(tiff(stored, 0, packed=packed), seen)
        for bits, factor in DEPTHS.items():
            right = lambda truth, bits=bits: truth if bits == 16 else None  # noqa: E731
            deep, options = rgb.astype(int) * factor, {"packed": packed}
            for order in "<>":
                name = f"{bits}-RGB-{'little' if order == '<' else 'big'}{suffix}"
                yield name, DeepFile(tiff(deep, 2, order=order, **options), right(rgb))
            deep_alpha = np.dstack([np.where(opacity > 0, deep, 65535), opacity * 257])
            yield f"{bits}-RGBA{suffix}", DeepFile(tiff(deep_alpha, 2, extra=(2,), **options), right(composed))
            thin = np.dstack([rgb.astype(int) * 257, opacity * factor])
            yield f"16-RGBA-of-{bits}{suffix}", DeepFile(tiff(thin, 2, extra=(2,), **options), right(composed))
            inks = np.dstack([ink, black]) * factor
            yield f"{bits}-CMYK{suffix}", DeepFile(tiff(inks, 5, **options), right(rgb))
    yield "planes", DeepFile(tiff(rgb.astype(int) * 257, 2, planes=True), None)
    yield "planes-packed", DeepFile(tiff(rgb.astype(int) * 257, 2, planes=True, packed=True), rgb)
    yield "planes-packed-12", DeepFile(tiff(rgb.astype(int) * 16, 2, planes=True, packed=True), None)
    yield "planes-of-8", DeepFile(tiff(rgb, 2, 8, planes=True), rgb)
    indices, colours = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1) % 256, np.arange(256)
    for bits, factor in DEPTHS.items():
        palette = tuple(int(value) * factor for value in np.concatenate([colours, colours[::-1], colours // 2]))
        truth = np.dstack([indices, 255 - indices, indices // 2]).astype(np.uint8)
        yield f"palette-{bits}", DeepFile(tiff(indices, 3, 8, palette=palette), truth if bits == 16 else None)


def others() -> Iterator[tuple[str, DeepFile]]:
    rgb = picture()
    for bits, factor in DEPTHS.items():
        deep = (rgb.astype(int) * factor).astype(">u2")
        truth = rgb if bits == 16 else None
        head = f"{WIDTH} {HEIGHT} 65535\n".encode()
        yield f"ppm-{bits}", DeepFile(b"P6 " + head + deep.tobytes(), truth)
        yield f"ppm-text-{bits}", DeepFile(b"P3 " + head + b" ".join(b"%d" % value for value in deep.flat), truth)
        sgi = struct.pack(">hBBHHHHII", 474, 0, 2, 3, WIDTH, HEIGHT, 3, 0, 65535).ljust(512, b"\0")
        planes = np.moveaxis(deep[::-1], 2, 0)
        yield f"sgi-{bits}", DeepFile(sgi + planes.tobytes(), truth)
    declared = f"P6 {WIDTH} {HEIGHT} 4095\n".encode() + (rgb.astype(int) * 4095 // 255).astype(">u2").tobytes()
    yield "ppm-declared-12", DeepFile(declared, rgb)
