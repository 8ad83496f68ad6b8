"""One picture as files of many kinds: those on which decoders are known to disagree."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 40, 64
ORIENTATION = 0x0112
_PNG = b"\x89PNG\r\n\x1a\n"


def picture() -> np.ndarray:
    """uint8 [40, 64, 3]: no two of its corners, rows of quarters or channels are alike."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:20, :32], image[:20, 32:] = (230, 30, 20), (20, 160, 240)
    image[20:, :32], image[20:, 32:] = (240, 220, 40), (30, 60, 90)
    image[8:14, 8:56] = (250, 250, 250)
    image[30:36, 4:20] = (90, 10, 120)
    return image


def alpha() -> np.ndarray:
    """uint8 [40, 64]: an opaque shape, a half transparent one, nothing elsewhere."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[4:36, 4:30], mask[10:30, 34:60] = 255, 128
    return mask


def save(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _variants() -> dict[str, bytes]:
    """Name to file."""
    return dict([*_jpegs(), *_pngs(), *_gifs(), *_bmps(), *_webps(), *_tiffs()])


# JPEG


def _jpegs() -> Iterator[tuple[str, bytes]]:
    image = Image.fromarray(picture())
    plain = save(image, "JPEG", quality=95)
    for mode in ("RGB", "L", "CMYK"):
        yield f"jpeg-{mode}", save(image.convert(mode), "JPEG", quality=95)
    yield "jpeg-CMYK-without-adobe", without_segment(save(image.convert("CMYK"), "JPEG", quality=95), 0xEE)
    yield "jpeg-progressive", save(image, "JPEG", quality=95, progressive=True)
    yield "jpeg-444", save(image, "JPEG", quality=95, subsampling=0)
    yield "jpeg-422", save(image, "JPEG", quality=95, subsampling=1)
    yield "jpeg-stored-as-rgb", save(image, "JPEG", quality=95, keep_rgb=True)
    yield "jpeg-restarts", save(image, "JPEG", quality=95, restart_marker_rows=1)
    yield "jpeg-trailing-bytes", plain + b"\0garbage" * 40
    yield "jpeg-mpo", save(image, "MPO", save_all=True, append_images=[Image.new("RGB", image.size, "green")])
    yield "jpeg-broken-exif", jpeg_with(b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03")
    yield "jpeg-exif-of-no-use", jpeg_with(b"Exif\0\0nothing")
    for name, block in _exif_blocks():
        yield f"jpeg-{name}", jpeg_with(b"Exif\0\0" + block)
    for name, text in _xmp():
        yield f"jpeg-{name}", jpeg_with(b"http://ns.adobe.com/xap/1.0/\0" + text)


def jpeg_with(segment: bytes) -> bytes:
    """A JPEG with an APP1 segment."""
    plain = save(Image.fromarray(picture()), "JPEG", quality=95)
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


def without_segment(jpeg: bytes, marker: int) -> bytes:
    start = jpeg.index(bytes((0xFF, marker)))
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]


def exif(value: int, order: str = "MM", kind: int = 3, count: int = 1, times: int = 1) -> bytes:
    """A TIFF block with the tag Orientation, `times` times; `kind`: 3 SHORT, 4 LONG."""
    mark = ">" if order == "MM" else "<"
    code = {1: "B3x", 3: "H2x", 4: "I"}[kind]
    entries = [
        struct.pack(mark + "HHI" + code, ORIENTATION, kind, count, value + (times - 1 - n)) for n in range(times)
    ]
    return order.encode() + struct.pack(mark + "HIH", 42, 8, times) + b"".join(entries) + bytes(4)


def _exif_blocks() -> Iterator[tuple[str, bytes]]:
    for value in range(1, 9):
        yield f"exif-{value}", exif(value)
    for order in ("II", "MM"):
        yield f"exif-long-{order}", exif(6, order, 4)
        yield f"exif-byte-{order}", exif(8, order, 1)
        yield f"exif-two-values-{order}", exif(6, order, 3, count=2)
    yield "exif-twice", exif(3, times=2)
    yield "exif-too-short", exif(6)[:-8]


def _xmp() -> Iterator[tuple[str, bytes]]:
    frame = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {}>{}</rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    yield "xmp-attribute", frame.format('tiff:Orientation="6"', "").encode()
    yield "xmp-element", frame.format("", "<tiff:Orientation>8</tiff:Orientation>").encode()
    yield "xmp-none", frame.format("", "ä").encode()


# PNG


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if crc is None else crc)
    )


def png_with(*chunks: bytes, plain: bytes | None = None, at: int = 33) -> bytes:
    """A PNG with more chunks, by default after its header."""
    plain = plain or save(Image.fromarray(picture()), "PNG")
    return plain[:at] + b"".join(chunks) + plain[at:]


def png_of(samples: np.ndarray, bits: int, colour: int, *chunks: bytes, interlaced: bool = False) -> bytes:
    """A PNG of any kind.

    Args:
      samples: [height, width, channels].
      bits: per sample, 8 or 16.
      colour: type of the header: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.
      chunks: between header and pixels.
      interlaced: by Adam7.
    """
    height, width = samples.shape[:2]
    kind = ">u2" if bits == 16 else "u1"
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [samples]
    rows = b"".join(b"\0" + row.astype(kind).tobytes() for part in parts if part.size for row in part)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    return _PNG + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _pngs() -> Iterator[tuple[str, bytes]]:
    image, mask = Image.fromarray(picture()), alpha()
    rgba, sixteen = np.dstack([picture(), mask]), picture().astype(np.uint16) * 257
    for mode in ("RGB", "L", "1", "P"):
        yield f"png-{mode}", save(image.convert(mode), "PNG")
    for bits in (1, 2, 4):
        yield f"png-palette-{bits}-bits", save(image.quantize(2**bits), "PNG", bits=bits)
    yield "png-RGBA", save(Image.fromarray(rgba), "PNG")
    yield "png-LA", save(Image.fromarray(rgba).convert("LA"), "PNG")
    yield "png-alpha-on-black", save(Image.fromarray(np.dstack([np.zeros_like(picture()), mask])), "PNG")
    yield "png-palette-transparent", save(image.quantize(8), "PNG", transparency=2)
    yield "png-palette-alphas", save(image.quantize(8), "PNG", transparency=bytes((0, 64, 128, 255, 255, 200)))
    yield "png-RGB-key", save(image, "PNG", transparency=(250, 250, 250))
    grey = image.convert("L")
    yield "png-L-key", save(grey, "PNG", transparency=grey.getpixel((0, 0)))
    yield "png-16-grey", png_of(sixteen[:, :, :1], 16, 0)
    yield "png-16-grey-alpha", png_of(np.dstack([sixteen[:, :, :1], mask.astype(np.uint16) * 257]), 16, 4)
    yield "png-16-grey-key", png_of(sixteen[:, :, :1], 16, 0, chunk(b"tRNS", struct.pack(">H", 250 * 257)))
    yield "png-16-RGB", png_of(sixteen, 16, 2)
    yield "png-16-RGBA", png_of(np.dstack([sixteen, mask.astype(np.uint16) * 257]), 16, 6)
    yield "png-16-grey-of-12-bits", png_of(sixteen[:, :, :1] // 16, 16, 0)
    yield "png-16-RGB-of-12-bits", png_of(sixteen // 16, 16, 2)
    yield "png-interlaced", png_of(picture(), 8, 2, interlaced=True)
    yield "png-interlaced-RGBA", png_of(rgba, 8, 6, interlaced=True)
    yield "png-gamma", png_with(chunk(b"gAMA", struct.pack(">I", 100000)))
    yield "png-apng", save(image, "PNG", save_all=True, append_images=[Image.new("RGB", image.size, "green")])
    yield "png-bad-checksum", png_with(chunk(b"tEXt", b"Comment\0hello", crc=1))
    yield "png-bad-checksum-of-time", png_with(chunk(b"tIME", b"\x07\xe8\1\1\1\1\1", crc=1))
    yield "png-long-text", png_with(chunk(b"tEXt", b"Comment\0" + b"x" * 1_200_000))
    yield "png-long-compressed-text", png_with(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 1_200_000)))
    yield "png-bad-text", png_with(chunk(b"zTXt", b"Comment\0\0nonsense"))
    yield "png-exif", png_with(chunk(b"eXIf", exif(6)))
    yield "png-exif-long", png_with(chunk(b"eXIf", exif(6, "MM", 4)))
    yield "png-exif-at-the-end", png_with(chunk(b"eXIf", exif(6)), at=-12)
    yield "png-exif-with-bad-checksum", png_with(chunk(b"eXIf", exif(6), crc=1))
    yield "png-exif-broken", png_with(chunk(b"eXIf", b"MM\0*\0"))
    raw = "\nexif\n{:8d}\n{}\n"
    for order in ("II", "MM"):
        block = b"Exif\0\0" + exif(6, order)
        digits = block.hex()
        text = raw.format(len(block), "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))).encode()
        yield f"png-raw-profile-{order}", png_with(chunk(b"tEXt", b"Raw profile type exif\0" + text))
        compressed = b"Raw profile type exif\0\0" + zlib.compress(text)
        yield f"png-raw-profile-compressed-{order}", png_with(chunk(b"zTXt", compressed))
    for name, text in _xmp():
        yield f"png-{name}", png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text))
        yield f"png-{name}-compressed", png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(text)))


# GIF


def gif(
    canvas: tuple[int, int],
    corner: tuple[int, int],
    indices: np.ndarray,
    transparent: int | None = None,
    *,
    background: int = 0,
    local: bool = False,
    frames: int = 1,
    version: bytes = b"GIF89a",
) -> bytes:
    """A GIF whose frame lies somewhere on its canvas.

    Args:
      canvas: width, height.
      corner: left, top.
      indices: uint8 [height, width], in the palette of 8 colours.
      transparent: index.
      background: index that the header names.
      local: whether the frame has a palette of its own, and the file has none.
      frames: the same frame again and again.
      version: first six bytes.
    """
    palette = bytes(
        (200, 40, 20, 20, 160, 240, 240, 220, 40, 30, 60, 90, 250, 250, 250, 90, 10, 120, 0, 0, 0, 7, 99, 5)
    )
    encoded = save(Image.fromarray(indices, "P"), "GIF")
    # Of Pillow's file only the compressed indices are taken: behind the last image descriptor and its palette.
    with Image.open(io.BytesIO(encoded)) as image:
        at = image.tile[0].offset - 1  # the code size
    descriptor = struct.pack("<BHHHHB", 0x2C, *corner, *indices.shape[::-1], 0x82 if local else 0)
    control = b"" if transparent is None else struct.pack("<BBBBHBB", 0x21, 0xF9, 4, 1, 0, transparent, 0)
    frame = control + descriptor + (palette if local else b"") + encoded[at:-1]
    screen = struct.pack("<HHBBB", *canvas, 0x70 if local else 0xF2, background, 0)
    return version + screen + (b"" if local else palette) + frame * frames + b";"


def _gifs() -> Iterator[tuple[str, bytes]]:
    indices = np.asarray(Image.fromarray(picture()).quantize(6)).copy()
    image = Image.fromarray(picture())
    yield "gif", save(image.quantize(64), "GIF")
    yield "gif-grey", save(image.convert("L"), "GIF")
    yield "gif-interlaced", save(image.quantize(64), "GIF", interlace=1)
    yield "gif-not-interlaced", save(image.quantize(64), "GIF", interlace=0)
    yield "gif-animated", save(image, "GIF", save_all=True, append_images=[Image.new("RGB", image.size, "green")])
    yield "gif-transparent", save(image.quantize(6), "GIF", transparency=2)
    yield "gif-87a", gif((WIDTH, HEIGHT), (0, 0), indices, version=b"GIF87a")
    yield "gif-local-palette", gif((WIDTH, HEIGHT), (0, 0), indices, local=True)
    for name, corner in (("off-the-corner", (10, 6)), ("below-the-corner", (0, 16)), ("at-the-corner", (0, 0))):
        part = indices[: HEIGHT - 16, : WIDTH - 16]
        yield f"gif-{name}", gif((WIDTH, HEIGHT), corner, part, background=3)
        yield f"gif-{name}-transparent", gif((WIDTH, HEIGHT), corner, part, 2)
        yield f"gif-{name}-local", gif((WIDTH, HEIGHT), corner, part, local=True)
        yield f"gif-{name}-frames", gif((WIDTH, HEIGHT), corner, part, frames=3)
    yield "gif-beyond-the-canvas", gif((WIDTH - 10, HEIGHT - 4), (6, 6), indices)
    yield "gif-wholly-transparent", gif((WIDTH, HEIGHT), (0, 0), np.full((HEIGHT, WIDTH), 5, np.uint8), 5)


# BMP


def bmp(
    rows: np.ndarray,
    bits: int,
    *,
    compression: int = 0,
    masks: tuple[int, ...] = (),
    palette: bytes = b"",
    top_down: bool = False,
    header: int = 40,
) -> bytes:
    """A BMP.

    Args:
      rows: uint8 [height, bytes of a row without padding], the first row at the top.
      bits: per pixel.
      compression: 0 none, 3 masks.
      masks: of red, green, blue, and alpha.
      palette: entries of four bytes.
      top_down: whether the top row comes first.
      header: bytes of the information header: 12 (OS/2), 40, 56 (with masks), 108 or 124.
    """
    height, width = len(rows), rows.shape[1] * 8 // bits
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    body = (padded if top_down else padded[::-1]).tobytes()
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if top_down else height
        colours = len(palette) // 4
        info = struct.pack("<IiiHHIIiiII", header, width, signed, 1, bits, compression, len(body), 0, 0, colours, 0)
        info += struct.pack(f"<{len(masks)}I", *masks)
        info = info.ljust(header, b"\0")
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + palette + body


def _bmps() -> Iterator[tuple[str, bytes]]:
    image, rgb = Image.fromarray(picture()), picture()
    flat = lambda samples: np.ascontiguousarray(samples).reshape(HEIGHT, -1)  # noqa: E731
    bgr, full = rgb[:, :, ::-1], np.full((HEIGHT, WIDTH), 255, np.uint8)
    yield "bmp-24", bmp(flat(bgr), 24)
    yield "bmp-24-odd-width", bmp(flat(bgr[:, :61]).reshape(HEIGHT, -1), 24)
    yield "bmp-24-top-down", bmp(flat(bgr), 24, top_down=True)
    yield "bmp-24-os2", bmp(flat(bgr), 24, header=12)
    yield "bmp-24-v5", bmp(flat(bgr), 24, header=124)
    yield "bmp-32", bmp(flat(np.dstack([bgr, full])), 32)
    yield "bmp-32-fourth-byte-zero", bmp(flat(np.dstack([bgr, full * 0])), 32)
    for name, order in (("RGBA", (0, 1, 2, 3)), ("BGRA", (2, 1, 0, 3)), ("ABGR", (3, 2, 1, 0)), ("ARGB", (1, 2, 3, 0))):
        masks = tuple(0xFF << (8 * at) for at in order)
        channels = np.empty((HEIGHT, WIDTH, 4), np.uint8)
        for channel, at in enumerate(order):
            channels[:, :, at] = [*np.moveaxis(rgb, 2, 0), alpha()][channel]
        for header in (56, 108, 124):
            yield f"bmp-32-{name}-{header}", bmp(flat(channels), 32, compression=3, masks=masks, header=header)
        yield f"bmp-32-{name}-without-alpha", bmp(flat(channels), 32, compression=3, masks=masks[:3], header=52)
        yield f"bmp-32-{name}-masks-behind", bmp(flat(channels), 32, compression=3, masks=masks[:3], header=40)
    yield "bmp-16-555", bmp(flat(_sixteen(rgb, (5, 5, 5)).view(np.uint8)), 16)
    masks = (0xF800, 0x07E0, 0x001F)
    yield "bmp-16-565", bmp(flat(_sixteen(rgb, (5, 6, 5)).view(np.uint8)), 16, compression=3, masks=masks, header=56)
    indexed = image.quantize(16)
    palette = np.array(indexed.getpalette()[:48], np.uint8).reshape(-1, 3)
    entries = np.pad(palette[:, ::-1], ((0, 0), (0, 1)))
    yield "bmp-8-palette", bmp(np.asarray(indexed), 8, palette=entries.tobytes())
    yield "bmp-8-top-down", bmp(np.asarray(indexed), 8, palette=entries.tobytes(), top_down=True)
    nibbles = np.asarray(indexed)
    yield "bmp-4", bmp((nibbles[:, ::2] << 4 | nibbles[:, 1::2]).astype(np.uint8), 4, palette=entries.tobytes())
    yield "bmp-1", save(image.convert("1"), "BMP")
    yield "bmp-8-grey", save(image.convert("L"), "BMP")
    yield "bmp-8-rle", bmp_rle(np.asarray(indexed), entries.tobytes())


def bmp_rle(indices: np.ndarray, palette: bytes) -> bytes:
    body = b"".join(b"".join(bytes((1, value)) for value in row) + b"\0\0" for row in indices[::-1]) + b"\0\1"
    height, width = indices.shape
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, len(palette) // 4, 0)
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + palette + body


def _sixteen(rgb: np.ndarray, bits: tuple[int, int, int]) -> np.ndarray:
    value = np.zeros(rgb.shape[:2], np.uint16)
    for channel, size in enumerate(bits):
        value = (value << size) | (rgb[:, :, channel].astype(np.uint16) >> (8 - size))
    return value.astype("<u2")


# WebP


def riff_with(webp: bytes, kind: bytes, body: bytes, flag: int) -> bytes:
    """A WebP with a chunk at its end, and the header's flag for it."""
    if webp[12:16] != b"VP8X":
        size = struct.pack("<I", WIDTH - 1)[:3] + struct.pack("<I", HEIGHT - 1)[:3]
        webp = webp[:12] + b"VP8X" + struct.pack("<IB3x", 10, 0) + size + webp[12:]
    parts = webp[12:20] + bytes((webp[20] | flag,)) + webp[21:]
    parts += kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


def _webps() -> Iterator[tuple[str, bytes]]:
    image = Image.fromarray(picture())
    rgba = Image.fromarray(np.dstack([picture(), alpha()]))
    lossless, green = save(image, "WEBP", lossless=True), Image.new("RGB", image.size, "green")
    yield "webp", save(image, "WEBP", quality=90)
    yield "webp-lossless", lossless
    yield "webp-alpha", save(rgba, "WEBP", lossless=True, exact=True)
    yield "webp-lossy-alpha", save(rgba, "WEBP", quality=90)
    yield "webp-animated", save(image, "WEBP", lossless=True, save_all=True, append_images=[green])
    yield "webp-animated-alpha", save(rgba, "WEBP", lossless=True, save_all=True, append_images=[green])
    for name, block in _exif_blocks():
        yield f"webp-{name}", riff_with(lossless, b"EXIF", block, 8)
    yield "webp-exif-with-prefix", riff_with(lossless, b"EXIF", b"Exif\0\0" + exif(6), 8)
    yield "webp-exif-broken", riff_with(lossless, b"EXIF", b"MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03", 8)
    yield "webp-exif-of-no-use", riff_with(lossless, b"EXIF", b"nothing", 8)
    for name, text in _xmp():
        yield f"webp-{name}", riff_with(lossless, b"XMP ", text, 4)


# TIFF


def _tiffs() -> Iterator[tuple[str, bytes]]:
    image = Image.fromarray(picture())
    rgba = Image.fromarray(np.dstack([picture(), alpha()]))
    for mode in ("RGB", "L", "1", "P", "CMYK"):
        yield f"tiff-{mode}", save(image.convert(mode), "TIFF")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield f"tiff-{compression}", save(image, "TIFF", compression=compression)
    yield "tiff-RGBA", save(rgba, "TIFF")
    yield "tiff-LA", save(rgba.convert("LA"), "TIFF")
    yield "tiff-turned", save(image, "TIFF", tiffinfo={ORIENTATION: 6})
    yield "tiff-pages", save(image, "TIFF", save_all=True, append_images=[Image.new("RGB", image.size, "green")])
    sixteen = np.asarray(image.convert("L")).astype(np.uint16) * 257
    yield "tiff-16", save(Image.fromarray(sixteen), "TIFF")
    yield "tiff-16-of-12-bits", save(Image.fromarray(sixteen // 16), "TIFF")


VARIANTS = _variants()
