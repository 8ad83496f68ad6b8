"""Whatever happens to the tests, nothing of the cluster is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import namespaces
import pytest
from waiting import becomes_true

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
# Starts a process in namespaces, and one that has left its parents, as those of containers do; then it waits.
_TEST = """
import sys, time
from pathlib import Path
from namespaces import Namespaces
folder = Path(sys.argv[1])
inside = Namespaces(folder)
inside.start(["sleep", "987654321"], folder / "log")
inside.run(["sh", "-c", "sleep 987654321 > /dev/null 2>&1 &"])
inside.run(["mount", "-t", "tmpfs", "none", "/mnt"])
print(inside.cgroup, flush=True)
if sys.argv[2] == "ends":
    inside.close()
else:
    time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def _namespaces_are_allowed() -> None:
    if reason := namespaces.why_not():
        pytest.skip(reason)


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_nothing_is_left_when_the_tests_process(tmp_path, how):
    folder = tmp_path / "cluster"
    folder.mkdir()
    command = [sys.executable, "-c", _TEST, folder, how]
    own = {"PYTHONPATH": str(Path(namespaces.__file__).parent), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own) as process:
        cgroup = process.stdout.readline().strip()
        assert cgroup
        if how == "is killed":
            assert sleepers()
            process.send_signal(signal.SIGKILL)
    assert becomes_true(lambda: not folder.exists(), seconds=20)
    assert not sleepers()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{cgroup}"))
    assert str(folder) not in Path("/proc/self/mounts").read_text(encoding="utf-8")


def sleepers() -> list[str]:
    """The processes that the test starts."""
    found = subprocess.run(["pgrep", "--full", "--exact", "sleep 987654321"], capture_output=True, text=True)
    return found.stdout.split()
