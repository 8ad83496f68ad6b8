"""A pod as a fork of a process that has the libraries loaded; pod.py makes it.

The fork does what `unshare -rm` and pod.sh do for a process that is started. It imports nothing of the other helpers,
which the pod's command would see otherwise.
"""

from __future__ import annotations

import ctypes
import logging
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18


def main(
    root: str,
    mounts: Sequence[str],
    command: Sequence[str],
    environment: Mapping[str, str],
    path: Sequence[str],
    log: Path,
) -> None:
    """Turns this process into a pod, and runs a module there.

    The process then ends without Python's own exit: no function of `atexit` is called.

    Args:
      root: an empty folder; the root of the pod's file system.
      mounts: the command that mounts the pod's file system there.
      command: the module's name and its arguments.
      environment: all environment variables.
      path: the pod's `sys.path`.
      log: the output is appended to it.
    """
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(environment)
    _enter_own_namespaces()
    subprocess.run(mounts, check=True)
    os.chroot(root)
    os.chdir("/tmp")
    _forget(path)
    sys.argv = list(command)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _enter_own_namespaces() -> None:
    """Does what `unshare --map-root-user --mount --propagation private` does."""
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _check(libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _forget(path: Sequence[str]) -> None:
    """Leaves of the tests' process and of the imports only what a started Python has too, besides the modules."""
    tests = str(Path(__file__).parents[1])
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(tests):
            del sys.modules[name]
    sys.path[:] = path
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    tempfile.tempdir = None  # an import has asked for it, outside the pod
    logging.root.handlers.clear()  # an import has logged; a stage's own `basicConfig` would do nothing
