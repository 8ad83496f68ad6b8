"""Files and folders beside images that are no data: what operating systems, servers and programs leave behind."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable

# Their thumbnails, old versions and deleted files would be examples a second time, and in other splits.
_FOLDERS = {
    name.casefold(): name
    for name in (
        *("@eaDir", "@tmp", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@sharebin"),  # NAS
        *("lost+found", "System Volume Information", "$RECYCLE.BIN", "RECYCLER", "RECYCLED", "~snapshot"),
        *("__MACOSX", "Network Trash Folder", "Temporary Items", "TheVolumeSettingsFolder"),
        *("CaptureOne", "__pycache__", "_temporary"),
    )
}
_FILES = {
    name.casefold(): name
    for name in (
        *("Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "Picasa.ini", "ZbThumbnail.info"),
        *("Icon\r", "sync.ffs_db", "_SUCCESS"),
    )
}
_FOLDER_ENDINGS = (".lrdata", ".lrcat-data", ".photoslibrary", ".download", ".bak", ".tmp", ".temp")
# Metadata, catalogues, previews of videos, unfinished downloads and copies that programs keep.
_FILE_ENDINGS = (
    *(".json", ".xmp", ".aae", ".thm", ".lrv", ".lrcat", ".lrcat-data", ".lrprev", ".cot", ".cop", ".cos"),
    *(".tmp", ".temp", ".crdownload", ".part", ".partial", ".filepart", ".download", ".bak", ".ffs_db", ".ffs_lock"),
)
_PATTERNS = {
    "._*": re.compile(r"\._.+"),  # resource forks of macOS
    ".*": re.compile(r"\..+"),
    "~$*": re.compile(r"~\$.+"),
    "*~": re.compile(r".+~"),
    "*_original": re.compile(r".+\.[a-z0-9]+_original"),  # ExifTool's copies
    "*_$folder$": re.compile(r".*_\$folder\$"),  # how Hadoop represents folders in a store
}
_FOLDER_PATTERNS = {".*": _PATTERNS[".*"], "*~": _PATTERNS["*~"], "FOUND.*": re.compile(r"found\.\d{3}")}

# Only beside an image of the same name: alone, they are files that somebody put there by mistake.
_SIDECAR_ENDINGS = (".txt", ".xml")


def kind_of(name: str, is_folder: bool) -> str:
    """Which clutter a file or folder is.

    Args:
      name: without its path; upper and lower case make no difference.
      is_folder: whether it is a folder.

    Returns:
      the name or the pattern by which it is known, such as `Thumbs.db`, `*.xmp` or `@eaDir/`; empty if it is data.
    """
    folded = name.casefold()
    if is_folder:
        found = _FOLDERS.get(folded) or _ending_of(folded, _FOLDER_ENDINGS) or _pattern_of(folded, _FOLDER_PATTERNS)
        return f"{found}/" if found else ""
    return _FILES.get(folded) or _pattern_of(folded, _PATTERNS) or _ending_of(folded, _FILE_ENDINGS)


def find_sidecars(paths: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """The text files that describe an image beside them: `a.txt` or `a.jpg.txt` beside `a.jpg`.

    Args:
      paths: the components of every file's path.

    Returns:
      path to kind, such as `*.txt`.
    """
    paths = list(paths)
    candidates = {path: ending for path in paths if (ending := _ending_of(path[-1].casefold(), _SIDECAR_ENDINGS))}
    if not candidates:
        return {}
    others = [path for path in paths if path not in candidates]
    described = {(*path[:-1], name) for path in others for name in (path[-1], os.path.splitext(path[-1])[0])}
    return {path: kind for path, kind in candidates.items() if (*path[:-1], os.path.splitext(path[-1])[0]) in described}


def _ending_of(folded: str, endings: Collection[str]) -> str:
    ending = os.path.splitext(folded)[1]
    return f"*{ending}" if ending in endings else ""


def _pattern_of(folded: str, patterns: dict[str, re.Pattern[str]]) -> str:
    return next((kind for kind, pattern in patterns.items() if pattern.fullmatch(folded)), "")
