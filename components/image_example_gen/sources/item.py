"""What a source is made of, before any image is read."""

from __future__ import annotations

from dataclasses import dataclass

from components.image_example_gen.reasons import Reason


@dataclass(frozen=True, order=True, slots=True)
class Item:
    """One image file, or one file of records.

    Attributes:
      path: as a person knows it: below the data folder, `/` between folders.
      uri: where it is opened; empty for what won't be.
      label: the class; empty where there is none, or the records say.
      split, group: as the source names them; empty where it doesn't.
      weight: of the example in the loss.
      size: bytes; 0 where nobody has asked.
      refused: why it won't be read, and the detail; None if it will be.
      records: whether it is a file of records.
    """

    path: str
    uri: str
    label: str = ""
    split: str = ""
    group: str = ""
    weight: float = 1.0
    size: int = 0
    refused: tuple[Reason, str] | None = None
    records: bool = False
