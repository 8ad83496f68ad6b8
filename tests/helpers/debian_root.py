"""Debian 13 in a folder, made by Debian's own program `debootstrap`, in which commands run as root.

The folder is kept in the user's cache folder, since it takes minutes to make. Each command runs in namespaces of its
own. So its mounts and its processes end with it, even if this process is killed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import namespaces
import user_cache

SUITE = "trixie"
# What CONTRIBUTING.md asks for, the certificates that pip needs, and the libraries of a Python from pyenv.
PACKAGES = (
    "ca-certificates",
    "git",
    "libbz2-1.0",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libncursesw6",
    "libreadline8t64",
    "libsqlite3-0",
    "libssl3t64",
    "libuuid1",
    "make",
    "python3",
    "python3-venv",
    "zlib1g",
)
PROGRAMS = ("debootstrap", "chroot", "unshare", "setpriv", "mount")

# How this machine reaches the package index: it is passed on, and written nowhere.
_NETWORK = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_NETWORK_PATHS = ("SSL_CERT_FILE", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_CONFIG_FILE")
_NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs")
_DOWNLOADS = "/root/.cache/pip"

_ENTER = """
set -eu
root=$1
shift
mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$2"; else touch "$root$2"; fi
    mount --rbind "$1" "$root$2"
    shift 2
done
shift
exec chroot "$root" "$@"
"""


def why_not() -> str:
    """Why there can be no such folder on this machine; empty if there can."""
    if os.geteuid() != 0:
        return "needs root, for debootstrap and chroot"
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"needs {', '.join(missing)}: apt install debootstrap mount util-linux"
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True)
    return f"this machine allows no namespaces: {done.stderr.strip()}" if done.returncode else ""


def make() -> Path:
    """The folder, from the cache if it is there.

    Raises:
      AssertionError: if debootstrap fails; with the end of its output.
    """
    cache = user_cache.folder("platforms")
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    root, unfinished = cache / f"{SUITE}-{key}", cache / f"{SUITE}-{key}.unfinished"
    with user_cache.exclusive(cache):
        if not root.exists():
            for older in cache.glob(f"{SUITE}-*"):
                shutil.rmtree(older)
            # Killed with this process, it leaves no mounts behind, since they are in its own namespace.
            _call(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(unfinished)])
            shutil.rmtree(unfinished / "var/cache/apt")
            unfinished.rename(root)
    return root


@dataclass(frozen=True)
class Machine:
    """A Debian 13 whose changes are all in one folder of ours.

    Attributes:
      root: of `make`.
      folder: has /root, /tmp and /project of this Debian; all that commands write there.
      binds: folders of this machine that it has too, at the same place.
    """

    root: Path
    folder: Path
    binds: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs a shell command in /project."""
        variables = [f"{name}={value}" for name, value in self.variables().items()]
        mounts = [str(part) for pair in self.bound() for part in pair]
        shell = ["env", "-i", *variables, "sh", "-c", f"cd /project && {command}"]
        return _namespaced(["sh", "-c", _ENTER, "sh", str(self.root), *mounts, "--", *shell])

    def variables(self) -> dict[str, str]:
        """The environment of its commands."""
        passed_on = {name: value for name, value in os.environ.items() if name in _NETWORK or name.startswith("PIP_")}
        for name in _NETWORK_PATHS:
            passed_on.pop(name, None)
        passed_on |= {name: str(target) for name, (_, target) in _network_paths().items()}
        own = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "PIP_CACHE_DIR": _DOWNLOADS}
        return {**passed_on, **own, **self.environment}

    def bound(self) -> Iterator[tuple[Path, Path]]:
        """Files and folders of this machine, and where its commands find them."""
        for name in ("dev", "sys"):
            yield Path("/", name), Path("/", name)
        for name in ("root", "tmp", "project"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            yield self.folder / name, Path("/", name)
        downloads = Path(os.environ.get("PIP_CACHE_DIR") or Path.home() / ".cache" / "pip")
        if downloads.is_dir():
            yield downloads, Path(_DOWNLOADS)
        yield from _network_paths().values()
        for source in (*map(Path, _NETWORK_FILES), *self.binds):
            if source.exists():
                yield source.resolve(), source


def python_of_this_machine(version: str) -> Path | None:
    """A Python of pyenv or uv, whose folder has all that it needs but for libraries of the system."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    kept = (pyenv, f"{version}.*"), (Path.home() / ".local/share/uv/python", f"cpython-{version}.*")
    found = [path for folder, name in kept for path in sorted(folder.glob(f"{name}/bin/python{version}"))]
    return found[0] if found else None


def _network_paths() -> dict[str, tuple[Path, Path]]:
    """Variables that name a file or a folder: where it is on this machine, and where the commands find it."""
    named = {name: Path(os.environ[name]) for name in _NETWORK_PATHS if os.environ.get(name)}
    return {name: (path.resolve(), Path("/mnt", name)) for name, path in named.items() if path.exists()}


def _call(command: list[str]) -> None:
    done = _namespaced(command)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}"


def _namespaced(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command whose mounts and processes end with it, and with this process."""
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return subprocess.run(
        [*namespaces.WITH_PARENT, *own, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
