"""The stand-in for Kubeflow Pipelines' API server answers as a real one, which tests/cluster/test_contract.py asks."""

from __future__ import annotations

import kfp_contract
import kfp_server
import requests
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


def test_what_cannot_be_deleted_is_a_difference():
    with kfp_server.serving() as server:
        server.script = [("RUNNING", {})]
        server.refusals["DELETE", "/pipelines/[^/]+$"] = kfp_server.RefusalError("in use", 500)
        found = kfp_contract.check(server.url)
        (left,) = server.pipelines
    assert len(found) == 1 and found[0].startswith(f"cleaning: pipelines/{left}: 500: ")


def test_a_server_that_goes_away_hides_no_differences(monkeypatch):
    monkeypatch.setattr(kfp_contract, "_PATIENCE", 0)
    ask = requests.Session.request

    def goes_away(session, method, url, **settings):
        if method == "DELETE" or url.endswith("/versions"):
            raise requests.ConnectionError
        assert settings["timeout"] == kfp_contract._SECONDS
        return ask(session, method, url, **settings)

    monkeypatch.setattr(requests.Session, "request", goes_away)
    with kfp_server.serving() as server:
        server.refusals["POST", "/experiments$"] = kfp_server.RefusalError("no", 503)
        found = kfp_contract.check(server.url)
    assert any(line.startswith("experiment: new: status 200 is expected. Received: 503: ") for line in found)
    assert found[-1].startswith("cleaning: ") and found[-1].endswith(": no answer: ConnectionError")
    assert any(line.endswith(": no answer: ConnectionError") and not line.startswith("cleaning") for line in found)
