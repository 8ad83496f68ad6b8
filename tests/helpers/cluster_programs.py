"""The programs of a real cluster: built from their sources once, and kept in the user's cache folder.

    python tests/helpers/cluster_programs.py    builds those that are missing; at first this takes about 40 minutes

Kubernetes, Kubeflow Pipelines with Argo, and CoreDNS come from the Go module proxy, pinned by tests/cluster/programs.
etcd, containerd, runc, MariaDB and iptables come from Debian's or Ubuntu's archive, unpacked and not installed. The
object store comes from the Python package index, pinned by tests/cluster/requirements.txt.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import namespaces
import user_cache

SOURCES = Path(__file__).parents[1] / "cluster" / "programs"
_KEPT = user_cache.folder("cluster")
_REQUIREMENTS = SOURCES.with_name("requirements.txt")
_DEBIAN = (
    "containerd",
    "containernetworking-plugins",
    "etcd-server",
    "iptables",
    "mariadb-client-core",
    "mariadb-server-core",
    "runc",
)
_OLDEST_GO = (1, 21)  # from here on, Go fetches the version that a module asks for
_PIPELINES, _ARGO = "github.com/kubeflow/pipelines", "github.com/argoproj/argo-workflows/v3"


class MissingError(Exception):
    """A program cannot be had on this machine. The message says why, and what to do."""


@dataclass(frozen=True)
class Group:
    """Programs that are made together.

    Attributes:
      name: of the folder that holds them.
      about: what they are, and how long it takes to make them.
      key: what they are made from; other programs are made when it changes.
      make: makes them in an empty folder.
    """

    name: str
    about: str
    key: Callable[[], str]
    make: Callable[[Path], None]

    @property
    def folder(self) -> Path:
        return _KEPT / f"{self.name}-{hashlib.sha256(self.key().encode()).hexdigest()[:12]}"


def why_not() -> str:
    """Why there are no programs; empty if they are there."""
    if all(group.folder.is_dir() for group in GROUPS):
        return ""
    return _unbuildable() or "the cluster's programs are not built yet: `make test-cluster` builds them"


def _unbuildable() -> str:
    """Why they cannot be built on this machine; empty if they can."""
    if missing := [program for program in ("go", "gcc", "apt-get", "dpkg") if shutil.which(program) is None]:
        return f"the cluster's programs cannot be built: {', '.join(missing)} not found"
    version = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout.strip()
    numbers = re.match(r"go(\d+)\.(\d+)", version)
    if not numbers or (int(numbers[1]), int(numbers[2])) < _OLDEST_GO:
        wanted = ".".join(map(str, _OLDEST_GO))
        return f"the cluster's programs cannot be built: Go {wanted} is needed, {version or 'none'} was found"
    return ""


@contextlib.contextmanager
def in_use() -> Iterator[dict[str, Path]]:
    """The folder of each group; while they are in use, no other process replaces them.

    Raises:
      MissingError: if they are not built.
    """
    with user_cache.shared(_KEPT):
        if reason := why_not():
            raise MissingError(reason)
        yield {group.name: group.folder for group in GROUPS}


def build() -> None:
    """Builds what is missing.

    Raises:
      MissingError: if that fails; what is made in part is deleted.
    """
    with user_cache.exclusive(_KEPT):
        for group in GROUPS:
            if not group.folder.is_dir():
                _make(group)


def _make(group: Group) -> None:
    print(f"making {group.about}", flush=True)
    start = time.monotonic()
    for unfinished in _KEPT.glob("*.unfinished"):
        shutil.rmtree(unfinished)
    work = _KEPT / f"{group.name}.unfinished"
    try:
        (made := work / group.name).mkdir(parents=True)
        group.make(made)
        for older in _KEPT.glob(f"{group.name}-*"):
            shutil.rmtree(older)
        made.rename(group.folder)
    finally:
        shutil.rmtree(work)
    print(f"  made in {time.monotonic() - start:.0f} s: {group.folder}", flush=True)


def _run(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **(environment or {})}, capture_output=True, text=True
    )
    if done.returncode:
        raise MissingError(f"{' '.join(map(str, command[:4]))} … failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def _go_key(name: str, *functions: Callable[..., Any]) -> Callable[[], str]:
    def key() -> str:
        files = sorted(path for path in (SOURCES / name).rglob("*") if path.is_file())
        return "\n".join([_code(_Go, *functions), *(path.read_text(encoding="utf-8") for path in files)])

    return key


def _code(*functions: Callable[..., Any]) -> str:
    """The code of functions and classes, without comments."""
    return "\n".join(ast.dump(ast.parse(inspect.getsource(one))) for one in functions)


class _Go:
    """Go, with a copy of a module's files. Its caches, which are gigabytes, are deleted, unless the user named them."""

    def __init__(self, name: str, target: Path) -> None:
        self.target = target
        self.folder = target.parent / "source"
        shutil.copytree(SOURCES / name, self.folder)
        temporary = target.parent / "go"
        (temporary / "tmp").mkdir(parents=True)
        self._environment = {
            "GOMODCACHE": str(temporary / "modules"),
            "GOCACHE": str(temporary / "cache"),
            **{name: os.environ[name] for name in ("GOMODCACHE", "GOCACHE") if name in os.environ},
            "GOTMPDIR": str(temporary / "tmp"),
            "GOTOOLCHAIN": "auto",
            # Modules are read-only otherwise, and then their folder cannot be deleted.
            "GOFLAGS": "-modcacherw -buildvcs=false -trimpath",
            "CGO_ENABLED": "0",
        }

    def run(self, *arguments: str, **environment: str) -> str:
        return _run(["go", *arguments], self.folder, {**self._environment, **environment}).strip()

    def build(self, *packages: str, flags: str = "", tags: str = "netgo", **environment: str) -> None:
        linker = f"-s -w {flags}".strip()
        self.run("build", "-tags", tags, "-ldflags", linker, "-o", f"{self.target}{os.sep}", *packages, **environment)

    def module(self, path: str) -> Path:
        """The folder of a module's source."""
        self.run("mod", "download", path)
        return Path(self.run("list", "-m", "-f", "{{.Dir}}", path))


def _make_kubernetes(target: Path) -> None:
    go = _Go("kubernetes", target)
    full = go.run("list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")  # a program built by hand doesn't know it
    major, minor, _ = full.removeprefix("v").split(".")
    version = {"gitVersion": full, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in version.items())
    go.build(".", "./kube-proxy", "./pause", flags=flags)


def _make_dns(target: Path) -> None:
    _Go("dns", target).build(".")


def _repaired_argo(source: Path, target: Path) -> Path:
    """Copies Argo's source, with one file repaired; Go can replace files of other modules only along with their module.

    - The file is a symbolic link to that of macOS. Archives of modules leave links out.
    - Argo 3.3 takes a stage that a signal ends, as when its node is drained, for one that succeeded. Argo 3.4, which
      Kubeflow Pipelines has from 2.2 on, does not: https://github.com/argoproj/argo-workflows/issues/9415. This can go
      with the first Argo here that is later.
    """
    shutil.copytree(source, target)
    signals = target / "workflow" / "executor" / "os-specific"
    text = (signals / "signal_darwin.go").read_text(encoding="utf-8")
    forgets = "errors.NewExitErr(s.ExitStatus())"
    assert text.count(forgets) == 1
    knows = "errors.NewExitErr(map[bool]int{false: s.ExitStatus(), true: 128 + int(s.Signal())}[s.Signaled()])"
    (signals / "signal_linux.go").write_text(text.replace(forgets, knows), encoding="utf-8")
    return target


def _make_pipelines(target: Path) -> None:
    go = _Go("pipelines", target)
    go.run("mod", "edit", f"-replace={_ARGO}={_repaired_argo(go.module(_ARGO), target.parent / 'argo')}")
    code = f"{_PIPELINES}/backend/src"
    go.build(
        f"{code}/v2/cmd/driver",
        f"{code}/v2/cmd/launcher-v2",
        f"{code}/crd/controller/scheduledworkflow",
        f"{code}/agent/persistence",
        f"{_ARGO}/cmd/workflow-controller",
        f"{_ARGO}/cmd/argoexec",
    )
    # SQLite is written in C. The server does not use it here, but cannot be built without it.
    tags = "netgo,osusergo,sqlite_omit_load_extension"
    go.build(f"{code}/apiserver", flags="-linkmode external -extldflags -static", tags=tags, CGO_ENABLED="1")
    source = go.module(_PIPELINES)
    shutil.copytree(source / "manifests" / "kustomize", target / "manifests")
    shutil.copy(source / "backend" / "src" / "apiserver" / "config" / "config.json", target)


def _debian_key() -> str:
    release = platform.freedesktop_os_release()
    return "\n".join([_code(_make_debian), release["ID"], release.get("VERSION_ID", ""), *_DEBIAN])


def _store_key() -> str:
    return "\n".join([_code(_make_store), _REQUIREMENTS.read_text(encoding="utf-8")])


def _make_debian(target: Path) -> None:
    archives = target.parent / "archives"
    (archives / "partial").mkdir(parents=True)
    # Those that are installed already are downloaded, too; what they depend on is found where it is installed.
    download = ["apt-get", "install", "--download-only", "--reinstall", "--yes", "--no-install-recommends"]
    try:
        _run([*download, "-o", f"Dir::Cache::archives={archives}", *_DEBIAN], target)
    except MissingError:  # the lists of packages may be old, or missing
        _run(["apt-get", "update"], target)
        _run([*download, "-o", f"Dir::Cache::archives={archives}", *_DEBIAN], target)
    for archive in sorted(archives.glob("*.deb")):
        _run(["dpkg", "--extract", archive, target], target)
    for name in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"):
        (target / "usr" / "sbin" / name).symlink_to("xtables-nft-multi")  # an installation would make these links


def _make_store(target: Path) -> None:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    _run([*install, "--require-hashes", "--target", target, "--requirement", _REQUIREMENTS], target)


GROUPS = (
    Group("debian", "etcd, containerd, MariaDB: half a minute", _debian_key, _make_debian),
    Group("store", "SeaweedFS: seconds", _store_key, _make_store),
    Group("dns", "CoreDNS: about 3 minutes on two cores", _go_key("dns", _make_dns), _make_dns),
    Group(
        "pipelines",
        "Kubeflow Pipelines and Argo: about 10 minutes",
        _go_key("pipelines", _make_pipelines, _repaired_argo),
        _make_pipelines,
    ),
    Group("kubernetes", "Kubernetes: about 20 minutes", _go_key("kubernetes", _make_kubernetes), _make_kubernetes),
)


if __name__ == "__main__":
    if reason := namespaces.why_not() or (why_not() and _unbuildable()):
        print(reason)  # pytest skips the tests, and says so, too
    else:
        try:
            build()
        except MissingError as error:
            raise SystemExit(str(error)) from None
