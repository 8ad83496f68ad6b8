"""Removes artifacts that no recent run and no pushed version needs: for `regraft clean`."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import rich.box
import rich.table
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

from config.errors import BadInputError
from config.stages import EVALUATOR, PUSHER, SERVING_CHECK, TRAINER
from pipeline import console, open_metadata, run_metadata
from pipeline.workspace import RunFolder, display_path

_OF_A_VERSION = (TRAINER, EVALUATOR, SERVING_CHECK, PUSHER)
# A few kilobytes per run, from which `regraft history` and `regraft explain` read.
_VERDICTS = (f"{EVALUATOR}/blessing/", f"{SERVING_CHECK}/infra_blessing/")
_CANDIDATES = "_candidates"  # copies of the models that `regraft run --gate-only` judged
_SYSTEM = ".system"  # TFX's own folder in that of each stage; without files, unless a run was killed
_UNITS = ("B", "KB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Removable:
    """A folder that nothing needs.

    Attributes:
      path: of the folder.
      stage: whose output it is.
      size: bytes.
    """

    path: Path
    stage: str
    size: int


def clean(folder: str | Path, keep_runs: int, is_dry_run: bool, terminal: TextIO) -> None:
    """Removes what neither the last runs nor any version that is still pushed needs, and says what and how much.

    Of a run that pushed such a version, the model, the record of its training, its evaluation and its verdict stay. The
    verdicts of all runs stay.

    Args:
      folder: the pipeline's, `<workspace>/<pipeline name>`.
      keep_runs: of how many runs all artifacts stay.
      is_dry_run: whether nothing is removed.
      terminal: where to print.

    Raises:
      BadInputError: if the folder holds no runs, a run is active, or the database is damaged or records no run.
      MetadataError: if another program locks the database, or it cannot be used for another reason.
    """
    runs = open_metadata.folder_of(folder)
    with _unused(runs, is_dry_run), open_metadata.opened(runs, to_write=not is_dry_run) as store:
        artifacts = {artifact.id: run_metadata.relative_uri(artifact.uri) for artifact in store.get_artifacts()}
        needed = _of_last_runs(store, keep_runs) | _of_versions(store, runs.serving, artifacts)
        kept = {place for number, place in artifacts.items() if number in needed or place.startswith(_VERDICTS)}
        found = list(_removable(runs.artifacts, kept))
        _refuse_without_runs(store, runs, found)
        if not is_dry_run:
            # Files first: on a full disk ML Metadata cannot write. The cache does not use what is half removed.
            for one in found:
                shutil.rmtree(one.path)
            gone = [number for number, place in artifacts.items() if place not in kept]
            live = [one for one in store.get_artifacts_by_id(gone) if one.state == metadata_store_pb2.Artifact.LIVE]
            run_metadata.mark_deleted(store, live)
    _print(found, keep_runs, is_dry_run, terminal)


def _unused(runs: RunFolder, is_dry_run: bool) -> contextlib.AbstractContextManager[None]:
    """Keeps runs out; a dry run only looks, because the lock is a file."""
    if not is_dry_run:
        return runs.locked()
    if runs.is_in_use():
        raise runs.in_use_error()
    return contextlib.nullcontext()


def _refuse_without_runs(store: metadata_store.MetadataStore, runs: RunFolder, found: list[Removable]) -> None:
    """Refuses a database that knows nothing of what is there: it is new, or of another folder."""
    if any(not run.name.startswith(run_metadata.CHECK_PREFIX) for run in store.get_contexts_by_type(run_metadata.RUN)):
        return
    for folders, what in (([one.path for one in found], "artifacts"), (_folders(runs.serving), "versions")):
        if folders:
            raise BadInputError(
                f"{display_path(runs.metadata)}: it records no run, but there are {what}, for example "
                f"{display_path(folders[0])}; restore the database from a backup, or train with `regraft run` first"
            )


def _of_last_runs(store: metadata_store.MetadataStore, count: int) -> set[int]:
    """Ids of all artifacts that the last runs read or wrote, and those of `regraft check` among and after them."""
    result: set[int] = set()
    contexts = sorted(store.get_contexts_by_type(run_metadata.RUN), key=lambda context: context.id, reverse=True)
    for context in contexts:
        if count == 0:
            break
        result |= _artifacts_of_run(store, context)
        count -= not context.name.startswith(run_metadata.CHECK_PREFIX)
    return result


def _of_versions(store: metadata_store.MetadataStore, serving: Path, artifacts: dict[int, str]) -> set[int]:
    """Ids of the artifacts of the runs whose versions are still in the folder that they were pushed to."""
    result: set[int] = set()
    pushed = [one for one in store.get_artifacts_by_type("PushedModel") if _is_there(one, serving)]
    for event in store.get_events_by_artifact_ids([one.id for one in pushed]) if pushed else ():
        for context in store.get_contexts_by_execution(event.execution_id):
            if context.type == run_metadata.RUN:
                of_run = _artifacts_of_run(store, context)
                result |= {number for number in of_run if artifacts[number].partition("/")[0] in _OF_A_VERSION}
    return result


def _is_there(pushed: metadata_store_pb2.Artifact, serving: Path) -> bool:
    """Whether the version that an artifact of Pusher names still exists; its workspace may have been moved since."""
    properties = pushed.custom_properties
    if not properties["pushed"].int_value:
        return False
    version = properties["pushed_version"].string_value
    return Path(properties["pushed_destination"].string_value).is_dir() or (serving / version).is_dir()


def _artifacts_of_run(store: metadata_store.MetadataStore, run: metadata_store_pb2.Context) -> set[int]:
    executions = [execution.id for execution in store.get_executions_by_context(run.id)]
    return {event.artifact_id for event in store.get_events_by_execution_ids(executions)} if executions else set()


def _removable(artifacts: Path, kept: Iterable[str]) -> Iterator[Removable]:
    """Folders of artifacts other than these, of executions that were killed, and TFX's temporary files."""
    needed = {artifacts / place for place in kept}
    for stage in _folders(artifacts):
        if stage.name == _CANDIDATES:
            unneeded = [one for one in _folders(stage) if one not in needed]
        elif stage.name.startswith("_"):
            continue
        else:
            outputs = [output for output in _folders(stage) if output.name != _SYSTEM]
            unneeded = [one for output in outputs for one in _folders(output) if one not in needed]
            unneeded += [one for one in _folders(stage / _SYSTEM) if _size(one)]
        yield from (Removable(one, stage.name.strip("_"), _size(one)) for one in unneeded)


def _folders(parent: Path) -> list[Path]:
    return sorted(child for child in parent.iterdir() if child.is_dir()) if parent.is_dir() else []


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _print(found: list[Removable], keep_runs: int, is_dry_run: bool, terminal: TextIO) -> None:
    folders, sizes = Counter(one.stage for one in found), Counter[str]()
    for one in found:
        sizes[one.stage] += one.size
    total = _shown(sum(sizes.values()))
    kept = f"the last {keep_runs} runs" if keep_runs > 1 else "the last run"
    if not found:
        print(f"nothing to remove: {kept} and the pushed versions need everything", file=terminal)
        return
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    table.add_column("stage")
    table.add_column("folders", justify="right")
    table.add_column("size", justify="right")
    for stage in sorted(sizes, key=lambda name: -sizes[name]):
        table.add_row(stage, str(folders[stage]), _shown(sizes[stage]))
    console.tables(terminal).print(table)
    verb = "would be removed" if is_dry_run else "removed"
    print(f"{verb}: {len(found)} folders, {total}; {kept} and the pushed versions need the rest", file=terminal)


def _shown(size: int) -> str:
    """A number of bytes, in the unit in which it has up to three digits before the point."""
    power = min(len(_UNITS) - 1, (len(str(size)) - 1) // 3)
    return f"{size / 1000**power:.{1 if power else 0}f} {_UNITS[power]}"
