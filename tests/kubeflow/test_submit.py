"""`regraft kubeflow` with a stand-in for Kubeflow Pipelines' API server (tests/helpers/kfp_server.py)."""

import copy
import datetime
import hashlib
import json
import logging
import os
import re
import time
from pathlib import Path

import command_line
import kfp_rules
import kfp_server
import kfp_spoilt
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kfp_tasks import OMITTED

from config.stages import REPORT, VERDICT
from kubeflow import compile as compiler
from kubeflow import connection, schedule, watch
from kubeflow.package import Package

CONFIG = {
    "name": "fruit",
    "data": {"path": "photos"},
    "backbone": {"name": "MobileNetV2", "image_size": 96},
    "training": {"head": {"epochs": 2}},
    "kubeflow": {
        "image": "registry.example/regraft:1",
        "data_path": "/mnt/data/photos",
        "push_directory": "/mnt/data/models",
        "pipeline_root": "minio://mlpipeline/regraft",
        "volumes": [{"claim": "data", "mount": "/mnt/data"}],
        "schedule": {"cron": "0 3 * * MON"},
    },
}
DONE = {"OutsideState": "SUCCEEDED", "Trainer": "SUCCEEDED"}


def small_package() -> Package:
    """A package as compile.build makes it, with three tasks."""
    names = ("OutsideState", "Trainer", REPORT, VERDICT)
    types = {"head_epochs": ("NUMBER_INTEGER", 2), "min_accuracy": ("NUMBER_DOUBLE", 0.9)}
    types |= dict.fromkeys(("data_path", "push_directory", "bless_anyway"), ("STRING", ""))
    parameters = {name: {"parameterType": kind, "defaultValue": value} for name, (kind, value) in types.items()}
    spec = {
        "pipelineInfo": {"name": "fruit"},
        "schemaVersion": "2.1.0",
        "root": {
            "inputDefinitions": {"parameters": parameters},
            "dag": {
                "tasks": {
                    name: {
                        "taskInfo": {"name": name},
                        "componentRef": {"name": name},
                        "cachingOptions": {"enableCache": True},
                    }
                    for name in names
                }
            },
        },
        "components": {name: {"executorLabel": f"{name}_executor"} for name in names},
        "deploymentSpec": {"executors": {f"{name}_executor": {"container": {"image": "i:1"}} for name in names}},
    }
    executors = {"Trainer_executor": {"imagePullPolicy": "Always"}}
    return Package(spec, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}})


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """An empty folder, no settings of the person who runs the tests, and no long waits."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("KFP_", "KF_PIPELINES_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)


@pytest.fixture
def server():
    with kfp_server.serving() as server:
        yield server


@pytest.fixture
def config(tmp_path):
    (tmp_path / "fruit.yaml").write_text(yaml.safe_dump(CONFIG))
    return str(tmp_path / "fruit.yaml")


@pytest.fixture
def package(monkeypatch):
    """The package that is compiled; a test may change it."""
    package = small_package()
    monkeypatch.setattr(compiler, "build", lambda config: copy.deepcopy(package))
    return package


@pytest.fixture
def call(server, config, package):
    """Runs a command with the server; returns the exit code."""
    return lambda command, *more: command_line.run("kubeflow", command, config, "--host", server.url, *more)


def changed(config: str, **fields) -> None:
    """Writes the configuration with other fields in the section kubeflow."""
    Path(config).write_text(yaml.safe_dump({**CONFIG, "kubeflow": {**CONFIG["kubeflow"], **fields}}))


def one(store: dict) -> dict:
    (only,) = store.values()
    return only


# run


def test_a_run_is_uploaded_started_and_waited_for(server, call, capsys):
    server.script = [
        ("PENDING", {}),
        ("RUNNING", {"OutsideState": "SUCCEEDED"}),
        ("SUCCEEDED", {**DONE, VERDICT: "SUCCEEDED"}),
    ]
    assert call("run") == 0
    pipeline, version, experiment, run = map(one, (server.pipelines, server.versions, server.experiments, server.runs))
    assert pipeline["display_name"] == experiment["display_name"] == "fruit"
    assert run["pipeline_version_reference"] == {
        "pipeline_id": pipeline["pipeline_id"],
        "pipeline_version_id": version["pipeline_version_id"],
    }
    assert run["experiment_id"] == experiment["experiment_id"]
    assert run["runtime_config"] == {"parameters": {}, "pipeline_root": "minio://mlpipeline/regraft"}
    printed = capsys.readouterr()
    name = version["display_name"]
    url = f"{server.url}/#/runs/details/{run['run_id']}"
    assert printed.out.splitlines() == [
        "compiling",
        f"fruit: uploaded as version {name}",
        f"run {run['run_id']}: {url}",
        "pending, 0 of 4 tasks, 0:00:00",
        "running, 1 of 4 tasks, 0:00:00: OutsideState",
        "succeeded, 3 of 4 tasks, 0:00:00: Trainer, Verdict",
    ]
    assert printed.err == ""


def test_a_version_is_named_by_its_content_and_uploaded_once(server, call, package, capsys):
    assert [call("run"), call("run")] == [0, 0]
    (name,) = server.version_of
    written = Path("build/kubeflow/fruit.yaml").read_bytes()
    assert server.version_of[name].encode() == written
    assert name == hashlib.sha256(written).hexdigest()[:12]
    assert f"fruit: unchanged, is version {name}" in capsys.readouterr().out
    package.spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]["image"] = "i:2"
    assert call("run") == 0
    assert len(server.pipelines) == 1 and len(server.versions) == 2 and len(server.runs) == 3
    assert len({run["pipeline_version_reference"]["pipeline_version_id"] for run in server.runs.values()}) == 2


def test_the_same_content_in_another_pipeline_is_another_version(server, call):
    assert call("run") == 0
    one(server.pipelines)["display_name"] = "vegetables"
    assert call("run") == 0
    assert len(server.pipelines) == len(server.versions) == 2


def test_without_the_cache_no_task_of_the_run_uses_it(server, call):
    assert [call("run"), call("run", "--no-cache")] == [0, 0]
    cached, uncached = ("cachingOptions" in content for content in server.version_of.values())
    assert cached and not uncached
    last = list(server.runs.values())[-1]["pipeline_version_reference"]["pipeline_version_id"]
    assert "cachingOptions" not in server.versions[last]["content"]
    assert "cachingOptions" in Path("build/kubeflow/fruit.yaml").read_text()


def test_parameters_keep_their_types(server, call):
    changes = ["head_epochs=3", "min_accuracy=0.5", "data_path=/mnt/data/new=ones", "bless_anyway="]
    assert call("run", *(argument for text in changes for argument in ("--parameter", text))) == 0
    assert one(server.runs)["runtime_config"]["parameters"] == {
        "head_epochs": 3,
        "min_accuracy": 0.5,
        "data_path": "/mnt/data/new=ones",
        "bless_anyway": "",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["head_epochs"], "--parameter: name=value is expected. Received: 'head_epochs'"),
        (["=3"], "--parameter: name=value is expected. Received: '=3'"),
        (["head_epochs=1", "head_epochs=2"], "--parameter head_epochs: must be set once. Received: '1' and '2'"),
        (
            ["epochs=3"],
            "--parameter epochs: no such parameter; the parameters are bless_anyway, data_path, head_epochs, "
            "min_accuracy, push_directory",
        ),
        (["head_epochs=2.5"], "--parameter head_epochs: a whole number is expected. Received: '2.5'"),
        (["min_accuracy=high"], "--parameter min_accuracy: a number is expected. Received: 'high'"),
        (["head_epochs=-1"], "head_epochs: auto, or a whole number from 1, is allowed. Received: -1"),
        (["min_accuracy=nan"], "min_accuracy: input should be a finite number. Received: nan"),
        (["data_path=photos"], "--parameter data_path: an absolute path in the container is expected, "),
        (["push_directory=/elsewhere"], "push_directory: '/elsewhere' is in no volume"),
    ],
)
def test_a_wrong_parameter_is_refused_and_nothing_uploaded(server, call, capsys, changes, message):
    assert call("run", *(argument for text in changes for argument in ("--parameter", text))) == 2
    assert message in capsys.readouterr().err
    assert not server.pipelines and not server.runs


def test_no_wait_prints_the_run_and_its_address(server, call, capsys):
    server.script = [("FAILED", {})]
    assert call("run", "--no-wait") == 0
    run_id = one(server.runs)["run_id"]
    assert capsys.readouterr().out.splitlines()[-1] == f"run {run_id}: {server.url}/#/runs/details/{run_id}"
    assert ("GET", f"/apis/v2beta1/runs/{run_id}") not in server.requests


@pytest.mark.parametrize(
    ("state", "tasks", "code", "message"),
    [
        ("FAILED", {**DONE, VERDICT: "FAILED"}, 3, "not blessed, nothing was pushed; the log of the task Verdict"),
        ("FAILED", {"OutsideState": "SUCCEEDED", "Trainer": "FAILED", VERDICT: OMITTED}, 1, "failed at Trainer\n"),
        ("FAILED", {"OutsideState": "FAILED", "Trainer": "FAILED"}, 1, "failed at OutsideState, Trainer\n"),
        ("FAILED", {"Trainer": "FAILED", VERDICT: "FAILED"}, 1, "failed at Trainer, Verdict\n"),
        ("FAILED", {**DONE, REPORT: "FAILED", VERDICT: "SUCCEEDED"}, 0, "there is no report: the task Report failed\n"),
        ("FAILED", {**DONE, REPORT: "FAILED", VERDICT: "FAILED"}, 3, "not blessed, nothing was pushed; the log of the"),
        ("FAILED", {**DONE, "Report-driver": "FAILED", VERDICT: "SUCCEEDED"}, 0, "there is no report"),
        ("FAILED", {"Trainer": "FAILED", REPORT: OMITTED, VERDICT: OMITTED}, 1, "failed at Trainer\n"),
        ("FAILED", {**DONE, "Verdict-driver": "FAILED", VERDICT: OMITTED}, 1, "failed at Verdict\n"),
        ("FAILED", {"Trainer-driver": "FAILED", "Trainer": "FAILED"}, 1, "failed at Trainer\n"),
        ("FAILED", {}, 1, "failed at a task that the server does not name\n"),
        ("FAILED", {"OutsideState": "SUCCEEDED", "Trainer": "RUNNING", VERDICT: "FAILED"}, 1, "failed at Verdict\n"),
        ("CANCELED", {"OutsideState": "SUCCEEDED"}, 1, "the run was terminated on the server before its end"),
        ("SKIPPED", {}, 1, "the run was skipped\n"),
        ("FAILED", {"OutsideState": "SUCCEEDED", "Trainer": "SKIPPED", VERDICT: "FAILED"}, 3, "not blessed"),
    ],
)
@pytest.mark.parametrize("lists_tasks", [False, True], ids=["task details", "listed tasks"])
def test_the_exit_code_says_how_the_run_ended(server, call, capsys, state, tasks, code, message, lists_tasks):
    server.lists_tasks = lists_tasks
    server.script = [("RUNNING", {}), (state, tasks)]
    assert call("run") == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("seen", ["while it is watched", "in its history"])
@pytest.mark.parametrize("at", ["Trainer", VERDICT])
def test_a_run_that_was_terminated_is_not_called_a_refusal(server, call, capsys, monkeypatch, seen, at):
    """The server reports such a run as FAILED, at the tasks that it ended."""
    tasks = {**DONE, VERDICT: OMITTED, at: "FAILED"}
    server.script = [("RUNNING", {}), ("CANCELING", {}), ("FAILED", tasks)]
    if seen == "in its history":
        server.script, get_run = [("RUNNING", {}), ("FAILED", tasks)], server._get_run
        history = [{"state": "RUNNING"}, {"state": "CANCELING"}, {"state": "FAILED"}]
        monkeypatch.setattr(server, "_get_run", lambda *arguments: {**get_run(*arguments), "state_history": history})
    assert call("run") == 1
    error = capsys.readouterr().err
    assert error == "the run was terminated on the server before its end; it came to no verdict\n"


def test_a_run_that_was_terminated_names_the_task_if_nothing_else_is_known(server, call, capsys, monkeypatch):
    """Argo may end the run before the server has written down that it is being terminated."""
    tasks = {"OutsideState": "SUCCEEDED", "Trainer": "FAILED"}
    server.script, get_run = [("RUNNING", {}), ("FAILED", tasks)], server._get_run
    history = [{"state": "RUNNING"}, {"state": "FAILED"}]
    monkeypatch.setattr(server, "_get_run", lambda *arguments: {**get_run(*arguments), "state_history": history})
    assert call("run") == 1
    assert capsys.readouterr().err == "the run failed at Trainer\n"


@pytest.mark.parametrize("lists_tasks", [False, True], ids=["task details", "listed tasks"])
def test_the_progress_is_that_of_the_tasks(server, call, capsys, lists_tasks):
    server.lists_tasks = lists_tasks
    server.script = [
        ("PENDING", {}),
        ("RUNNING", {"OutsideState": "SUCCEEDED", "Trainer": "RUNNING"}),
        ("SUCCEEDED", {**DONE, REPORT: "SUCCEEDED", VERDICT: "SUCCEEDED"}),
    ]
    assert call("run") == 0
    assert [line.rpartition(", 0:")[0] for line in capsys.readouterr().out.splitlines()[3:]] == [
        "pending, 0 of 4 tasks",
        "running, 1 of 4 tasks",
        "succeeded, 4 of 4 tasks",
    ]
    asked = [path for _, path in server.requests if path.endswith("/tasks")]
    assert len(asked) == 1 if not lists_tasks else len(asked) > 3  # an earlier server is asked once


def test_a_run_that_disappears_is_named(server, call, capsys, monkeypatch):
    """The server knows it, and a moment later its tasks no longer."""
    server.lists_tasks = True

    def gone(query, body, run_id):
        raise kfp_server.RefusalError(f"Failed to list tasks: run {run_id} not found", 404)

    monkeypatch.setattr(server, "_list_tasks", gone)
    assert call("run") == 1
    (run_id,) = server.runs
    assert f"has no run {run_id}; `regraft kubeflow status` lists the runs" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "status", "schedule", "unschedule"])
def test_a_server_of_several_users_asks_for_the_namespace(server, call, capsys, command):
    server.multi_user = True
    assert call(command) == 2
    assert "name your namespace with --namespace" in capsys.readouterr().err
    assert not server.pipelines and not server.experiments


def test_a_failed_run_says_why_if_the_server_does(server, call, capsys, monkeypatch):
    monkeypatch.setattr(server, "script", [("FAILED", {"Trainer": "FAILED"})])
    get_run = server._get_run
    error = {"code": 9, "message": "deadline exceeded"}
    monkeypatch.setattr(server, "_get_run", lambda *arguments: {**get_run(*arguments), "error": error})
    assert call("run") == 1
    assert capsys.readouterr().err == "the run failed at Trainer: deadline exceeded\n"


def test_a_line_is_printed_only_when_something_changes(server, call, capsys):
    running = ("RUNNING", {"OutsideState": "SUCCEEDED", "Trainer": "RUNNING"})
    server.script = [running] * 20 + [("SUCCEEDED", DONE)]
    assert call("run") == 0
    assert [line.rpartition(", 0:")[0] for line in capsys.readouterr().out.splitlines()[3:]] == [
        "running, 1 of 4 tasks",
        "succeeded, 2 of 4 tasks",
    ]


def test_ctrl_c_does_not_stop_the_run(server, call, capsys, monkeypatch):
    server.script = [("RUNNING", {})]

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupt)
    assert call("run") == 130
    url = f"{server.url}/#/runs/details/{one(server.runs)['run_id']}"
    assert capsys.readouterr().err == f"interrupted; the run continues: {url}\n"
    assert not [path for method, path in server.requests if method == "DELETE" or path.endswith(":terminate")]


def test_ctrl_c_before_the_run_prints_no_traceback(server, call, capsys, monkeypatch):
    def interrupt(config):
        raise KeyboardInterrupt

    monkeypatch.setattr(compiler, "build", interrupt)
    assert call("run") == 130
    assert capsys.readouterr().err == "interrupted\n" and not server.pipelines


def test_a_server_that_does_not_answer_for_a_while_is_asked_again(server, call, capsys):
    server.script = [("RUNNING", {}), 503, 502, ("RUNNING", {}), ("SUCCEEDED", DONE)]
    assert call("run") == 0
    printed = capsys.readouterr()
    assert printed.err.count("trying again") == 1 and "upstream connect error (503)" in printed.err
    assert "succeeded" in printed.out


def test_a_server_that_never_answers_again_ends_the_waiting(server, call, capsys, monkeypatch):
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0.1)
    server.script = [("RUNNING", {}), 503]
    assert call("run") == 1
    assert "(503); the run continues: " in capsys.readouterr().err.splitlines()[-1]


def test_a_token_that_expires_ends_the_waiting_at_once(server, call, capsys, monkeypatch):
    monkeypatch.setenv("KFP_TOKEN", "once-valid")
    server.script = [("RUNNING", {}), 401]
    assert call("run") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "the server refused the token in KFP_TOKEN (401); the run continues: " in line


def test_experiment_service_account_and_namespace_reach_the_server(server, call):
    server.multi_user = True
    more = ["--experiment", "trials", "--service-account", "trainer", "--namespace", "anna"]
    assert call("run", *more) == 0
    experiment, run = one(server.experiments), one(server.runs)
    assert (experiment["display_name"], experiment["namespace"]) == ("trials", "anna")
    assert run["service_account"] == "trainer" and run["experiment_id"] == experiment["experiment_id"]
    assert one(server.pipelines)["namespace"] == "anna"
    assert call("run", *more) == 0
    assert len(server.pipelines) == len(server.versions) == len(server.experiments) == 1


def test_a_namespace_named_kubeflow_is_sent(server, call):
    """kfp.Client treats this name as no namespace."""
    server.multi_user = True
    assert call("run", "--namespace", "kubeflow") == 0
    assert one(server.experiments)["namespace"] == one(server.pipelines)["namespace"] == "kubeflow"


def test_another_user_of_the_server_may_have_a_pipeline_of_that_name(server, call):
    server.multi_user = True
    assert [call("run", "--namespace", "anna"), call("run", "--namespace", "bert")] == [0, 0]
    assert {one["namespace"] for one in server.pipelines.values()} == {"anna", "bert"}
    assert {one["pipeline_id"] for one in server.versions.values()} == set(server.pipelines)


def test_the_environment_has_defaults(server, config, package, monkeypatch, capsys):
    server.multi_user, server.token = True, "s3cret"
    for name, value in {"KFP_HOST": f"{server.url}/", "KFP_NAMESPACE": "anna", "KFP_TOKEN": "s3cret"}.items():
        monkeypatch.setenv(name, value)
    assert command_line.run("kubeflow", "run", config) == 0
    assert one(server.experiments)["namespace"] == "anna"
    printed = capsys.readouterr()
    assert f"{server.url}/#/runs" in printed.out and "s3cret" not in printed.out + printed.err


# errors of the server and of the connection


@pytest.mark.parametrize(
    ("behaviour", "token", "message"),
    [
        ("old", None, "too old; the API v2beta1 came with Kubeflow Pipelines 2.0"),
        ("elsewhere", None, "not Kubeflow Pipelines; there is no /apis/v2beta1 (404)"),
        ("page", None, "not an answer of Kubeflow Pipelines' API"),
        ("hang", None, "no answer within 0.2 s"),
        (401, None, "a token is required; set KFP_TOKEN (401)"),
        (401, "s3cret", "the server refused the token in KFP_TOKEN (401)"),
        (403, "s3cret", "is not allowed (403): no luck today"),
        (500, None, "no luck today"),
    ],
)
@pytest.mark.parametrize("command", ["run", "schedule", "unschedule", "status"])
def test_a_wrong_server_is_one_line(server, call, capsys, monkeypatch, command, behaviour, token, message):
    server.behaviour = behaviour
    monkeypatch.setattr(connection, "READ_SECONDS", 0.2)
    if token:
        monkeypatch.setenv("KFP_TOKEN", token)
    start = time.monotonic()
    assert call(command) == 1
    assert time.monotonic() - start < 5
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"{server.url}: ") and message in line and "s3cret" not in line


@pytest.mark.parametrize("command", ["run", "schedule"])
def test_an_upload_that_is_never_answered_ends_with_a_sentence(server, call, capsys, monkeypatch, command):
    """The server does so with what is not YAML: it reads without end."""
    monkeypatch.setattr(connection, "READ_SECONDS", 0.5)
    monkeypatch.setattr(Package, "write", lambda package, path: path.write_text(kfp_spoilt.NO_YAML))
    start = time.monotonic()
    assert call(command) == 1
    assert time.monotonic() - start < 5
    assert capsys.readouterr().err == f"{server.url}: uploading fruit: no answer within 0.5 s\n"
    assert not server.versions and not server.runs and not server.recurring_runs


def test_a_server_that_cannot_be_reached_is_one_line(server, call, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger("urllib3"), "propagate", False)  # TensorFlow, if loaded, prints all warnings
    server.url = "http://localhost:1"
    assert call("status") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("http://localhost:1: checking its health: cannot be reached: ") and "refused" in line


def test_a_login_page_is_not_an_empty_answer(server, call, capsys, monkeypatch):
    build = compiler.build

    def build_and_log_out(config):
        server.behaviour = "page"
        return build(config)

    monkeypatch.setattr(compiler, "build", build_and_log_out)
    assert call("run") == 1
    assert "not an answer of Kubeflow Pipelines' API" in capsys.readouterr().err


def test_a_server_that_stops_answering_ends_the_waiting(server, call, capsys, monkeypatch):
    monkeypatch.setattr(connection, "READ_SECONDS", 0.2)
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0.1)
    get_run = server._get_run

    def hang(*arguments):
        server.behaviour = "hang"
        return get_run(*arguments)

    server.script = [("RUNNING", {})]
    monkeypatch.setattr(server, "_get_run", hang)
    assert call("run") == 1
    assert "no answer within 0.2 s; the run continues" in capsys.readouterr().err


def test_a_package_that_the_server_refuses_is_one_line(server, call, package, capsys):
    package.spec["schemaVersion"] = "2.2.0"
    assert call("run") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "uploading fruit: KFP only supports schema version 2.1.0" in line and "goroutine" not in line
    assert not server.runs
    package.spec["schemaVersion"] = "2.1.0"
    assert call("run") == 0  # after the failed attempt


@pytest.mark.parametrize(
    ("command", "path"), [("run", "/runs$"), ("schedule", "/recurringruns$"), ("run", "/experiments$")]
)
def test_a_refused_request_is_one_line_with_the_servers_message(server, call, capsys, command, path):
    server.refusals["POST", path] = kfp_server.RefusalError("Invalid input error: quota\nis used up")
    assert call(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("Invalid input error: quota is used up (400)")


@pytest.mark.parametrize("trusted", [True, False])
def test_a_private_authority_needs_its_certificate(tmp_path, config, package, capsys, trusted):
    with kfp_server.serving(self_signed(tmp_path)) as server:
        more = ["--ca-certificate", str(tmp_path / "authority.pem")] if trusted else []
        start = time.monotonic()
        code = command_line.run("kubeflow", "status", config, "--host", server.url, *more)
        assert code == (0 if trusted else 1)
        printed = capsys.readouterr()
    assert time.monotonic() - start < 30  # urllib3 would try for minutes
    if not trusted:
        (line,) = printed.err.splitlines()
        assert "no secure connection: " in line
        assert line.endswith("for a private authority, name its file with --ca-certificate")


def self_signed(folder: Path) -> Path:
    """A file with the key and certificate of localhost; the certificate alone is in authority.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "authority.pem").write_bytes(certificate)
    (folder / "server.pem").write_bytes(private + certificate)
    return folder / "server.pem"


# what is refused without a server


def test_a_token_loses_its_line_break_or_is_refused_and_is_never_printed(server, config, monkeypatch, capsys):
    monkeypatch.setenv("KFP_TOKEN", "  secret\n")
    server.token = "secret"
    assert command_line.run("kubeflow", "status", config, "--host", server.url) == 0
    monkeypatch.setenv("KFP_TOKEN", "sec\nret")
    assert command_line.run("kubeflow", "status", config, "--host", server.url) == 2
    assert capsys.readouterr().err == "KFP_TOKEN: a token without spaces and line breaks is expected\n"


@pytest.mark.parametrize("host", ["", "localhost:8080", "ftp://kfp", "http://", "http://[bad", "http://kfp:port"])
def test_a_wrong_address_is_refused(config, capsys, host):
    assert command_line.run("kubeflow", "status", config, "--host", host) == 2
    assert capsys.readouterr().err.startswith("--host: an address with http:// or https:// is expected;")


def test_an_address_is_required(config, capsys):
    assert command_line.run("kubeflow", "status", config) == 2
    assert "the environment variable KFP_HOST also sets it. No address was given\n" in capsys.readouterr().err


def test_a_certificate_that_is_not_there_is_refused(server, call, capsys):
    assert call("status", "--ca-certificate", "nowhere.pem") == 2
    assert "--ca-certificate: there is no such file. Received: 'nowhere.pem'" in capsys.readouterr().err
    assert not server.requests


@pytest.mark.parametrize("command", ["run", "schedule", "unschedule", "status"])
def test_a_configuration_without_kubeflow_is_refused(server, config, call, capsys, command):
    Path(config).write_text(yaml.safe_dump({key: value for key, value in CONFIG.items() if key != "kubeflow"}))
    assert call(command) == 2
    assert f"{config}: kubeflow: is required" in capsys.readouterr().err
    assert not server.requests


def test_a_schedule_needs_the_section_schedule(server, config, call, capsys):
    changed(config, schedule=None)
    assert call("schedule") == 2
    assert f"{config}: kubeflow.schedule: is required" in capsys.readouterr().err
    assert not server.requests


@pytest.mark.parametrize(
    ("arguments", "code", "absent"),
    [
        (["status", "--host", "localhost"], 2, ["kfp", "tfx"]),
        (["run", "--host", "http://localhost:1", "--parameter", "x"], 2, ["kfp", "tfx"]),
        (["run", "--host", "http://localhost:1"], 1, ["tfx", "tensorflow"]),
    ],
)
def test_what_can_be_refused_early_is_refused_before_imports(config, arguments, code, absent):
    done, loaded = command_line.imports("kubeflow", *arguments, config)
    assert done.returncode == code and not loaded & set(absent), done.stderr


# schedule, unschedule


def test_a_schedule_has_the_fields_of_the_configuration(server, config, call, capsys):
    start, end = "2026-12-01T03:00:00+02:00", "2027-12-01T00:00:00Z"
    changed(config, schedule={"cron": "30 3 * * MON-FRI", "max_concurrency": 2, "start": start, "end": end})
    assert call("schedule", "--service-account", "trainer") == 0
    made = one(server.recurring_runs)
    assert made["status"] == "ENABLED" and made["display_name"] == "fruit"
    assert made["trigger"] == {
        "cron_schedule": {
            "cron": "0 30 3 * * MON-FRI",
            "start_time": "2026-12-01T01:00:00Z",
            "end_time": "2027-12-01T00:00:00Z",
        }
    }
    assert made["no_catchup"] is True and int(made["max_concurrency"]) == 2 and made["service_account"] == "trainer"
    assert made["runtime_config"]["pipeline_root"] == "minio://mlpipeline/regraft"
    version = one(server.versions)["pipeline_version_id"]
    assert made["pipeline_version_reference"]["pipeline_version_id"] == version
    assert made["experiment_id"] == one(server.experiments)["experiment_id"]
    assert not server.runs
    assert capsys.readouterr().out.splitlines()[-1] == (
        "fruit: runs at 30 3 * * MON-FRI (UTC); recurring runs removed: 0"
    )


def test_an_interval_is_in_seconds(server, config, call):
    changed(config, schedule={"interval_minutes": 90})
    assert call("schedule") == 0
    assert one(server.recurring_runs)["trigger"] == {"periodic_schedule": {"interval_second": 5400}}


@pytest.mark.parametrize(
    ("crontab", "robfig"),
    [
        ("0 3 * * MON", "0 0 3 * * MON"),
        ("*/15 * 1,15 * 1-5", "0 */15 * 1,15 * 1-5"),
        ("0 3 * * 7", "0 0 3 * * 0"),
        ("0 7 7 7 5-7", "0 0 7 7 7 5,6,0"),
        ("0 3 * * 1,7", "0 0 3 * * 1,0"),
        ("0 3 * * 1-7/3", "0 0 3 * * 1,4,0"),
        ("0 3 * * */7", "0 0 3 * * */7"),
    ],
)
def test_the_servers_cron_has_seconds_and_sunday_is_0(crontab, robfig):
    assert schedule.six_fields(crontab) == robfig
    kfp_rules.check_trigger({"cron_schedule": {"cron": robfig}})


def test_a_new_schedule_replaces_the_old_one(server, config, call, capsys):
    assert call("schedule") == 0
    (old,) = server.recurring_runs
    other = server.add_recurring_run("vegetables", "fruit")
    elsewhere = server.add_recurring_run("fruit", "trials")
    changed(config, schedule={"cron": "0 4 * * *"})
    assert call("schedule") == 0
    assert "recurring runs removed: 1" in capsys.readouterr().out
    assert old not in server.recurring_runs and {other, elsewhere} < set(server.recurring_runs)
    (key,) = set(server.recurring_runs) - {other, elsewhere}
    new = server.recurring_runs[key]
    assert new["status"] == "ENABLED" and new["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"
    assert all(server.recurring_runs[key]["status"] == "ENABLED" for key in (other, elsewhere))
    assert server.most_enabled == 1


def test_a_recurring_run_of_the_same_name_in_another_experiment_does_not_change(server, call):
    elsewhere = server.add_recurring_run("fruit", "trials")
    assert [call("schedule"), call("unschedule")] == [0, 0]
    assert set(server.recurring_runs) == {elsewhere}
    assert server.recurring_runs[elsewhere]["status"] == "ENABLED"


def test_a_schedule_that_is_refused_leaves_the_old_one_running(server, call):
    old = server.add_recurring_run("fruit", "fruit")
    server.refusals["POST", "/recurringruns$"] = kfp_server.RefusalError("no")
    assert call("schedule") == 1
    assert {key: one["status"] for key, one in server.recurring_runs.items()} == {old: "ENABLED"}
    assert not [path for method, path in server.requests if old in path]  # it was never disabled


@pytest.mark.parametrize("failing", [":enable$", ":disable$"])
def test_a_schedule_that_cannot_be_enabled_is_undone(server, call, capsys, failing):
    old = server.add_recurring_run("fruit", "fruit")
    paused = server.add_recurring_run("fruit", "fruit", enabled=False)
    server.refusals["POST", failing] = kfp_server.RefusalError("no", 500)
    assert call("schedule") == 1
    assert {key: one["status"] for key, one in server.recurring_runs.items()} == {old: "ENABLED", paused: "DISABLED"}
    assert server.most_enabled <= 1
    assert capsys.readouterr().err.endswith(": no (500)\n")


def test_a_lost_answer_to_enabling_leaves_only_the_old_schedule(server, call, monkeypatch):
    old = server.add_recurring_run("fruit", "fruit")
    switch = server._switch

    def enable_and_break(query, body, key, what):
        switch(query, body, key, what)
        if what == "enable" and key != old:
            raise kfp_server.RefusalError("upstream", 502)
        return {}

    monkeypatch.setattr(server, "_switch", enable_and_break)
    assert call("schedule") == 1
    assert {key: one["status"] for key, one in server.recurring_runs.items()} == {old: "ENABLED"}
    assert server.most_enabled == 1


def test_a_schedule_that_cannot_be_undone_is_reported(server, call, capsys):
    server.add_recurring_run("fruit", "fruit")
    server.refusals["POST", ":enable$"] = kfp_server.RefusalError("no", 500)
    server.refusals["DELETE", "/recurringruns/"] = kfp_server.RefusalError("neither", 500)
    assert call("schedule") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no (500)" in line and "neither (500)" in line
    assert line.endswith("fruit may have no enabled recurring run now; run schedule again")
    assert call("schedule") == 0
    assert one(server.recurring_runs)["status"] == "ENABLED"


@pytest.mark.parametrize("command", ["schedule", "unschedule"])
def test_an_unfinished_run_does_not_end_with_its_recurring_run(server, call, capsys, command):
    old = server.add_recurring_run("fruit", "fruit")
    server.add_run("fruit", "SUCCEEDED", recurring_run_id=old)
    unfinished = server.add_run("fruit", "RUNNING", recurring_run_id=old)
    assert call(command) == 0
    assert server.killed == [] and server.recurring_runs[old]["status"] == "DISABLED"
    assert "disabled, because a run of theirs has not ended: 1" in capsys.readouterr().out
    server.runs[unfinished]["state"] = "CANCELED"
    assert call(command) == 0
    assert old not in server.recurring_runs
    assert len(server.recurring_runs) == (1 if command == "schedule" else 0)


def test_all_recurring_runs_of_the_name_are_removed(server, call, capsys):
    for number in range(250):  # more than the server returns at once
        server.add_recurring_run("fruit", "fruit", enabled=number % 2 == 0)
    other = server.add_recurring_run("vegetables", "fruit")
    assert call("unschedule") == 0
    assert set(server.recurring_runs) == {other}
    assert capsys.readouterr().out == "fruit: recurring runs removed: 250\n"


def test_unschedule_without_a_schedule_changes_nothing(server, call, capsys):
    assert call("unschedule") == 0
    assert capsys.readouterr().out == "fruit: recurring runs removed: 0\n"
    assert not server.experiments


# status


def test_the_status_has_the_schedule_and_the_last_runs(server, config, call, capsys):
    assert call("schedule") == 0
    recurring = one(server.recurring_runs)
    ids = [server.add_run("fruit", "FAILED") for _ in range(11)]
    server.runs[ids[-1]] |= {"created_at": "2026-11-03T03:00:00Z", "finished_at": "2026-11-03T04:01:05Z"}
    running = server.add_run("fruit", "RUNNING", created_at="2026-11-04T03:00:00Z")
    capsys.readouterr()
    assert call("status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recurring_runs"] == [
        {
            "id": recurring["recurring_run_id"],
            "name": "fruit",
            "enabled": True,
            "cron": "0 0 3 * * MON",
            "interval_seconds": None,
            "start": None,
            "end": None,
            "max_concurrency": 1,
        }
    ]
    assert [run["id"] for run in found["runs"]] == [running, *reversed(ids[2:])]
    assert found["runs"][1]["seconds"] == 3665 and found["runs"][1]["created"] == "2026-11-03T03:00:00+00:00"
    assert found["runs"][1]["url"] == f"{server.url}/#/runs/details/{ids[-1]}"
    now = datetime.datetime.now(datetime.UTC)
    since = (now - datetime.datetime(2026, 11, 4, 3, tzinfo=datetime.UTC)).total_seconds()
    assert abs(found["runs"][0]["seconds"] - since) < 60  # the server sends 1970 until it ends
    assert found["runs"][2]["seconds"] is None
    assert call("status") == 0
    printed = capsys.readouterr().out
    assert re.search(rf"fruit +{recurring['recurring_run_id']} +yes +0 0 3 \* \* MON +1 +– +–", printed)
    assert re.search(rf"{ids[-1]} +2026-11-03T03:00:00\+00:00 +FAILED +1:01:05", printed)


def test_the_status_shows_an_interval_and_its_bounds(server, config, call, capsys):
    changed(config, schedule={"interval_minutes": 90, "start": "2026-12-01T03:00:00Z"})
    assert call("schedule") == 0
    one(server.recurring_runs)["status"] = "DISABLED"
    capsys.readouterr()
    assert call("status") == 0
    assert re.search(r" no +every 1:30:00 +1 +2026-12-01T03:00:00\+00:00 +–", capsys.readouterr().out)


def test_an_empty_status_is_not_an_error(server, call, capsys):
    assert call("status") == 0
    assert capsys.readouterr().out == "fruit: no runs and no schedule\n"
    assert call("status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"experiment": "fruit", "recurring_runs": [], "runs": []}
    assert not server.experiments


# the real package


def test_the_server_accepts_the_compiled_pipeline(server, config):
    """In a process of its own, since TFX is loaded; the messages of TensorFlow go to the log."""
    server.script = [("FAILED", {VERDICT: "FAILED"})]
    more = ["--parameter", "head_epochs=1", "--parameter", "push_directory=/mnt/data/tried"]
    done = command_line.process("kubeflow", "run", config, "--host", server.url, *more)
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 4 and len(done.stderr.splitlines()) == 1, done.stderr
    assert one(server.runs)["runtime_config"]["parameters"] == {"head_epochs": 1, "push_directory": "/mnt/data/tried"}
    assert Path("build/kubeflow/fruit.log").is_file()
