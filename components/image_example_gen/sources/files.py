"""Files on the local file system, or on any other that Beam knows (gs://, s3://, hdfs://).

Local ones go through Python itself: links mean something there, and Beam takes seconds to import.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from modules.errors import BadInputError

# What operating systems and archivers leave behind; no person means it as data.
_CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Found:
    """A file below a folder.

    Attributes:
      parts: its path below that folder.
      uri: where it is opened.
      size: bytes.
      changed: when it was written last, as the file system has it.
      problem: why it must not be read; empty if it may be.
    """

    parts: tuple[str, ...]
    uri: str
    size: int
    changed: str
    problem: str = ""


def is_remote(path: str) -> bool:
    """Whether a path names a file system of its own."""
    return "://" in path


def join(root: str, path: str) -> str:
    """A path as seen from a root; one that is absolute already, or a URI, is what it is."""
    if is_remote(path) or path.startswith("/"):
        return path
    return f"{root.rstrip('/')}/{path}" if is_remote(root) else os.path.join(root, path)


def is_below(root: str, uri: str) -> bool:
    """Whether a file lies below a root, links and `..` followed."""
    if is_remote(root) or is_remote(uri):
        return uri.startswith(root.rstrip("/") + "/") and ".." not in uri.split("/")
    return os.path.realpath(uri).startswith(os.path.join(os.path.realpath(root), ""))


def is_data(name: str) -> bool:
    """Whether a file or folder of this name is meant as data: not hidden, and no clutter."""
    return not name.startswith(".") and name not in _CLUTTER


def open_file(uri: str) -> IO[bytes]:
    """Opens a file for reading.

    Raises:
      OSError: if that can't be.
    """
    if is_remote(uri):
        return _open_remote(uri)
    if not stat.S_ISREG(os.stat(uri).st_mode):  # reading a pipe would wait for ever
        raise OSError(errno.EINVAL, "not a regular file")
    return open(uri, "rb")


def read(uri: str) -> bytes:
    """All bytes of a file.

    Raises:
      OSError: if they can't be had.
    """
    with open_file(uri) as file:
        return file.read()


def below(root: str, outside: bool) -> Iterator[Found]:
    """Every file below a folder, hidden ones and clutter left out.

    Links to folders are listed, as a problem, and not followed; links to files are, unless they lead out of the folder.

    Args:
      root: the folder.
      outside: whether links to files may lead out of it.

    Raises:
      BadInputError: if a folder can't be listed.
    """
    yield from (_remote_below(root) if is_remote(root) else _local_below(root, os.path.realpath(root), (), outside))


def matching(pattern: str) -> list[Found]:
    """The files that a pattern with `*`, `?` and `[…]` matches; their parts are their names alone.

    Raises:
      BadInputError: if the file system can't be asked.
    """
    if is_remote(pattern):
        found = [Found((path.rsplit("/", 1)[-1],), path, size, when) for path, size, when in _match(pattern)]
    else:
        import glob

        found = [_local(path, (os.path.basename(path),)) for path in glob.glob(pattern) if os.path.isfile(path)]
    return sorted((file for file in found if is_data(file.parts[-1])), key=lambda file: file.uri)


def _local_below(folder: str, root: str, parts: tuple[str, ...], outside: bool) -> Iterator[Found]:
    try:
        with os.scandir(folder) as entries:
            children = [entry for entry in entries if is_data(entry.name)]
    except OSError as error:
        raise BadInputError(f"data.path: {error.filename!r} can't be listed: {error.strerror}") from None
    for entry in children:
        path = (*parts, entry.name)
        if entry.is_dir(follow_symlinks=False):
            yield from _local_below(entry.path, root, path, outside)
        elif entry.is_symlink() and os.path.isdir(entry.path):  # DirEntry's own would raise at a link to itself
            yield Found(path, entry.path, 0, "", problem="a symbolic link to a folder, which isn't followed")
        else:
            found = _local(entry.path, path)
            if entry.is_symlink() and not outside and not is_below(root, entry.path):
                target = os.path.realpath(entry.path)
                problem = f"a link out of the data folder, to {target}; data.outside_files would allow it"
                found = Found(path, entry.path, found.size, found.changed, problem)
            yield found


def _local(path: str, parts: tuple[str, ...]) -> Found:
    try:
        status = os.stat(path)
    except OSError:  # a link to nowhere, or to itself; reading it will say so
        status = os.lstat(path)
    return Found(parts, path, status.st_size, str(status.st_mtime_ns))


def _remote_below(root: str) -> Iterator[Found]:
    prefix = root.rstrip("/") + "/"
    for uri, size, changed in _match(prefix + "**"):
        parts = tuple(uri.removeprefix(prefix).split("/"))
        if parts[-1] and all(map(is_data, parts)):  # object stores have empty objects that stand for folders
            yield Found(parts, uri, size, changed)


def _open_remote(uri: str) -> IO[bytes]:
    from apache_beam.io.filesystem import BeamIOError

    try:
        return _opener(uri.partition("://")[0])(uri)
    except Exception as error:  # each store's library has errors of its own
        detail = str(error.exception_details or error) if isinstance(error, BeamIOError) else str(error)
        raise OSError(errno.EIO, detail) from None


@functools.cache
def _opener(scheme: str) -> Callable[[str], Any]:
    """What opens the files of a file system.

    Beam's own for S3 and GCS make a client for each file, which takes longer than reading an image; here a process
    keeps one.
    """
    options = _beam_options()
    if scheme == "s3":
        from apache_beam.io.aws import s3io

        return s3io.S3IO(options=options).open
    if scheme == "gs":
        from apache_beam.io.gcp import gcsio

        return gcsio.GcsIO(pipeline_options=options).open
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    return functools.partial(FileSystems.open, compression_type=CompressionTypes.UNCOMPRESSED)


def _beam_options() -> Any:
    """Those of the pipeline that is running, which may say how a store is reached; defaults outside of one."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    if FileSystems._pipeline_options is None:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems._pipeline_options


def _match(pattern: str) -> list[tuple[str, int, str]]:
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems

    _beam_options()
    try:
        (result,) = FileSystems.match([pattern])
    except (BeamIOError, ValueError) as error:
        raise BadInputError(f"data.path: {pattern!r} can't be listed: {error}") from None
    return [(file.path, file.size_in_bytes, str(file.last_updated_in_seconds)) for file in result.metadata_list]
