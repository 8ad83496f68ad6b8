"""Beam stages on a real Flink: a session cluster of two workers, Beam's job server, and Python workers it starts."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import flink_cluster
import numpy as np
import packages
import pod
import pytest
from cluster import SKIPPED, SUCCEEDED, Cluster
from ingesting import ingest
from PIL import Image

from kubeflow import compile as compiler

TOOLS = ("java", "mvn", "setpriv")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
    pytest.mark.skipif(bool(pod.why_not()), reason=pod.why_not()),
]

HERE = Path(__file__).parents[1] / "flink"
PARTS = HERE.parents[1] / "build" / "flink"  # 400 MB, kept for the next time
IMAGES = 5000


@pytest.fixture(scope="module")
def parts() -> tuple[Path, Path]:
    """Flink's libraries and Beam's job server, downloaded and built if they aren't there."""
    libraries, jar = PARTS / "lib", PARTS / "target" / "flink-job-server-2.62.0.jar"
    PARTS.mkdir(parents=True, exist_ok=True)
    if not libraries.is_dir():
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        _fetch([*download, "--require-hashes", "-r", str(HERE / "requirements.txt"), "-d", str(PARTS)])
        (archive,) = PARTS.glob("apache*flink*.tar.gz")
        _unpack(archive, libraries)
        archive.unlink()
    if not jar.is_file():
        shutil.copy(HERE / "pom.xml", PARTS / "pom.xml")
        _fetch(["mvn", "--batch-mode", "--quiet", "--file", str(PARTS / "pom.xml"), "package"])
    return libraries, jar


def _fetch(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command[0]} could not fetch Flink: {(done.stdout + done.stderr).strip()[-300:]}")


def _unpack(archive: Path, libraries: Path) -> None:
    unfinished = libraries.with_suffix(".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    with tarfile.open(archive) as content:
        for member in content:
            name = Path(member.name)
            if name.match("deps/lib/flink-dist-*.jar") or name.match("deps/lib/log4j-*.jar"):
                member.name = name.name
                content.extract(member, unfinished, filter="data")
    unfinished.rename(libraries)


def photos(root: Path) -> Path:
    """JPEGs of three classes, all distinct but one, and one that is none."""
    noise = np.random.default_rng(0)
    for number in range(IMAGES):
        folder = root / f"class{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        Image.fromarray(noise.integers(0, 255, (8, 8, 3), np.uint8)).resize((96, 72)).save(content, "JPEG")
        (folder / f"{number:05d}.jpg").write_bytes(content.getvalue())
    shutil.copy(root / "class0" / "00000.jpg", root / "class0" / "copy.jpg")
    (root / "class1" / "broken.jpg").write_bytes(b"no image")
    return root


def test_stages_in_kubeflows_pods_have_flink_write_the_very_files_that_they_write_here(parts, tmp_path):
    """Flink's workers are in pods of their own, which have nothing in common with the stages' but the volume."""
    volume = tmp_path / "volume"
    photos(volume / "photos")
    with flink_cluster.running(*parts, tmp_path / "flink", workers=2, volumes={"/data": volume}) as flink:
        kubeflow = {"shared_folder": "/data/shared", "stages": {"TrunkFeatures": {"gpu": 0}}}
        run_config = compiler.load(
            str(packages.write(tmp_path, kubeflow, beam=flink.beam.model_dump(exclude_unset=True)))
        )
        cluster = Cluster(tmp_path, {"photos": volume})
        tasks = cluster.run(compiler.build(run_config), until="StatisticsGen")
        jobs = flink.get("jobs/overview")["jobs"]
        vertices = [vertex for job in jobs for vertex in flink.get(f"jobs/{job['jid']}")["vertices"]]
    assert not {name: task.said[-3000:] for name, task in tasks.items() if task.state not in (SUCCEEDED, SKIPPED)}
    assert [job["state"] for job in jobs] == ["FINISHED"] * 2
    assert max(vertex["parallelism"] for vertex in vertices) == 2
    assert list((volume / "shared").iterdir()) == []

    here = ingest(volume / "photos", tmp_path / "here", **dataclasses.asdict(run_config.ingestion()))
    assert (here.counts.found, here.counts.duplicates, here.counts.quarantined) == (IMAGES + 2, 1, 1)
    for name, artifact in tasks["ImageExampleGen"].artifacts.items():
        folder = cluster.stored(artifact["uri"])
        there = {f"{name}/{file.relative_to(folder)}": file for file in folder.rglob("*") if file.is_file()}
        hashes = {path: hashlib.sha256(file.read_bytes()).hexdigest() for path, file in there.items()}
        assert hashes == {path: value for path, value in here.files.items() if path.startswith(f"{name}/")}
