"""The files in the folder of one version of a model: the SavedModel, and what a push adds to it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from config.errors import BadInputError
from modules.files import fingerprint
from modules.serving import WARM_UP_FILE

MANIFEST = Path("assets.extra", "regraft.json")
STATISTICS, SCHEMA = Path("assets.extra", "data_statistics.pb"), Path("assets.extra", "data_schema.pbtxt")
EXPORTS = Path("assets.extra", "exports")  # a folder; modules/exporting/export_files.py describes its files
CARD, CARD_JSON = Path("assets.extra", "model_card.md"), Path("assets.extra", "model_card.json")

_SHARD = re.compile(r"variables\.data-\d{5}-of-(\d{5})")


class ServingError(BadInputError):
    """A push directory does not have the versions that a command needs."""


def model_fingerprint(directory: str | Path) -> str:
    """SHA-256 of the paths and bytes of a SavedModel's files, hexadecimal.

    Files that a push adds do not count, and neither do warm-up requests: a user may put others there.
    """
    exports = {EXPORTS / path.name for path in Path(directory, EXPORTS).glob("*")}
    return fingerprint(directory, without={MANIFEST, STATISTICS, SCHEMA, CARD, CARD_JSON, WARM_UP_FILE, *exports})


def read_manifest(version: Path) -> dict[str, Any]:
    """What was recorded when a version was pushed.

    Args:
      version: its folder.

    Returns:
      the manifest; empty for a version that Regraft did not push.

    Raises:
      ServingError: if the file is not a JSON object.
    """
    return read_json(version / MANIFEST, "restore this version, or remove its folder")


def damage_of(version: Path) -> str | None:
    """What is wrong with the files of a version's folder; None if nothing is known to be wrong."""
    if not (version / "saved_model.pb").is_file():
        return "it has no saved_model.pb"
    try:
        manifest = read_manifest(version)
    except ServingError:
        return f"{MANIFEST} is not a JSON object"
    pushed = manifest.get("fingerprint")
    if pushed and model_fingerprint(version) != pushed:
        return "its files are not the ones that were pushed"
    if not pushed and (missing := _missing_variables(version)):
        return f"it has no variables/{missing[0]}"
    for record in manifest.get("exports", {}).values():
        file = version / EXPORTS / record["file"]
        if not file.is_file() or _sha256(file) != record["sha256"]:
            return f"{EXPORTS / record['file']} is not the file that was pushed"
    return None


def read_json(path: Path, advice: str) -> dict[str, Any]:
    """The JSON object in a file; an empty one if there is no file.

    Args:
      path: of the file.
      advice: what to do if the file is damaged.

    Raises:
      ServingError: if it is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ServingError(f"{path}: this file is damaged, it is not a JSON object; {advice}")
    return content


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _missing_variables(model: Path) -> list[str]:
    """The files of variables that a SavedModel has lost, as far as the names of the others tell."""
    names = {path.name for path in (model / "variables").glob("variables.*")}
    shards = [match for name in names if (match := _SHARD.fullmatch(name))]
    expected = {"variables.index"} if shards else set()
    counts = {match[1] for match in shards} or ({"00001"} if names else set())
    for count in counts:
        expected |= {f"variables.data-{index:05d}-of-{count}" for index in range(int(count))}
    return sorted(expected - names)
