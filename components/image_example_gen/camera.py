"""Which camera took an image."""

from __future__ import annotations

import PIL.ExifTags
import PIL.Image

_MOST_CHARACTERS = 64


def name_of(image: PIL.Image.Image) -> str:
    """Make and model, as EXIF names them: `Apple iPhone 12`; empty if it names none.

    The make is left out where the model begins with its first word: `Canon EOS 80D`, `NIKON D90`. Only printable ASCII
    is kept, at most 64 characters. Damaged EXIF names no camera.
    """
    try:
        exif = image.getexif()
        make, model = (_text(exif.get(tag)) for tag in (PIL.ExifTags.Base.Make, PIL.ExifTags.Base.Model))
    except Exception:  # Pillow's readers raise errors of any type
        return ""
    brand = make.partition(" ")[0].casefold()
    name = model if model and model.casefold().startswith(brand) else f"{make} {model}"
    return name[:_MOST_CHARACTERS].strip()


def _text(value: object) -> str:
    """Text of a tag, up to the first NUL, with single spaces."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""
    text = text.partition("\0")[0]
    return " ".join("".join(letter for letter in text if letter.isascii() and letter.isprintable()).split())
