"""What a source lists before any image is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from components.image_example_gen.quarantine import Rejection


@dataclass(frozen=True, order=True, slots=True)
class Item:
    """One image file, or one file of records.

    Attributes:
      path: as shown to people: below the data folder, with `/` between folders.
      uri: where it is opened; empty if it must not be read.
      label: the class; empty if there is none, or each record has its own.
      split: to which the source assigns it; may be empty.
      group: as the source names it; may be empty.
      weight: of the example in the loss.
      size: bytes; 0 if unknown.
      rejection: why it is not read; None if it is.
      records: whether it is a file of records.
      line: of the table that names it, from 1; 0 if none does.
      columns: values of the columns of `data.slice_columns`, in this order; empty text for none.
    """

    path: str
    uri: str
    label: str = ""
    split: str = ""
    group: str = ""
    weight: float = 1.0
    size: int = 0
    rejection: Rejection | None = None
    records: bool = False
    line: int = field(default=0, compare=False)
    columns: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Findings:
    """What a person should know about how a source was read.

    Attributes:
      ignored: kind of clutter to the number of files and folders that are no data.
      split_folders: name of a folder to the split of the images in it.
      inner_folders: names that every class folder's subfolders have, if most images are in them; they may be the
        classes.
    """

    ignored: Mapping[str, int] = field(default_factory=dict)
    split_folders: Mapping[str, str] = field(default_factory=dict)
    inner_folders: Sequence[str] = ()
