"""Files on the local file system, or on any other that Beam supports (gs://, s3://, hdfs://).

Local files are read with Python's own functions: they handle links, and Beam takes seconds to import.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import glob
import hashlib
import os
import re
import stat
import urllib.parse
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import IO, Any

from components.image_example_gen.sources import clutter
from config.errors import BadInputError, one_line
from config.section import is_uri, normalize_class_name

_FORBIDDEN = 403


@dataclasses.dataclass(frozen=True, slots=True)
class ListedFile:
    """A file below a folder.

    Attributes:
      parts: components of its path below that folder.
      uri: where it is opened.
      size: bytes.
      modified: time of the last change, in the file system's form.
      problem: why it must not be read; empty if it may be.
    """

    parts: tuple[str, ...]
    uri: str
    size: int
    modified: str
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Listing:
    """The files of a folder, without clutter.

    Attributes:
      files: that are data.
      ignored: path to the kind of clutter (see `clutter.kind_of`). What is in an ignored folder is not listed.
    """

    files: list[ListedFile]
    ignored: Mapping[tuple[str, ...], str]

    @property
    def ignored_kinds(self) -> dict[str, int]:
        """Kind of clutter to the number of files and folders. Folders at the top, which could be classes, are named."""

        def name(path: tuple[str, ...], kind: str) -> str:
            return f"{path[0]}/" if len(path) == 1 and kind.endswith("/") else kind

        return dict(sorted(Counter(name(path, kind) for path, kind in self.ignored.items()).items()))


def remove_file_scheme(path: str) -> str:
    """The path without `file://`; any other path stays as it is."""
    return urllib.parse.unquote(path.removeprefix("file://")) if path.startswith("file://") else path


def join(root: str, path: str) -> str:
    """A path relative to a root; absolute paths and URIs stay as they are."""
    path = remove_file_scheme(path)
    if is_uri(path) or path.startswith("/"):
        return path
    return f"{root.rstrip('/')}/{path}" if is_uri(root) else os.path.join(root, path)


def is_below(root: str, uri: str) -> bool:
    """Whether a file is below a root, once links and `..` are resolved."""
    if is_uri(root) or is_uri(uri):
        return uri.startswith(root.rstrip("/") + "/") and ".." not in uri.split("/")
    return os.path.realpath(uri).startswith(os.path.join(os.path.realpath(root), ""))


def open_file(uri: str) -> IO[bytes]:
    """Opens a file for reading.

    Raises:
      OSError: if it cannot be opened.
    """
    if is_uri(uri):
        return _open_remote(uri)
    if not stat.S_ISREG(os.stat(uri).st_mode):  # reading a pipe would block forever
        raise OSError(errno.EINVAL, "not a regular file")
    return open(uri, "rb")


def read(uri: str) -> bytes:
    """All bytes of a file.

    Raises:
      OSError: if they cannot be read.
    """
    with open_file(uri) as file:
        return file.read()


def digest_listing(files: Mapping[str, ListedFile]) -> str:
    """Changes whenever one of these files is renamed or overwritten, or a file is added or removed.

    Args:
      files: path to file.

    Returns:
      SHA-256 of every path, size and time of the last change, in hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path, file in sorted(files.items()):
        digest.update(os.fsencode(f"{path}\0{file.size}\0{file.modified}\0"))
    return digest.hexdigest()


def list_below(root: str, outside_files: bool, classes: Collection[str] = ()) -> Listing:
    """Every file below a folder, except clutter.

    Links to folders are not followed; they are listed with a problem. Links to files are followed, unless they point
    outside the folder; then they are listed with a problem.

    Args:
      root: the folder.
      outside_files: whether links to files may point outside the folder, and its direct subfolders may be links.
      classes: names of folders that are data in any case.

    Raises:
      BadInputError: if a folder cannot be listed.
    """
    ignored: dict[tuple[str, ...], str] = {}
    if is_uri(root):
        files = _without_clutter(_list_remote(root), ignored, classes)
    else:
        files = _list_local(root, os.path.realpath(root), (), outside_files, _Clutter(ignored, classes))
    return _listing(files, ignored)


def list_matching(pattern: str) -> Listing:
    """The files that match a pattern with `*`, `?` and `[…]`.

    Local files and folders that exist by the very name are not taken for patterns. The files' `parts` are relative to
    the last folder before the first wildcard.

    Raises:
      BadInputError: if the file system cannot be listed.
    """
    existing = "" if is_uri(pattern) else _existing_part(pattern)
    before = existing + re.split(r"[*?\[]", pattern.removeprefix(existing), maxsplit=1)[0]
    fixed = before.rpartition("/")[0] + "/"

    def parts(path: str) -> tuple[str, ...]:
        return tuple(path.removeprefix(fixed).lstrip("/").split("/"))

    if is_uri(pattern):
        files = [ListedFile(parts(path), path, size, modified) for path, size, modified in _match(pattern)]
    else:
        matching = glob.glob(glob.escape(existing) + pattern.removeprefix(existing))
        files = [_stat_local(path, parts(path)) for path in matching if os.path.isfile(path)]
    ignored: dict[tuple[str, ...], str] = {}
    return _listing(_without_clutter(sorted(files, key=lambda file: file.uri), ignored, ()), ignored)


def _existing_part(path: str) -> str:
    """The beginning of a path that exists, up to a `/` or the end."""
    ends = [match.start() for match in re.finditer("/", path)] + [len(path)]
    return next((path[:end] for end in reversed(ends) if os.path.lexists(path[:end])), "")


def check_reachable(uri: str) -> None:
    """Sends one short request to an object store. Beam would retry for many minutes before it gave up.

    Raises:
      BadInputError: if the store does not answer, or the bucket does not exist. A bucket that may not be listed counts
        as reachable.
    """
    scheme, _, rest = uri.partition("://")
    bucket = rest.partition("/")[0]
    if problem := _bucket_problem(scheme, bucket):
        raise BadInputError(
            f"{scheme}://{bucket}: the bucket can't be reached; check its name and your credentials: {problem}"
        )


@functools.cache
def _bucket_problem(scheme: str, bucket: str) -> str:
    """Why a bucket cannot be reached; empty if it can, or if the scheme is not that of an object store."""
    probe = {"s3": _probe_s3, "gs": _probe_gs}.get(scheme)
    try:
        if probe:
            probe(bucket)
    except Exception as error:  # each store's library has its own types of errors
        return one_line(error)
    return ""


def _probe_s3(bucket: str) -> None:
    import boto3
    from apache_beam.options.pipeline_options import S3Options
    from botocore.config import Config
    from botocore.exceptions import ClientError

    short_timeouts = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})
    endpoint = _beam_options().view_as(S3Options).s3_endpoint_url
    try:
        boto3.client("s3", endpoint_url=endpoint, config=short_timeouts).list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != _FORBIDDEN:
            raise


def _probe_gs(bucket: str) -> None:
    import google.auth
    from google.api_core.exceptions import Forbidden, Unauthorized
    from google.cloud import storage

    try:
        client = storage.Client(*google.auth.default()[::-1])
    except google.auth.exceptions.DefaultCredentialsError:  # Beam also continues without credentials
        client = storage.Client.create_anonymous_client()
    try:
        next(iter(client.list_blobs(bucket, max_results=1, timeout=20, retry=None)), None)
    except (Forbidden, Unauthorized):
        return


@dataclasses.dataclass(frozen=True)
class _Clutter:
    """Notes what is ignored.

    Attributes:
      ignored: see `Listing`; grows.
      classes: names of folders that are data in any case.
    """

    ignored: dict[tuple[str, ...], str]
    classes: Collection[str]

    def ignores(self, path: tuple[str, ...], is_folder: bool, is_link: bool = False) -> bool:
        """Whether the file or folder is clutter. Where a link points makes no difference."""
        kind = clutter.kind_of(path[-1], is_folder) or (clutter.kind_of(path[-1], True) if is_link else "")
        if not kind or (kind.endswith("/") and normalize_class_name(path[-1]) in self.classes):
            return False
        self.ignored[path] = kind
        return True


def _listing(files: Iterable[ListedFile], ignored: dict[tuple[str, ...], str]) -> Listing:
    found = list(files)
    sidecars = clutter.find_sidecars(file.parts for file in found)
    return Listing([file for file in found if file.parts not in sidecars], ignored | sidecars)


def _without_clutter(
    files: Iterable[ListedFile], ignored: dict[tuple[str, ...], str], classes: Collection[str]
) -> Iterator[ListedFile]:
    """The files of an object store, which has no folders: they are parts of the files' names."""
    noted = _Clutter(ignored, classes)
    for file in files:
        depths = range(1, len(file.parts) + 1)
        if not any(noted.ignores(file.parts[:depth], depth < len(file.parts)) for depth in depths):
            yield file


def _list_local(
    folder: str, root: str, parts: tuple[str, ...], outside_files: bool, noted: _Clutter
) -> Iterator[ListedFile]:
    try:
        with os.scandir(folder) as entries:
            children = list(entries)
    except OSError as error:
        raise BadInputError(f"data.path: the folder {error.filename!r} can't be listed: {error.strerror}") from None
    for entry in children:
        path = (*parts, entry.name)
        is_folder = entry.is_dir(follow_symlinks=False)
        if noted.ignores(path, is_folder, entry.is_symlink()):
            continue
        if is_folder:
            yield from _list_local(entry.path, root, path, outside_files, noted)
        elif entry.is_symlink() and os.path.isdir(entry.path):  # DirEntry.is_dir raises an error for a link to itself
            if outside_files and not parts:
                yield from _list_local(entry.path, root, path, outside_files, noted)
                continue
            yield ListedFile(path, entry.path, 0, "", problem="a link to a folder; such links are not followed")
        else:
            file = _stat_local(entry.path, path)
            if entry.is_symlink() and not outside_files and not is_below(root, entry.path):
                target = os.path.realpath(entry.path)
                problem = f"the link points outside the data folder, to {target}; data.outside_files can allow it"
                file = dataclasses.replace(file, problem=problem)
            yield file


def _stat_local(path: str, parts: tuple[str, ...]) -> ListedFile:
    try:
        status = os.stat(path)
    except OSError:  # a link to itself or to a missing file; reading the file will report it
        status = os.lstat(path)
    return ListedFile(parts, path, status.st_size, str(status.st_mtime_ns))


def _list_remote(root: str) -> Iterator[ListedFile]:
    prefix = root.rstrip("/") + "/"
    for uri, size, modified in _match(prefix + "**"):
        parts = tuple(uri.removeprefix(prefix).split("/"))
        if parts[-1]:  # object stores represent folders by empty objects
            yield ListedFile(parts, uri, size, modified)


def _open_remote(uri: str) -> IO[bytes]:
    from apache_beam.io.filesystem import BeamIOError

    try:
        return _opener(uri.partition("://")[0])(uri)
    except Exception as error:  # each store's library has its own types of errors
        detail = str(error.exception_details or error) if isinstance(error, BeamIOError) else str(error)
        raise OSError(errno.EIO, detail) from None


@functools.cache
def _opener(scheme: str) -> Callable[[str], Any]:
    """The function that opens files of a file system.

    For S3 and GCS, Beam's own function creates a client for each file, which takes longer than reading an image. Here,
    each process creates one client.
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
    """Options of the running pipeline, which may configure access to a store; outside a pipeline, the defaults."""
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
