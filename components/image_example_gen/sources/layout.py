"""How the folders of a data folder are meant: as classes, as splits of classes, or as classes with splits inside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from components.image_example_gen.sources import names
from config.data import SPLITS, TRAIN
from config.errors import BadInputError, listed
from config.section import normalize_class_name

Path = tuple[str, ...]  # the components of a file's path below the data folder

# Words that a folder of a split may have in its name beside the split's: `train_set`, `test images`.
_FILLERS = frozenset({"set", "data", "dataset", "split", "images", "image", "imgs", "img", "photos", "pictures"})
_JOINED = re.compile(r"(train|training|test|testing|val|validation|dev|eval)set")


@dataclass(frozen=True)
class Layout:
    """Which component of a path is what.

    Attributes:
      class_at: index of the class.
      split_at: index of the split; None if the folders name none.
      doubled: split folders that contain a folder of their own name, which contains the classes.
    """

    class_at: int = 0
    split_at: int | None = None
    doubled: Collection[str] = ()

    def label_of(self, path: Path) -> str:
        """The class of a file, normalized; empty if the file is in no class folder."""
        at = self.class_at + (self.split_at == 0 and path[0] in self.doubled)
        return normalize_class_name(path[at]) if len(path) > at + 1 else ""

    def split_of(self, path: Path) -> str:
        """The split of a file; empty if the folders name none."""
        return "" if self.split_at is None or len(path) < self.split_at + 2 else _split_of(path[self.split_at])[0]

    def split_folders(self, paths: Iterable[Path]) -> dict[str, str]:
        """Name of each folder of a split to the split, in the order of the splits."""
        at = self.split_at
        if at is None:
            return {}
        folders = {path[at] for path in paths if len(path) > at + 1}
        order = {split: index for index, split in enumerate(SPLITS)}
        return dict(sorted(((name, _split_of(name)[0]) for name in folders), key=lambda pair: (order[pair[1]], pair)))


def find(root: str, paths: Sequence[Path], classes: Collection[str] | None) -> Layout:
    """Finds out what the folders mean.

    Folders that `data.classes` names are always classes.

    Args:
      root: the data folder, for messages.
      paths: of all files.
      classes: `data.classes`.

    Raises:
      BadInputError: if folders of splits are beside other folders, contain no class folders, or have other classes than
        the training split.
    """
    tops = sorted({path[0] for path in paths if len(path) > 1})
    listed_classes = [name for name in tops if normalize_class_name(name) in (classes or ())]
    if not listed_classes and _are_splits(tops):
        return _splits_of_classes(root, paths, tops, classes)
    alike = [name for name in tops if name not in listed_classes and _is_plain(name)]
    if alike:
        others = [name for name in tops if name not in alike]
        raise BadInputError(
            f"data.path: {root!r} has folders named like splits ({listed(alike)}) beside other folders "
            f"({listed(others)}); if they are splits, move the other folders out of the data folder; if they are "
            "classes, list every class in data.classes"
        )
    return _splits_in_classes(root, paths, tops)


def splits_of_records(paths: Iterable[Path]) -> dict[Path, str]:
    """The splits of files of records by the names of their folders, or by their own: `train-00000-of-00010`.

    Args:
      paths: of all files.

    Returns:
      path to split; empty unless the names at one depth differ only in the split, and one is that of training.
    """
    paths = list(paths)
    for at in range(min(map(len, paths), default=0)):
        splits = {path: _split_of(path[at])[0] for path in paths}
        if _are_splits({path[at] for path in paths}) and TRAIN in splits.values() and len(set(splits.values())) > 1:
            return splits
    return {}


def check_names_of_records(root: str, paths: Sequence[Path]) -> None:
    """Refuses `train` beside `holdout`, and `cats-train` beside `dogs-test`: a hash would mix what is kept apart.

    Args:
      root: the data folder or pattern, for messages.
      paths: of all files; `splits_of_records` finds no splits in them.

    Raises:
      BadInputError: if some names say a split and others beside them do not, or not in the same words.
    """
    for at in range(max(map(len, paths), default=0)):
        _check_names_of_records(root, {path[at] for path in paths if len(path) > at + 1}, "folders")
        _check_names_of_records(root, {path[at] for path in paths if len(path) == at + 1}, "files")


def _check_names_of_records(root: str, found: Collection[str], kind: str) -> None:
    alike = sorted(name for name in found if _split_of(name)[0])
    splits = {_split_of(name)[0] for name in alike}
    others = sorted(set(found) - set(alike))
    if not (TRAIN in splits and (others or len(splits) > 1)):
        return
    beside = f"beside other {kind} ({listed(others)})" if others else "in different words"
    raise BadInputError(
        f"data.path: {root!r} has {kind} named like splits ({listed(alike)}) {beside}, so it is unknown which split "
        f"is meant; name all {kind} alike (train, val, test), move the other {kind} out of the data folder, or set "
        "data.fields.split"
    )


def inner_folders(paths: Sequence[Path]) -> tuple[str, list[str]]:
    """The first folder of several folders, where every file is below one chain of folders.

    Returns:
      its path below the data folder, and the names of its folders; an empty path if there is no such folder.
    """
    inside = [path for path in paths if len(path) > 1]
    at = 0
    while inside and len({path[at] for path in inside}) == 1:
        at += 1
        inside = [path for path in inside if len(path) > at + 1]
    return ("/".join(inside[0][:at]), sorted({path[at] for path in inside})) if inside and at else ("", [])


def common_inner_folders(paths: Iterable[Path], chosen: Layout) -> list[str]:
    """Folders that every class folder contains, two or more: `entrenamiento/{a,b}` and `prueba/{a,b}`.

    Args:
      paths: of all files.
      chosen: what their folders are taken for.

    Returns:
      their names, sorted; none if the images of a class are mostly elsewhere, or there is a single class.
    """
    inside: dict[str, Counter[str]] = {}
    for path in paths:
        if label := chosen.label_of(path):
            at = chosen.class_at + 1 if chosen.split_at is None else max(chosen.class_at, chosen.split_at) + 1
            inside.setdefault(label, Counter())[path[at].casefold() if len(path) > at + 1 else ""] += 1
    if len(inside) < 2:
        return []
    common = set.intersection(*map(set, inside.values())) - {""}
    mostly = all(2 * sum(found[name] for name in common) > found.total() for found in inside.values())
    return sorted(common) if len(common) > 1 and mostly else []


def is_split(folder: str) -> bool:
    """Whether a folder's name contains that of a split."""
    return bool(_split_of(folder)[0])


def _split_of(name: str) -> tuple[str, Path]:
    """The split that a folder's name contains as a word, and the other words; no split if there is none or several."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [_JOINED.sub(r"\1", word) for word in re.findall(r"[^\W\d_]+", apart.casefold())]
    splits = [split for word in words if (split := names.standard_split_name(word))]
    rest = tuple(word for word in words if not names.standard_split_name(word) and word not in _FILLERS)
    return (splits[0] if len(splits) == 1 else "", rest)


def _is_plain(name: str) -> bool:
    """Whether a name says nothing but the split: `Train`, `val2017`, `test_images`, but not `pregnancy test`."""
    split, rest = _split_of(name)
    return bool(split) and not rest


def _are_splits(folders: Collection[str]) -> bool:
    """Whether all of these names differ only in the split: `train` and `test`, `seg_train` and `seg_test`."""
    found = [_split_of(name) for name in folders]
    if not found or not all(split for split, _ in found) or len({rest for _, rest in found}) > 1:
        return False
    return not found[0][1] or len({split for split, _ in found}) > 1


def _splits_of_classes(
    root: str, paths: Sequence[Path], tops: Sequence[str], classes: Collection[str] | None
) -> Layout:
    below = {top: [path[1:] for path in paths if path[0] == top and len(path) > 1] for top in tops}
    doubled = [top for top in tops if {path[0].casefold() for path in below[top]} == {top.casefold()}]
    layout = Layout(1, 0, frozenset(doubled))
    if TRAIN not in {_split_of(top)[0] for top in tops}:
        raise BadInputError(
            f"data.path: the folders of {root!r} are named like splits ({listed(tops)}), and none like the training "
            "split; add it, or, if they are classes, list every class in data.classes"
        )
    if empty := [top for top in tops if not any(layout.label_of((top, *path)) for path in below[top])]:
        raise BadInputError(
            f"data.path: the folders of {root!r} are named like splits ({listed(tops)}), but {listed(empty)} contains "
            "images without class folders; put them into one folder per class, or move that folder out of the data "
            "folder; if the folders are classes, list every class in data.classes"
        )
    _check_same_classes(root, layout, paths, classes)
    return layout


def _check_same_classes(root: str, layout: Layout, paths: Sequence[Path], classes: Collection[str] | None) -> None:
    """Every allowed class must be in the training split; a name that is written otherwise there is named."""
    by_class: dict[str, dict[str, str]] = {}
    for path in paths:
        label = layout.label_of(path)
        if label and (classes is None or label in classes):
            by_class.setdefault(label, {}).setdefault(layout.split_of(path), path[0])
    trained = {name.casefold().strip(): name for name, splits in by_class.items() if TRAIN in splits}
    for name, splits in sorted(by_class.items()):
        if TRAIN not in splits:
            other = trained.get(name.casefold().strip())
            hint = f"the training split has {other!r}; rename one" if other else "add training images, or remove it"
            raise BadInputError(
                f"data.path: the class {name!r} is in {listed(sorted(splits.values()))} of {root!r}, but not in the "
                f"training split; {hint}"
            )


def _splits_in_classes(root: str, paths: Sequence[Path], tops: Sequence[str]) -> Layout:
    """`cat/train/…`, `cat/test/…`, `dog/train/…`."""
    inside = [path for path in paths if len(path) > 1]
    folders = sorted({path[1] for path in inside if len(path) > 2})
    alike = folders if _are_splits(folders) else [name for name in folders if _is_plain(name)]
    splits = {_split_of(name)[0] for name in alike}
    if TRAIN not in splits or len(splits) < 2:
        return Layout()
    others = sorted({"/".join(path[:2]) for path in inside if path[1] not in alike or len(path) < 3})
    if others:
        raise BadInputError(
            f"data.path: class folders of {root!r} contain folders named like splits ({listed(alike)}) and something "
            f"else ({listed(others)}); move everything into the splits, or rename these folders"
        )
    deeper = [{path[2] for path in inside if path[0] == top and len(path) > 3} for top in tops]
    if len(tops) > 1 and all(len(path) > 3 for path in inside) and len(set.intersection(*deeper)) > 1:
        raise BadInputError(
            f"data.path: the folders {listed(tops)} of {root!r} each contain splits ({listed(folders)}), and these "
            f"contain the same folders ({listed(sorted(set.intersection(*deeper)))}), which look like the classes; set "
            "data.path to one of them, or use a manifest (data.source: manifest)"
        )
    return Layout(0, 1)
