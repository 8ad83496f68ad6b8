"""The emulated pods: the limits that they set to a stage. A warm pod, which is a fork, has those of a cold one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import fork_server
import pod
import pytest

pytestmark = pytest.mark.skipif(bool(pod.why_not()), reason=pod.why_not())
# The first warm pod waits until TensorFlow and TFX are loaded.
WARM = pytest.param(True, id="warm", marks=pytest.mark.slow)
both_ways = pytest.mark.parametrize("warm", [pytest.param(False, id="cold"), WARM])

# What a stage may depend on.
STATE = """
import importlib.util, json, logging, os, signal, sys, tempfile
from pathlib import Path
print(json.dumps({
    "name": [__name__, __spec__.name, sys.modules["__main__"].__file__],
    "arguments": sys.argv,
    "environment": dict(os.environ),
    "path": sys.path,
    "folders": [os.getcwd(), tempfile.gettempdir()],
    "user": [os.getuid(), os.getgid(), *(Path("/proc/self", name).read_text() for name in ("uid_map", "gid_map"))],
    "session": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
    "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
    "log": [logging.root.level, len(logging.root.handlers)],
    "bytecode": sys.dont_write_bytecode,
    "helpers": [name for name in ("pod", "emulated_cluster", "conftest", "warm_pod") if importlib.util.find_spec(name)],
    "helper_modules": [name for name in ("pod", "warm_pod", "fork_server") if name in sys.modules],
}))
"""


def run(
    tmp_path: Path, program: str, warm: bool, *arguments: str, kill_when=None, **environment: str
) -> tuple[int, str]:
    """Runs a program as a module on the volume."""
    volume, log = tmp_path / "volume", tmp_path / "log"
    volume.mkdir(exist_ok=True)
    (volume / "program.py").write_text(program)
    command = ["python", "-m", "program", *arguments]
    variables = {"NAME": "value", "PYTHONPATH": f"{pod.CODE}:/data", **environment}
    code = pod.run(command, {"/data": volume}, variables, log, kill_when, warm=warm)
    return code, log.read_text()


@both_ways
@pytest.mark.parametrize("path", ["/etc/x", "/x", "/root/x", str(pod.CODE / "x"), "/usr/local/x"])
def test_a_pod_cannot_write_to_the_image(tmp_path, path, warm):
    code, log = run(tmp_path, f"open({path!r}, 'w')", warm)
    assert code == 1
    assert "Read-only file system" in log
    assert not Path(path).exists()


@both_ways
def test_a_pod_writes_to_its_volume_and_its_own_tmp(tmp_path, warm):
    program = "import os; open('/data/x', 'w'); open('/tmp/own', 'w'); print(os.environ['NAME'])"
    code, log = run(tmp_path, program, warm)
    assert (code, log) == (0, "value\n")
    assert (tmp_path / "volume" / "x").exists()
    assert not Path("/tmp/own").exists()


@both_ways
def test_a_pod_can_be_killed(tmp_path, warm):
    ticks = tmp_path / "volume" / "ticks"
    ticking = "for tick in $(seq 100); do echo $tick >> /data/ticks; sleep 0.1; done"
    program = f"import subprocess; subprocess.run(['sh', '-c', {ticking!r}])"
    code, _ = run(tmp_path, program, warm, kill_when=ticks.exists)
    assert code == -9
    time.sleep(0.5)
    before = ticks.stat().st_size
    time.sleep(0.5)
    assert ticks.stat().st_size == before  # what the command has started ended with it


@both_ways
def test_a_pod_can_be_killed_before_it_runs_its_command(tmp_path, warm):
    assert run(tmp_path, "import time; time.sleep(60)", warm, kill_when=lambda: True) == (-9, "")


def test_a_command_that_is_no_module_is_started(tmp_path):
    assert pod.run(["sleep", "60"], {}, {}, tmp_path / "log", kill_when=lambda: True, warm=True) == -9
    assert pod.run(["false"], {}, {}, tmp_path / "log", warm=True) == 1


@both_ways
@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("", 0),
        ("raise SystemExit", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os._exit(4)", 4),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
    ],
)
def test_the_exit_code_is_that_of_the_module(tmp_path, program, expected, warm):
    assert run(tmp_path, program, warm) == (expected, "")


@both_ways
def test_the_log_has_the_traceback_of_an_error(tmp_path, warm):
    code, log = run(tmp_path, "def fail(): raise ValueError('wrong')\nfail()", warm)
    assert code == 1
    assert log.endswith("ValueError: wrong\n")
    assert "Traceback" in log and "in fail" in log


@pytest.mark.slow
def test_a_warm_pod_differs_from_a_cold_one_only_in_the_modules_that_are_loaded(tmp_path):
    states = []
    for warm in (False, True):
        (tmp_path / str(warm)).mkdir()
        code, log = run(tmp_path / str(warm), STATE, warm, "--option", "1", OWN="2")
        assert code == 0, log
        states.append(json.loads(log))
    cold, forked = states
    assert forked == cold
    assert cold["arguments"][1:] == ["--option", "1"]
    assert cold["helpers"] == cold["helper_modules"] == []


@both_ways
def test_only_a_warm_pod_has_the_libraries_loaded(tmp_path, warm):
    code, log = run(tmp_path, f"import sys; print(*(n for n in {fork_server.PRELOADED} if n in sys.modules))", warm)
    assert (code, log.split()) == (0, list(fork_server.PRELOADED) if warm else [])
