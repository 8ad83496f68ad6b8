"""Writes what a search found into the configuration file: for `regraft freeze`."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, TextIO

from config import loading, search_space, yaml_editing, yaml_scalars
from config.errors import BadInputError, ExitCode
from config.run import RunConfig
from config.search_space import FINE_TUNE, LAYERS, NO_LAYERS
from config.stages import TUNER
from modules.files import atomic_write, errors_name
from modules.tuning import values
from pipeline.workspace import RunFolder, display_path

_BEST = "best_hyperparameters.txt"  # TFX's name for it


def freeze(config_path: str, workspace: str, found: str | None, dry_run: bool, terminal: TextIO) -> ExitCode:
    """Writes the best values into the file, and `tuner: null`; prints the difference.

    Args:
      config_path: of the configuration file.
      workspace: where its runs are kept.
      found: `best_hyperparameters.txt` of a run on other machines; None: that of the last run here with a stage Tuner.
      dry_run: whether only the difference is printed.
      terminal: where it is printed.

    Raises:
      BadInputError: if there is no such run, or it searched other fields than the configuration does now.
    """
    config = loading.load(config_path)
    if config.tuner is None:
        raise BadInputError(f"{config_path}: tuner: is not set, so there is nothing to freeze")
    best = Path(found) if found else _best_file(RunFolder(workspace, config.name))
    tuned = _read(best)
    if other := sorted(tuned.keys() - config.search_space.keys()):
        raise BadInputError(
            f"{config_path}: the search in {display_path(best)} tuned {other[0]}, which the configuration does not "
            "search; run again"
        )
    text = Path(config_path).read_text(encoding="utf-8")
    frozen = yaml_editing.edited(text, changes(config, yaml_scalars.read(text).content, tuned))
    _check(config, tuned, frozen, config_path)
    lines = difflib.unified_diff(text.splitlines(True), frozen.splitlines(True), config_path, f"{config_path}, frozen")
    terminal.writelines(lines)
    if not dry_run:
        atomic_write(Path(config_path).resolve(), frozen)
        print(f"{config_path}: the values of the last search are written, and tuner is null", file=terminal)
    return ExitCode.OK


def changes(config: RunConfig, content: dict[str, Any], tuned: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    """What changes in the file: keys from the top to the new value.

    Args:
      config: as the file has it now.
      content: of the file.
      tuned: the values by path.
    """
    wanted = json.loads(search_space.applied(config.classifier, tuned).serialized())
    has_no_phase_2 = tuned.get(LAYERS) == NO_LAYERS
    result: dict[tuple[str, ...], Any] = {
        tuple(path.split(".")): value
        for path, value in tuned.items()
        if not (has_no_phase_2 and path.startswith(FINE_TUNE))
    }
    if has_no_phase_2:
        result[tuple(FINE_TUNE.split("."))] = None
    for path in _paths(content):
        if path[0] in wanted and not _holds(wanted, path) and not (has_no_phase_2 and _is_below(path, FINE_TUNE)):
            result[path] = yaml_editing.DELETED  # an option of another kind of head or optimizer
    result[("tuner",)] = None
    return result


def _best_file(folder: RunFolder) -> Path:
    from pipeline import open_metadata, run_metadata

    if folder.metadata.is_file():
        with open_metadata.opened(folder) as store:
            runs = run_metadata.read_runs(store, str(folder.artifacts))
        for run in reversed(runs):
            if TUNER in run.stages:
                file = Path(run.stages[TUNER].outputs["best_hyperparameters"].uri, _BEST)
                if file.is_file():
                    return file
    raise BadInputError(
        f"{display_path(folder.path)}: no run of this pipeline has a stage {TUNER} that ended; run `regraft run` first"
    )


def _read(best: Path) -> dict[str, Any]:
    try:
        return values.decoded(json.loads(best.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError) as error:
        raise BadInputError(f"{display_path(best)}: not what Tuner writes: {error}") from None


def _check(config: RunConfig, tuned: dict[str, Any], frozen: str, config_path: str) -> None:
    """Loads the new text as a run would, and compares it with what is wanted.

    Raises:
      BadInputError: if it differs; the file is left as it is.
    """
    beside = Path(config_path).resolve().with_name(f".{Path(config_path).name}.freezing.tmp")
    try:
        with errors_name(config_path):
            beside.write_text(frozen, encoding="utf-8")
        loaded = loading.load(beside)
    finally:
        beside.unlink(missing_ok=True)
    wanted = search_space.applied(config.classifier, tuned)
    others = {*type(loaded).model_fields} - {*type(wanted).model_fields, "tuner"}
    same = all(getattr(loaded, name) == getattr(config, name) for name in others)
    if not same or loaded.tuner is not None or loaded.classifier.serialized() != wanted.serialized():
        raise BadInputError(
            f"{config_path}: the file cannot be changed without changing other values; set these by hand, and tuner to "
            f"null: {values.described(tuned)}"
        )


def _paths(content: Any, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(content, dict):
        return [before]
    own = [before] if before and not content else []
    return own + [path for name, value in content.items() for path in _paths(value, (*before, str(name)))]


def _holds(content: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(content, dict):
            return True  # a value, such as the weights of classes
        if name not in content:
            return False
        content = content[name]
    return True


def _is_below(path: tuple[str, ...], section: str) -> bool:
    return ".".join(path).startswith(section)
