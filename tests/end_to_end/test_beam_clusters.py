"""Beam stages on a real Flink, a session cluster of two workers, and on a real Spark, with Python workers of theirs."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path

import beam_services
import flink_cluster
import numpy as np
import packages
import pod
import pytest
import spark_server
from emulated_cluster import SKIPPED, SUCCEEDED, Cluster
from ingesting import ingest
from PIL import Image

from kubeflow import compile as compiler

pytestmark = [
    pytest.mark.slow,
    pytest.mark.beam,
    pytest.mark.skipif(bool(beam_services.why_not()), reason=beam_services.why_not()),
]

IMAGES = 5000


def photos(root: Path, number: int) -> Path:
    """JPEGs of three classes, all distinct but one, and one that is none."""
    noise = np.random.default_rng(0)
    for index in range(number):
        folder = root / f"class{index % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        Image.fromarray(noise.integers(0, 255, (8, 8, 3), np.uint8)).resize((96, 72)).save(content, "JPEG")
        (folder / f"{index:05d}.jpg").write_bytes(content.getvalue())
    shutil.copy(root / "class0" / "00000.jpg", root / "class0" / "copy.jpg")
    (root / "class1" / "broken.jpg").write_bytes(b"no image")
    return root


@pytest.mark.skipif(bool(pod.why_not()), reason=pod.why_not())
def test_a_stage_in_kubeflows_pod_has_flink_write_the_very_files_that_it_writes_here(tmp_path):
    """Flink's workers are in pods of their own, which have nothing in common with the stage's but the volume."""
    volume = tmp_path / "volume"
    photos(volume / "photos", IMAGES)
    with flink_cluster.running(tmp_path / "flink", workers=2, volumes={"/data": volume}) as flink:
        kubeflow = {"shared_folder": "/data/shared", "stages": {"TrunkFeatures": {"gpu": 0}}}
        run_config = compiler.load(
            str(packages.write(tmp_path, kubeflow, beam=flink.beam.model_dump(exclude_unset=True)))
        )
        cluster = Cluster(tmp_path, {"photos": volume})
        tasks = cluster.run(compiler.build(run_config), until="ImageExampleGen")
        jobs = flink.get("jobs/overview")["jobs"]
        vertices = [vertex for job in jobs for vertex in flink.get(f"jobs/{job['jid']}")["vertices"]]
    assert not {name: task.output[-3000:] for name, task in tasks.items() if task.state not in (SUCCEEDED, SKIPPED)}
    assert [job["state"] for job in jobs] == ["FINISHED"]
    assert max(vertex["parallelism"] for vertex in vertices) == 2
    assert list((volume / "shared").iterdir()) == []

    here = ingest(
        volume / "photos",
        tmp_path / "here",
        **{name: getattr(run_config.data, name) for name in type(run_config.data.ingestion).model_fields},
    )
    assert (here.counts.found, here.counts.duplicates, here.counts.quarantined) == (IMAGES + 2, 1, 1)
    for name, artifact in tasks["ImageExampleGen"].artifacts.items():
        folder = cluster.stored(artifact["uri"])
        there = {f"{name}/{file.relative_to(folder)}": file for file in folder.rglob("*") if file.is_file()}
        hashes = {path: hashlib.sha256(file.read_bytes()).hexdigest() for path, file in there.items()}
        assert hashes == {path: value for path, value in here.files.items() if path.startswith(f"{name}/")}


def test_spark_writes_the_very_files_that_the_stage_writes_here(tmp_path):
    found = photos(tmp_path / "photos", 300)
    here = ingest(found, tmp_path / "here")
    with spark_server.running(tmp_path / "spark") as beam:
        there = ingest(found, tmp_path / "there", beam)
    assert there.files == here.files
    assert (there.counts.found, there.counts.duplicates, there.counts.quarantined) == (302, 1, 1)
