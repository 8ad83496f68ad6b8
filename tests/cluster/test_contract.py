"""A real API server of Kubeflow Pipelines answers as the stand-in does (tests/kubeflow/test_contract.py)."""

from __future__ import annotations

from pathlib import Path

import cluster_demo
import kfp_contract
import pytest
from real_cluster import RealCluster

from kubeflow import compile as compiler

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


def test_a_real_server_answers_as_the_table_says(cluster: RealCluster, tmp_path: Path):
    """The demo's package is one of those that are uploaded."""
    compiler.build(compiler.load(str(cluster_demo.FILE))).write(tmp_path / "demo.yaml")
    assert kfp_contract.check(cluster.kfp_url, (tmp_path / "demo.yaml").read_text(encoding="utf-8")) == []
