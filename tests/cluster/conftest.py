"""A real cluster for all tests of this folder, and the demo in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import cluster_demo
import pytest
import real_cluster
from cluster_demo import Demo
from real_cluster import RealCluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[RealCluster]:
    """A cluster with an empty Kubeflow Pipelines."""
    if reason := real_cluster.why_not():
        pytest.skip(reason)
    cluster = RealCluster(Path(tempfile.mkdtemp(prefix="regraft-")), cluster_demo.image())
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def demo(cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, with nothing pushed yet."""
    demo = cluster_demo.prepare(cluster, tmp_path_factory.mktemp("demo"))
    yield demo
    demo.close()
