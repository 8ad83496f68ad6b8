"""The packages of Python 3.12 and later resolve for macOS on arm64 too. Regraft was never run there."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.platforms]

# Packages of Linux that others ask for under a marker.
LINUX_ONLY = {"array-record", "jeepney", "secretstorage"}


def versions(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_the_same_versions_resolve(tmp_path, python):
    locked = versions((ROOT / "requirements-3.12.lock").read_text(encoding="utf-8"))
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("".join(f"{name}=={locked[name]}\n" for name in locked if name not in LINUX_ONLY))
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    done = subprocess.run(
        [
            uv, "pip", "compile", "--quiet", "--no-annotate", "--no-header", "--allow-unsafe",
            "--python-version", python, "--python-platform", "aarch64-apple-darwin",
            "--override", "overrides.txt", "--constraint", constraint, "requirements.in", "requirements-dev.in",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},  # onnxruntime has no wheels for an older one
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert versions(done.stdout) == {name: locked[name] for name in locked if name not in LINUX_ONLY}
