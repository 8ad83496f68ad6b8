from __future__ import annotations

import json

import pytest

from config import loading
from config.errors import BadInputError
from config.run import RunConfig

CLUSTER = "job_endpoint: 'flink:8099', worker_pool: 'localhost:50000'"


def load(tmp_path, beam: str) -> RunConfig:
    (tmp_path / "run.yaml").write_text(f"name: fruit\ndata: {{path: photos}}\nbeam: {{{beam}}}\n")
    return loading.load(tmp_path / "run.yaml")


def options(arguments: tuple[str, ...]) -> dict[str, str]:
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


@pytest.mark.parametrize("runner", ["flink", "spark"])
def test_a_cluster_is_reached_through_its_job_server(tmp_path, runner):
    workers = "workers: 3, " if runner == "flink" else ""
    given = options(load(tmp_path, f"runner: {runner}, {workers}{CLUSTER}").beam.arguments())
    assert (given["runner"], given["job_endpoint"]) == ("PortableRunner", "flink:8099")
    assert (given["environment_type"], given["environment_config"]) == ("EXTERNAL", "localhost:50000")
    assert given.get("parallelism") == ("3" if runner == "flink" else None)
    assert "artifact_endpoint" not in given


def test_workers_may_be_processes_of_the_clusters_machines(tmp_path):
    beam = "runner: flink, job_endpoint: 'flink:8099', worker_command: /opt/venv/bin/regraft-beam-worker"
    given = options(load(tmp_path, beam).beam.arguments())
    assert given["environment_type"] == "PROCESS"
    assert json.loads(given["environment_config"]) == {"command": "/opt/venv/bin/regraft-beam-worker"}


def test_options_of_ones_own_win(tmp_path):
    arguments = load(tmp_path, f"runner: flink, {CLUSTER}, options: [--parallelism=7]").beam.arguments()
    assert options(arguments)["parallelism"] == "7"


@pytest.mark.parametrize(
    ("beam", "told"),
    [
        ("runner: flink, worker_pool: 'localhost:50000'", "runner flink needs job_endpoint"),
        ("runner: spark, job_endpoint: 'x:1'", "runner spark needs one of worker_command and worker_pool.*none"),
        (f"runner: flink, worker_command: /x, {CLUSTER}", "needs one of worker_command and worker_pool.*both"),
        ("runner: flink, job_endpoint: 'x:1', worker_command: worker", r"beam\.worker_command"),
        ("workers: 0", r"beam\.workers"),
        (f"runner: local, {CLUSTER}", "job_endpoint is an option of runner flink and spark"),
        (f"runner: dataflow, {CLUSTER}", "beam.runner"),
        ("runner: flink, job_endpoint: flink, worker_pool: 'localhost:50000'", "beam.job_endpoint"),
        ("options: [parallelism]", r"beam\.options\.0"),
        (
            "options: [--runner=DirectRunner]",
            r"beam\.options\.0: a field of the section beam or kubeflow sets this option",
        ),
        (
            "options: [--executor_class_path=os.system]",
            r"beam\.options\.0: a field of the section beam or kubeflow sets this option",
        ),
        ("runner: flink, job_endpoint: 'flink:65536', worker_pool: 'x:1'", "beam.job_endpoint: host:port is expected"),
        (
            f"runner: spark, workers: 4, {CLUSTER}",
            r"beam\.workers: null is allowed with runner spark; set spark\.default\.parallelism",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_by_field(tmp_path, beam, told):
    with pytest.raises(BadInputError, match=told):
        load(tmp_path, beam)
