"""Files that are written whole or not at all, and fingerprints of files and folders."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from config.errors import OF_THE_MACHINE, BadInputError
from config.section import pattern_character, refuse_pattern

_BLOCK = 1 << 20
_OF_THE_SYSTEM = re.compile(r"/dev(/fd)?|/proc/\w+/fd")


def atomic_write(path: str | Path, content: str | bytes, durable: bool = False) -> None:
    """Writes a file that readers see whole or not at all; its folder is made if it is missing.

    Args:
      path: of the file, on the local file system or at a URI that TensorFlow can open.
      content: text, written as UTF-8, or bytes.
      durable: whether the content must be on the disk before the file appears; local files only.

    Raises:
      OSError: if it cannot be written; it names `path`, not the temporary file.
    """
    encoded = content.encode("utf-8") if isinstance(content, str) else content
    if "://" in str(path):
        _write_uri(str(path), encoded)
        return
    target = Path(path)
    if is_special(target):
        target.write_bytes(encoded)
        return
    make_folder(target.parent)
    temporary = _temporary(target)
    with errors_name(target):
        try:
            with temporary.open("wb") as file:
                file.write(encoded)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error says more
                temporary.unlink(missing_ok=True)
            raise


def check_output(option: str, path: str | Path) -> None:
    """Tries whether a file can be written, before the work whose result it will hold; leaves nothing behind.

    Args:
      option: that names the file or its folder, such as `--json`.
      path: of the file; a URI is not tried.

    Raises:
      BadInputError: if the file, or its folder, cannot be made.
      OSError: if the machine is at fault, such as a full disk.
    """
    if "://" in str(path):
        return
    target = Path(path)
    if is_special(target):
        return
    with _refused(option):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        _try_folder(target.parent, target)


def check_output_folder(option: str, folder: str | Path) -> None:
    """Tries whether files can be written to a folder, which may be missing; leaves nothing behind.

    Args:
      option: or field, that names the folder.
      folder: its path on the local file system.

    Raises:
      BadInputError: if the folder, or a file in it, cannot be made.
      OSError: if the machine is at fault, such as a full disk.
    """
    with _refused(option):
        _try_folder(Path(folder), Path(folder))


@contextlib.contextmanager
def _refused(option: str) -> Iterator[None]:
    """An OSError that is not the machine's fault becomes a BadInputError about an option."""
    try:
        yield
    except OSError as error:
        if error.errno in OF_THE_MACHINE:
            raise
        raise BadInputError(f"{option}: {error.filename}: {error.strerror}") from None


def _try_folder(folder: Path, named: Path) -> None:
    """Makes and removes a file in a folder, and the folder if it is missing; errors are about the path `named`."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    temporary = _temporary(folder / named.name)
    try:
        make_folder(folder)
        with errors_name(named):
            temporary.touch()
            temporary.unlink()
    finally:
        for made in missing:  # the innermost first
            with contextlib.suppress(OSError):
                made.rmdir()


def make_folder(folder: str | Path) -> None:
    """Makes a folder and those around it, where they are missing.

    Raises:
      OSError: if it cannot be made; it names `folder`, and says so.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = errno.ENOTDIR if isinstance(error, FileExistsError) else error.errno or errno.EIO
        raise OSError(reason, f"the folder cannot be made ({os.strerror(reason)})", str(folder)) from error


@contextlib.contextmanager
def errors_name(path: str | Path) -> Iterator[None]:
    """An OSError about a file names this path: the one that a person knows, not that of a temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def is_special(path: str | Path) -> bool:
    """Whether it is a device or a pipe, or a link to what a process has open, such as /dev/stdout: nothing may replace
    or delete it.
    """
    folder = os.path.dirname(os.path.abspath(path))
    return bool(_OF_THE_SYSTEM.fullmatch(folder)) or not _is_ordinary(Path(path))


def _is_ordinary(path: Path) -> bool:
    return path.is_file() or path.is_dir() or not path.exists()


def _temporary(target: Path) -> Path:
    """Where a file is written before it gets its name."""
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


def printable(text: str) -> str:
    """The text with `�` for bytes of a path that are not UTF-8, which Python holds as surrogate escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _write_uri(uri: str, encoded: bytes) -> None:
    """An object in a store appears when it is complete; on other file systems the rename makes it so."""
    import tensorflow as tf  # takes seconds, which a local file does not need

    tf.io.gfile.makedirs(os.path.dirname(uri))
    temporary = f"{uri}.{os.getpid()}.tmp"
    with tf.io.gfile.GFile(temporary, "wb") as file:
        file.write(encoded)
    tf.io.gfile.rename(temporary, uri, overwrite=True)


@contextlib.contextmanager
def link_without_pattern(folder: str | Path) -> Iterator[str]:
    """The folder's path or, if TensorFlow would take it for a pattern, that of a temporary link to the folder.

    Raises:
      ValueError: if the folder for temporary files has such a path too.
    """
    if not pattern_character(folder):
        yield str(folder)
        return
    refuse_pattern(tempfile.gettempdir())
    with tempfile.TemporaryDirectory() as temporary:
        link = Path(temporary, "folder")
        link.symlink_to(Path(folder).absolute(), target_is_directory=True)
        yield str(link)


def fingerprint(path: str | Path, without: Collection[Path] = ()) -> str:
    """SHA-256 of a file, or of a folder: the paths and bytes of all files below it, also behind symbolic links.

    Args:
      path: the file or folder.
      without: relative paths below the folder that don't count.

    Returns:
      64 hexadecimal digits.
    """
    root = Path(path)
    digest = hashlib.sha256()
    below = (Path(folder, name) for folder, _, names in os.walk(root, followlinks=True) for name in names)
    for file in sorted(below) if root.is_dir() else (root,):
        relative = file.relative_to(root)
        if file.is_file() and relative not in without:
            digest.update(f"{relative.as_posix()}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as content:
                while block := content.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()
