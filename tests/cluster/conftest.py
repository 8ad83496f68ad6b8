"""A real cluster for all tests of this folder, and the demo in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import cluster_demo
import pytest
import real_cluster
from cluster_demo import Demo, Process
from real_cluster import RealCluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of the demo's runs come last, see `first_run`."""
    items.sort(key=lambda item: item.path.name == "test_runs.py")


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


@pytest.fixture(scope="session", autouse=True)
def first_run(request: pytest.FixtureRequest) -> Process | None:
    """The demo's first run. It takes minutes, so it runs beside the tests that come before test_runs.py."""
    wanted = any(item.path.name == "test_runs.py" for item in request.session.items)
    return request.getfixturevalue("demo").start("run", *cluster_demo.FEW_EPOCHS) if wanted else None
