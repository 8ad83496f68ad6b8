"""A Beam stage on a real Flink: a session cluster of two workers, Beam's job server, and Python workers it starts."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import flink_cluster
import numpy as np
import pytest
from ingesting import ingest
from PIL import Image

TOOLS = ("java", "mvn", "setpriv")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")]

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


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEGs of three classes, all distinct but one, and one that is none."""
    root = tmp_path_factory.mktemp("many") / "photos"
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


@pytest.fixture(scope="module")
def cluster(parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[flink_cluster.Cluster]:
    with flink_cluster.running(*parts, tmp_path_factory.mktemp("flink"), workers=2) as running:
        yield running


def test_a_stage_on_flink_writes_the_very_files_that_it_writes_here(cluster, photos, tmp_path):
    here = ingest(photos, tmp_path / "here")
    there = ingest(photos, tmp_path / "there", cluster.beam)
    assert there.files == here.files
    assert (there.counts.found, there.counts.duplicates, there.counts.quarantined) == (IMAGES + 2, 1, 1)

    jobs = cluster.get("jobs/overview")["jobs"]
    assert [job["state"] for job in jobs] == ["FINISHED"]
    vertices = cluster.get(f"jobs/{jobs[0]['jid']}")["vertices"]
    assert max(vertex["parallelism"] for vertex in vertices) == 2
