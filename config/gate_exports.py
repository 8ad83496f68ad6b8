"""The section `gate.exports`: what each export of a candidate must show on the test split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import pydantic
from pydantic import Field

from config.export import Format
from config.section import Section, Share

_A_NUMBER, _BY_FORMAT = "a number", "by format"  # tags, which are no part of a field's path
_Bytes = Annotated[int, Field(ge=1)]
_Milliseconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _kind(value: object) -> str:
    return _BY_FORMAT if isinstance(value, dict) else _A_NUMBER


_BytesByFormat = Annotated[
    Annotated[_Bytes, pydantic.Tag(_A_NUMBER)] | Annotated[dict[Format, _Bytes], pydantic.Tag(_BY_FORMAT)],
    pydantic.Discriminator(_kind),
]
_MillisecondsByFormat = Annotated[
    Annotated[_Milliseconds, pydantic.Tag(_A_NUMBER)]
    | Annotated[dict[Format, _Milliseconds], pydantic.Tag(_BY_FORMAT)],
    pydantic.Discriminator(_kind),
]


class ExportsGate(Section):
    """What each file of the section `export` must show on the test split, beside `gate.min_accuracy`.

    Its own runtime answers the same resized images as the SavedModel.
    """

    min_agreement: Share = 0.99
    """Smallest share of the test images for which an export and the SavedModel answer the same class; 0 to 1; default
    0.99."""
    max_regression: Share = 0.01
    """How far an export's accuracy may be below the SavedModel's, on the same images; judged as `judge.regression`
    says; 0 to 1; default 0.01."""
    tolerance: Share = 0.001
    """How far a probability of an export in float32 may differ from the SavedModel's; 0 to 1; default 0.001, for
    rounding. It does not apply to `litert-int8`."""
    max_bytes: _BytesByFormat | None = None
    """Largest size of a file: one number for every format, or a number for each format; bytes, 1 or more; default: no
    bound."""
    max_p50_ms: _MillisecondsByFormat | None = None
    """Longest median time for one image, already resized, in one thread on this machine: one number for every format,
    or a number for each format; milliseconds, above 0; default: no bound."""

    def bytes_of(self, name: Format) -> int | None:
        """The bound on a format's size in bytes; None without one."""
        return self.max_bytes.get(name) if isinstance(self.max_bytes, dict) else self.max_bytes

    def p50_ms_of(self, name: Format) -> float | None:
        """The bound on a format's median time in milliseconds; None without one."""
        return self.max_p50_ms.get(name) if isinstance(self.max_p50_ms, dict) else self.max_p50_ms

    def named_formats(self) -> Iterator[tuple[str, Format]]:
        """Each field with bounds by format, and each format that it names."""
        for field in ("max_bytes", "max_p50_ms"):
            if isinstance(bounds := getattr(self, field), dict):
                for name in bounds:
                    yield field, name
