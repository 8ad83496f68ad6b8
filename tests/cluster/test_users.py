"""A Kubeflow Pipelines with several users: it asks Kubernetes who a token belongs to, and what that user may do."""

from __future__ import annotations

import copy
import json

import pytest
from cluster_demo import Demo
from real_cluster import KUBEFLOW, RealCluster
from waiting import becomes_true

from config.errors import ExitCode

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
_SERVER = "ml-pipeline"
_AUDIENCE = "pipelines.kubeflow.org"
_MULTI_USER = {
    "MULTIUSER": "true",
    "KUBEFLOW_USERID_HEADER": "kubeflow-userid",
    "KUBEFLOW_USERID_PREFIX": "",
    "DBCONFIG_MYSQLCONFIG_DBNAME": "users",  # a database of its own
    "DBCONFIG_DBNAME": "users",
}


@pytest.fixture(scope="module")
def host(cluster: RealCluster) -> str:
    """The address of a second API server, for several users."""
    name = f"{_SERVER}-users"
    upstream = cluster.node.folder / "manifests" / "upstream" / "base" / "installs" / "multi-user"
    cluster.kubectl("apply", f"--filename={upstream / 'view-edit-cluster-roles.yaml'}")
    cluster.kubectl("apply", f"--filename={upstream / 'api-service' / 'cluster-role.yaml'}")
    cluster.kubectl(
        "create", "clusterrolebinding", _SERVER, f"--clusterrole={_SERVER}", f"--serviceaccount={KUBEFLOW}:{_SERVER}"
    )
    deployment = cluster.get("deployment", _SERVER)
    labels = {"app": name}
    template = copy.deepcopy(deployment["spec"]["template"])
    template["metadata"]["labels"] = labels
    container = template["spec"]["containers"][0]
    others = [variable for variable in container["env"] if variable["name"] not in _MULTI_USER]
    container["env"] = others + [{"name": key, "value": value} for key, value in _MULTI_USER.items()]
    cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 8888}]},
        },
    )
    cluster.kubectl("wait", "--for=condition=available", "--timeout=180s", f"deployment/{name}")
    return cluster.forward(name, 8888)


@pytest.fixture(scope="module")
def token(cluster: RealCluster) -> str:
    """A token of a service account that may edit pipelines in the namespace team-a, and nothing in team-b."""
    for team in ("team-a", "team-b"):
        cluster.kubectl("create", "namespace", team)
        cluster.kubectl("create", "serviceaccount", "regraft", f"--namespace={team}")
        may = ("--clusterrole=kubeflow-pipelines-edit", f"--serviceaccount={team}:regraft")
        cluster.kubectl("create", "rolebinding", "regraft", f"--namespace={team}", *may)

    def may_edit() -> bool:  # Kubernetes makes this role from others, a moment later
        role = cluster.get("clusterrole", "kubeflow-pipelines-edit")
        return "runs" in json.dumps(role["rules"] or [])

    assert becomes_true(may_edit)
    return cluster.kubectl("create", "token", "regraft", "--namespace=team-a", f"--audience={_AUDIENCE}").strip()


def test_a_user_schedules_in_the_own_namespace(host, token, demo: Demo):
    own = "--namespace=team-a"
    assert (done := demo.run("schedule", own, host=host, token=token)).code == ExitCode.OK, done.output
    status = json.loads(demo.run("status", own, "--json", host=host, token=token).output)
    assert [one["enabled"] for one in status["recurring_runs"]] == [True]
    assert (done := demo.run("unschedule", own, host=host, token=token)).code == ExitCode.OK, done.output
    status = json.loads(demo.run("status", own, "--json", host=host, token=token).output)
    assert status["recurring_runs"] == []


def test_a_user_may_not_see_the_namespace_of_others(host, token, demo):
    done = demo.run("status", "--namespace=team-b", host=host, token=token)
    assert done.code == ExitCode.FAILED
    assert "team-b" in done.output and "Traceback" not in done.output


@pytest.mark.parametrize("wrong", ["", "not-a-token"])
def test_without_a_right_token_nothing_is_seen(host, demo, wrong):
    done = demo.run("status", "--namespace=team-a", host=host, token=wrong)
    assert done.code == ExitCode.FAILED
    assert "KFP_TOKEN" in done.output and "Traceback" not in done.output


def test_a_namespace_is_needed(host, token, demo):
    done = demo.run("status", host=host, token=token)
    assert done.code == ExitCode.BAD_INPUT
    assert "--namespace" in done.output and "Traceback" not in done.output
