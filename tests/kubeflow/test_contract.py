"""The stand-in for Kubeflow Pipelines' API server answers as a real one, which tests/cluster/test_contract.py asks."""

from __future__ import annotations

import kfp_contract
import kfp_server
from kfp_requests import REQUESTS


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
