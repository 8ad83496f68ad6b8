"""Linux namespaces of their own for many processes: whatever happens, all end together and leave nothing behind.

A keeper, which is a process of its own, starts the namespaces' first process and waits until its own standard input
ends: it ends however the test's process ends. Then the keeper kills the first process. The kernel kills all others with
it, and removes their mounts and network devices. The keeper deletes what no namespace holds: control groups and files.

    python tests/helpers/namespaces.py FOLDER    is the keeper
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from waiting import becomes_true

_KINDS = ("pid", "mount", "net", "ipc", "uts")
_CGROUPS = Path("/sys/fs/cgroup")
# The start of a command that the kernel kills as soon as the process that started it ends.
WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")


def why_not() -> str:
    """Why this machine allows no namespaces; empty if it does."""
    if os.geteuid() != 0:
        return "namespaces with control groups need root"
    if missing := [name for name in ("ip", "mount", "nsenter", "setpriv", "unshare") if shutil.which(name) is None]:
        return f"{', '.join(missing)} not found"
    with tempfile.TemporaryDirectory(prefix="regraft-") as folder:
        try:
            Namespaces(Path(folder)).close()
        except RuntimeError as error:
            return str(error)
        os.makedirs(folder, exist_ok=True)  # the namespaces deleted it
    return ""


class Namespaces:
    """Processes in their own network, mount and process namespaces.

    Attributes:
      folder: for files; it is deleted at the end.
      cgroup: path of their control group, below the root of each hierarchy.
    """

    def __init__(self, folder: Path) -> None:
        """Makes them, with an empty /run, and with writes to /var/lib and /var/log kept in `folder`.

        Args:
          folder: an existing one.
        """
        self.folder = folder
        with tempfile.TemporaryFile("w+") as errors:
            self._keeper = subprocess.Popen(
                [sys.executable, __file__, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            first = self._keeper.stdout.readline().strip()
            if not first:
                self.close()
                errors.seek(0)
                raise RuntimeError(f"this machine allows no namespaces: {errors.read().strip()}")
        self._first = int(first)
        self.cgroup = _cgroup(self._keeper.pid)

    def command(self, command: Sequence[str | Path]) -> list[str]:
        """The command that runs a command inside."""
        return ["nsenter", "--target", str(self._first), *(f"--{kind}" for kind in _KINDS), "--", *map(str, command)]

    def start(
        self,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Starts a process inside.

        Args:
          command: its program and arguments.
          log: its output is appended to this file.
          environment: in addition to that of this process.
          pass_fds: file descriptors that it inherits.
        """
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                pass_fds=pass_fds,
                start_new_session=True,
            )

    def run(self, command: Sequence[str | Path], input: str | None = None) -> str:
        """Runs a command inside, and gives its output.

        Raises:
          subprocess.CalledProcessError: if it fails.
        """
        return subprocess.run(self.command(command), input=input, check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        """Ends all processes; returns when nothing is left."""
        self._keeper.stdin.close()
        self._keeper.wait()


def _cgroup(keeper: int) -> str:
    return f"regraft-{keeper}"


def _keep(folder: Path) -> None:
    """The keeper's work."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    _remove_abandoned_cgroups()
    for hierarchy in _hierarchies():
        (hierarchy / _cgroup(os.getpid())).mkdir()
    unshare = subprocess.Popen(
        [*WITH_PARENT, "unshare", "--fork", "--kill-child", *(f"--{kind}" for kind in _KINDS), "--mount-proc",
         "--propagation", "private", sys.executable, "-c", _FIRST, str(folder)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    first = 0
    try:
        if unshare.stdout.readline():
            children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text(encoding="ascii")
            first = int(children)
            print(first, flush=True)
            sys.stdin.read()
    finally:
        if first:
            os.kill(first, signal.SIGKILL)
        else:
            unshare.kill()
        unshare.wait()  # the first process ends as the last one, and unshare after it
        for hierarchy in _hierarchies():
            _remove_cgroup(hierarchy / _cgroup(os.getpid()))
        shutil.rmtree(folder)


# The first process: it makes the folders where Kubernetes writes outside its own, says so, and waits. It ignores
# SIGCHLD, so the kernel collects the exit codes of orphans.
_FIRST = """
import os, signal, subprocess, sys
folder = sys.argv[1]
def mount(*arguments):
    subprocess.run(["mount", "-t", *arguments], check=True)
mount("tmpfs", "none", "/run")
for place in ("lib", "log"):
    upper, work = f"{folder}/var/{place}/upper", f"{folder}/var/{place}/work"
    os.makedirs(upper)
    os.makedirs(work)
    mount("overlay", "none", "-o", f"lowerdir=/var/{place},upperdir={upper},workdir={work}", f"/var/{place}")
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
while True:
    signal.pause()
"""


def _hierarchies() -> list[Path]:
    """The roots of the control groups' hierarchies: several in version 1, one in version 2."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [path for path in _CGROUPS.iterdir() if path.is_dir() and os.path.ismount(path)]


def _remove_abandoned_cgroups() -> None:
    """Removes those of keepers that were killed."""
    for hierarchy in _hierarchies():
        for path in hierarchy.glob("regraft-*"):
            if not Path(f"/proc/{path.name.rpartition('-')[2]}").exists():
                _remove_cgroup(path)


def _remove_cgroup(path: Path) -> None:
    """Removes a control group with all below it, as soon as the kernel has ended their processes."""

    def is_gone() -> bool:
        for folder, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):  # busy: the next round tries again
                os.rmdir(folder)
        return not path.exists()

    if not becomes_true(is_gone, seconds=10, every=0.05):
        print(f"{path}: still has processes, so it stays", file=sys.stderr)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
