"""The stand-in for Kubeflow Pipelines' API server, and a real one, answer the same (tests/helpers/kfp_contract.py)."""

from __future__ import annotations

from pathlib import Path

import kfp_contract
import kfp_server
import pytest
from kfp_requests import REQUESTS

DEMO = Path(__file__).parents[2] / "data" / "traffic_lights.yaml"


def test_the_requests_have_names_of_their_own():
    names = [request.name for request in REQUESTS]
    assert sorted(names) == sorted(set(names))


def test_the_stand_in_answers_as_a_real_server():
    with kfp_server.serving() as server:
        server.script = [("RUNNING", {})]
        assert kfp_contract.check(server.url) == []
        assert not (server.runs or server.recurring_runs or server.versions or server.pipelines)
        assert {one["display_name"] for one in server.experiments.values()} == {"Default"}


def test_a_difference_is_found(monkeypatch):
    monkeypatch.setattr(kfp_contract, "_PATIENCE", 0)
    with kfp_server.serving() as server:
        server.refusals["POST", "/experiments$"] = kfp_server.RefusalError("no", 503)
        found = kfp_contract.check(server.url)
    assert found[0].startswith("experiment: new: status 200 is expected. Received: 503: ")
    assert any("not asked, because 'experiment' is unknown" in difference for difference in found)


@pytest.mark.slow
@pytest.mark.cluster
def test_a_real_server_answers_as_the_table_says(real_cluster, tmp_path):
    """The demo's package is one of those that are uploaded."""
    from kubeflow import compile as compiler  # it reaches TensorFlow; the other tests here are fast

    compiler.build(compiler.load(str(DEMO))).write(tmp_path / "demo.yaml")
    assert kfp_contract.check(real_cluster.kfp_url, (tmp_path / "demo.yaml").read_text()) == []
