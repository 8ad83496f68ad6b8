"""The emulated pods: the limits that they set to a stage."""

from __future__ import annotations

from pathlib import Path

import pod
import pytest

pytestmark = pytest.mark.skipif(bool(pod.why_not()), reason=pod.why_not())


def run(tmp_path: Path, program: str) -> tuple[int, str]:
    volume, log = tmp_path / "volume", tmp_path / "log"
    volume.mkdir(exist_ok=True)
    code = pod.run(["python", "-c", program], {"/data": volume}, {"NAME": "value"}, log)
    return code, log.read_text()


@pytest.mark.parametrize("path", ["/etc/x", "/x", "/root/x", str(pod.CODE / "x"), "/usr/local/x"])
def test_a_pod_cannot_write_to_the_image(tmp_path, path):
    code, log = run(tmp_path, f"open({path!r}, 'w')")
    assert code == 1
    assert "Read-only file system" in log
    assert not Path(path).exists()


def test_a_pod_writes_to_its_volume_and_its_own_tmp(tmp_path):
    code, log = run(tmp_path, "import os; open('/data/x', 'w'); open('/tmp/own', 'w'); print(os.environ['NAME'])")
    assert (code, log) == (0, "value\n")
    assert (tmp_path / "volume" / "x").exists()
    assert not Path("/tmp/own").exists()


def test_a_pod_can_be_killed(tmp_path):
    log = tmp_path / "log"
    code = pod.run(["sleep", "60"], {}, {}, log, kill_when=lambda: True)
    assert code == -9
