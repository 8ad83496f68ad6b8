"""Files on the local file system, or on any other that Beam knows (gs://, s3://, hdfs://).

Local ones go through Python itself: links mean something there, and Beam takes seconds to import.
"""

from __future__ import annotations

import errno
import functools
import glob
import hashlib
import os
import re
import stat
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from modules.errors import BadInputError

# What operating systems and archivers leave behind; no person means it as data.
_CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
_FORBIDDEN = 403


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


def plain(path: str) -> str:
    """A path without the scheme `file://`."""
    return urllib.parse.unquote(path.removeprefix("file://")) if path.startswith("file://") else path


def join(root: str, path: str) -> str:
    """A path as seen from a root; one that is absolute already, or a URI, is what it is."""
    path = plain(path)
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


def digest(found: Mapping[str, Found]) -> str:
    """Changes whenever one of these files is renamed or written to, or there is another one.

    Args:
      found: by the path that they are known by.

    Returns:
      SHA-256 over every path, size and time of last change, as hexadecimal digits.
    """
    made = hashlib.sha256()
    for path, file in sorted(found.items()):
        made.update(os.fsencode(f"{path}\0{file.size}\0{file.changed}\0"))
    return made.hexdigest()


def below(root: str, outside: bool) -> Iterator[Found]:
    """Every file below a folder, hidden ones and clutter left out.

    Links to folders are listed, as a problem, and not followed; links to files are, unless they lead out of the folder.

    Args:
      root: the folder.
      outside: whether links to files may lead out of it, and its own folders be links.

    Raises:
      BadInputError: if a folder can't be listed.
    """
    yield from (_remote_below(root) if is_remote(root) else _local_below(root, os.path.realpath(root), (), outside))


def matching(pattern: str) -> list[Found]:
    """The files that a pattern with `*`, `?` and `[…]` matches; their parts begin where the pattern's wildcards do.

    Raises:
      BadInputError: if the file system can't be asked.
    """
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0] + "/"

    def parts(path: str) -> tuple[str, ...]:
        return tuple(path.removeprefix(fixed).lstrip("/").split("/"))

    if is_remote(pattern):
        found = [Found(parts(path), path, size, when) for path, size, when in _match(pattern)]
    else:
        found = [_local(path, parts(path)) for path in glob.glob(pattern) if os.path.isfile(path)]
    return sorted((file for file in found if all(map(is_data, file.parts))), key=lambda file: file.uri)


def check_reachable(uri: str) -> None:
    """Asks the store of an object once, and briefly: Beam would ask for many minutes before it gives up.

    Raises:
      BadInputError: if it can't be reached, or has no such bucket. Not allowed to be listed is not out of reach.
    """
    scheme, _, rest = uri.partition("://")
    if problem := _unreachable(scheme, rest.partition("/")[0]):
        raise BadInputError(f"{scheme}://{rest.partition('/')[0]} can't be reached: {problem}")


@functools.cache
def _unreachable(scheme: str, bucket: str) -> str:
    """Why a bucket can't be reached; empty if it can, or if this is no such store."""
    ask = {"s3": _ask_s3, "gs": _ask_gs}.get(scheme)
    try:
        if ask:
            ask(bucket)
    except Exception as error:  # each store's library has errors of its own
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ""


def _ask_s3(bucket: str) -> None:
    import boto3
    from apache_beam.options.pipeline_options import S3Options
    from botocore.config import Config
    from botocore.exceptions import ClientError

    brief = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})
    endpoint = _beam_options().view_as(S3Options).s3_endpoint_url
    try:
        boto3.client("s3", endpoint_url=endpoint, config=brief).list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != _FORBIDDEN:
            raise


def _ask_gs(bucket: str) -> None:
    import google.auth
    from google.api_core.exceptions import Forbidden, Unauthorized
    from google.cloud import storage

    try:
        client = storage.Client(*google.auth.default()[::-1])
    except google.auth.exceptions.DefaultCredentialsError:  # Beam goes on without, too
        client = storage.Client.create_anonymous_client()
    try:
        next(iter(client.list_blobs(bucket, max_results=1, timeout=20, retry=None)), None)
    except (Forbidden, Unauthorized):
        return


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
            if outside and not parts:
                yield from _local_below(entry.path, root, path, outside)
                continue
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
    check_reachable(pattern)
    try:
        (result,) = FileSystems.match([pattern])
    except (BeamIOError, ValueError) as error:
        raise BadInputError(f"data.path: {pattern!r} can't be listed: {error}") from None
    return [(file.path, file.size_in_bytes, str(file.last_updated_in_seconds)) for file in result.metadata_list]
