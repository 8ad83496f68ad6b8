"""The lock files say exactly what is installed: checked without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EVERYTHING = ("requirements.in", "requirements-dev.in", "overrides.txt")
LOCKED_FROM = {
    "requirements.lock": (*EVERYTHING, "overrides-3.11.txt"),
    "requirements-3.12.lock": EVERYTHING,
    "kubeflow/requirements.lock": ("requirements.in",),
}
# What TFX 1.21 bounds on Python 3.11 only, and what has wheels for glibc 2.39 only from 3.12 on.
OF_THE_PYTHON_VERSION = {"kfp", "kfp-kubernetes", "kfp-pipeline-spec", "ml-metadata", "tensorflow-data-validation"}


def locked(file: str) -> dict[str, str]:
    """Package name to version; fails on any line that is not a version or one of its hashes."""
    found = {}
    for entry in (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        match = re.fullmatch(r"([a-z0-9._-]+)==(\S+)( +--hash=sha256:[0-9a-f]{64})+", entry.strip())
        assert match, f"{file}: {entry[:80]}: a version and its hashes are expected; run `make lock`"
        found[canonicalize_name(match[1])] = match[2]
    return found


def required(file: str) -> list[Requirement]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    found = [Requirement(line) for line in lines if line]
    return [requirement for requirement in found if requirement.marker is None or requirement.marker.evaluate()]


@pytest.mark.parametrize("file", [*LOCKED_FROM, "kubeflow/gpu.lock"])
def test_a_lock_has_only_versions_with_hashes(file):
    assert locked(file)


@pytest.mark.parametrize("file", LOCKED_FROM)
def test_a_lock_has_what_is_required(file):
    versions = locked(file)
    for source in LOCKED_FROM[file]:
        for requirement in required(source):
            version = versions.get(canonicalize_name(requirement.name))
            assert version, f"{file}: {requirement.name} is missing, which {source} requires; run `make lock`"
            assert requirement.specifier.contains(version, prereleases=True), f"{file}: {requirement} in {source}"


def test_partners_of_tfx_are_its_own_on_python_3_12_and_later():
    versions = locked("requirements-3.12.lock")
    family = {versions[name].rpartition(".")[0] for name in ("ml-metadata", "tensorflow-data-validation", "tfx")}
    assert len(family) == 1, family


def test_both_locks_have_the_same_versions_where_they_can():
    """What behaves otherwise on another Python is then due to few packages."""
    later, older = locked("requirements-3.12.lock"), locked("requirements.lock")
    other = {name for name in set(later) & set(older) if later[name] != older[name]}
    assert other >= OF_THE_PYTHON_VERSION
    assert len(other) < 15, other
    assert not set(later) - set(older)
