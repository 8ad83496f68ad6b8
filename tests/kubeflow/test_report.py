"""The task Report on Kubeflow Pipelines, and downloading its page from a stand-in for Kubeflow's user interface."""

from __future__ import annotations

import http.server
import json
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import command_line
import numpy as np
import pytest
import reports
from ml_metadata.proto import metadata_store_pb2
from ml_metadata.proto import metadata_store_service_pb2 as service
from sklearn import metrics

from components.evaluator import predictions
from config.stages import PUSHER
from kubeflow import report

RUN = "5b1d9d9e-93f2-4a3e-9a1c-0a3f0a4f8d0c"


def executor_input(folder: Path, artifacts: dict | None = None) -> dict:
    """The launcher's message; outputs go into the folder."""
    uri = f"{folder}/root/fruit/{RUN}/Report/2"
    outputs = {
        key: {"artifacts": [{"name": key, "uri": f"{uri}/{key}", "type": {"schemaTitle": title}, "metadata": {}}]}
        for key, title in (("page", "system.HTML"), ("classification", "x"), ("figures", "system.Metrics"))
    }
    return {
        "inputs": {"artifacts": artifacts or {}, "parameterValues": {"config": "{}", "directory": "/data/models"}},
        "outputs": {"artifacts": outputs, "outputFile": str(folder / "output.json")},
    }


def run_task(folder: Path) -> tuple[int, str, dict]:
    """Exit code, the page, and the metadata of each output."""
    message = executor_input(folder)
    code = report.main([json.dumps(message)])
    written = json.loads((folder / "output.json").read_text(encoding="utf-8"))["artifacts"]
    page = Path(message["outputs"]["artifacts"]["page"]["artifacts"][0]["uri"]).read_text(encoding="utf-8")
    return code, page, {key: several["artifacts"][0]["metadata"] for key, several in written.items()}


def test_the_figures_are_those_of_the_run(tmp_path, monkeypatch):
    run = reports.Script(tmp_path / "run", images=40, wrong=0.3, with_baseline=True).run()
    monkeypatch.setattr(report, "_run", lambda message: run)
    code, page, metadata = run_task(tmp_path)
    assert code == 0 and page.startswith("<!DOCTYPE html>") and "No report" not in page
    matrix = metadata["classification"]["confusionMatrix"]
    assert [row["row"] for row in matrix["rows"]] == run.evaluation.confusion.tolist()
    assert [one["displayName"] for one in matrix["annotationSpecs"]] == ["cyan", "magenta", "yellow"]
    verdict = run.summary.verdict
    assert metadata["figures"]["accuracy"] == verdict.accuracy
    assert metadata["figures"]["accuracy_change"] == verdict.change.value
    assert (metadata["figures"]["blessed"], metadata["figures"]["test_images"]) == (1, 40)
    curve = metadata["classification"]["confidenceMetrics"]
    found = predictions.read(run.uri("Evaluator", "evaluation"))
    truth = np.array(found.labels)[:, np.newaxis] == np.array(found.classes)
    area = metrics.auc([one["falsePositiveRate"] for one in curve], [one["recall"] for one in curve])
    assert area == pytest.approx(metrics.roc_auc_score(truth.ravel(), found.candidate.ravel()), abs=0.01)
    assert all(0 <= one["confidenceThreshold"] <= 1 for one in curve)
    json.dumps(metadata, allow_nan=False)


def test_a_report_that_cannot_be_made_says_why_and_fails_nothing(tmp_path, monkeypatch, caplog):
    def fail(message):
        raise ValueError("no <script> here")

    monkeypatch.setattr(report, "_run", fail)
    code, page, metadata = run_task(tmp_path)
    assert code == 0 and metadata == {"page": {}, "classification": {}, "figures": {}}
    assert "No report: no &lt;script&gt; here" in page
    assert "the report was not made" in caplog.text


def test_the_records_have_properties_as_ml_metadata_on_one_machine_has_them():
    metadata = {"pushed": 1.0, "pushed_version": "3", "share": 0.5, "display_name": "x"}
    message = {"inputs": {"artifacts": {"pushed_model": {"artifacts": [{"uri": "s3://a/b", "metadata": metadata}]}}}}
    (record,) = report._records(report._inputs(message)).values()
    artifact = record.outputs["pushed_model"]
    assert artifact.uri == "/s3/a/b"
    properties = artifact.custom_properties
    assert (properties["pushed"].int_value, properties["pushed_version"].string_value) == (1, "3")
    assert properties["share"].double_value == 0.5 and "display_name" not in properties
    assert set(report.READ[PUSHER]) == {"pushed_model"}


def test_the_id_of_the_run_is_in_the_address():
    assert report._run_id(f"minio://bucket/root/fruit/{RUN}/Report/7f/page") == RUN


@dataclass
class UserInterface:
    """Kubeflow's user interface, as far as a download needs it: ML Metadata by gRPC-Web, and files.

    Attributes:
      page: what the run has made; None: its task Report has not ended.
      status: of every answer, HTTP.
      asked: the query of each file.
      tokens: the header with the token, of all requests.
      lists_tasks: whether the API server lists tasks with their artifacts; there is no ML Metadata then.
      has_tasks: whether the run has tasks yet.
    """

    page: bytes | None = b"<!DOCTYPE html>report"
    uri: str = f"minio://mlpipeline/root/fruit/{RUN}/Report/7f/page"
    status: int = 200
    asked: list[dict] = field(default_factory=list)
    tokens: set = field(default_factory=set)
    lists_tasks: bool = False
    has_tasks: bool = True

    def tasks(self, run: str, token: str | None) -> tuple[int, dict]:
        """Status and answer of the API server; one task at a time."""
        if not self.lists_tasks:
            return 404, {"code": 5, "message": "Not Found"}
        if run != RUN:
            return 404, {"code": 5, "message": f"Failed to list tasks: run {run} not found"}
        if not self.has_tasks:
            return 200, {}
        if token is None:
            return 200, {"tasks": [{"name": "ROOT"}, {"name": "Trainer", "outputs": {}}], "next_page_token": "more"}
        page = {"artifact_key": "page", "artifacts": [{"uri": self.uri, "name": "page"}]}
        figures = {"artifact_key": "figures", "artifacts": [{"name": "accuracy", "number_value": 0.9}]}
        outputs = {} if self.page is None else {"artifacts": [figures, page]}
        return 200, {"tasks": [{"name": "Report", "outputs": outputs}], "next_page_token": ""}

    def metadata(self, method: str, content: bytes) -> bytes:
        if method == "GetContextByTypeAndName":
            request = service.GetContextByTypeAndNameRequest.FromString(content)
            answer = service.GetContextByTypeAndNameResponse()
            if (request.type_name, request.context_name) == ("system.PipelineRun", RUN):
                answer.context.id = 4
        else:
            assert service.GetArtifactsByContextRequest.FromString(content).context_id == 4
            answer = service.GetArtifactsByContextResponse()
            names = {"model": "minio://mlpipeline/model"} | ({} if self.page is None else {"page": self.uri})
            for number, (name, uri) in enumerate(names.items()):
                artifact = metadata_store_pb2.Artifact(id=number, uri=uri)
                artifact.custom_properties["display_name"].string_value = name
                artifact.custom_properties["store_session_info"].string_value = '{"Provider":"minio"}'
                answer.artifacts.append(artifact)
        message, trailers = answer.SerializeToString(), b"grpc-status:0\r\n"
        return struct.pack(">BI", 0, len(message)) + message + struct.pack(">BI", 0x80, len(trailers)) + trailers


@pytest.fixture
def interface():
    """The stand-in, and its address."""
    state = UserInterface()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            service_name, _, method = self.path.rpartition("/")
            assert service_name == "/ml_metadata.MetadataStoreService", "below no folder"
            assert self.headers["Content-Type"] == "application/grpc-web+proto"
            kind, length = struct.unpack(">BI", content[:5])
            assert (kind, length) == (0, len(content) - 5)
            self._answer(state.metadata(method, content[5:]))

        def do_GET(self):
            address = urlsplit(self.path)
            if address.path.startswith("/pipeline/apis/v2beta1/runs/"):
                run = address.path.split("/")[-2]
                status, answer = state.tasks(run, dict(parse_qs(address.query)).get("page_token"))
                self._answer(json.dumps(answer).encode(), status)
                return
            assert address.path == "/pipeline/artifacts/get"
            state.asked.append({key: value for key, (value,) in parse_qs(address.query).items()})
            self._answer(state.page)

        def _answer(self, content: bytes, status: int = 200):
            state.tokens.add(self.headers["Authorization"])
            self.send_response(state.status if state.status != 200 else status)
            self.end_headers()
            self.wfile.write(content if state.status == 200 else b"<html>")

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield state, f"http://localhost:{server.server_port}/pipeline"
        server.shutdown()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KFP_HOST", raising=False)
    monkeypatch.setenv("KFP_TOKEN", "secret\n")
    return tmp_path


@pytest.mark.parametrize("lists_tasks", [False, True], ids=["ML Metadata", "listed tasks"])
def test_the_page_is_downloaded_as_the_user_interface_reads_it(interface, folder, capsys, lists_tasks):
    state, host = interface
    state.lists_tasks = lists_tasks
    assert command_line.run("kubeflow", "report", RUN, "--host", host, "--namespace", "anna") == 0
    assert capsys.readouterr().out == f"report-{RUN}.html\n"
    assert (folder / f"report-{RUN}.html").read_bytes() == state.page
    place = {"source": "minio", "bucket": "mlpipeline", "key": f"root/fruit/{RUN}/Report/7f/page"}
    session = {} if lists_tasks else {"providerInfo": '{"Provider":"minio"}'}  # a later server finds it by itself
    assert state.asked == [{**place, "namespace": "anna", **session}]
    assert state.tokens == {"Bearer secret"}


def test_the_file_can_be_named(interface, folder):
    assert command_line.run("kubeflow", "report", RUN, "--host", interface[1], "--output", "new/page.html") == 0
    assert (folder / "new" / "page.html").exists()


@pytest.mark.parametrize(
    ("run", "changes", "message"),
    [
        (RUN, {"page": None}, f"the run {RUN} has no report; its task Report is not done, or failed"),
        ("another", {}, "has no run another; `regraft kubeflow status` lists the runs"),
        (RUN, {"page": None, "lists_tasks": True}, f"the run {RUN} has no report; its task Report is not done, or"),
        ("another", {"lists_tasks": True}, "has no run another; `regraft kubeflow status` lists the runs"),
        (
            RUN,
            {"has_tasks": False, "lists_tasks": True},
            f"the run {RUN} has no report; its task Report is not done, or",
        ),
        (RUN, {"status": 404}, "not found (404); --host is the address of Kubeflow's user interface"),
        (RUN, {"status": 401}, "the server refused the token in KFP_TOKEN (401)"),
        (RUN, {"status": 503}, "the server gave no reason (503)"),
        (RUN, {"uri": "pvc://claim/page"}, "the report is at pvc://claim/page, which cannot be downloaded from here"),
    ],
)
def test_a_page_that_cannot_be_had_is_one_line(interface, folder, capsys, run, changes, message):
    state, host = interface
    for name, value in changes.items():
        setattr(state, name, value)
    assert command_line.run("kubeflow", "report", run, "--host", host) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{host}: ") and message in error and error.count("\n") == 1
    assert not list(folder.glob("*.html"))


@pytest.mark.parametrize("content", [b"<html>login</html>", b"", b"\0\0\0\0\xffshort"])
def test_a_login_page_is_no_answer(interface, capsys, monkeypatch, content):
    state, host = interface
    monkeypatch.setattr(state, "metadata", lambda *_: content)
    assert command_line.run("kubeflow", "report", RUN, "--host", host) == 1
    assert "no answer of ML Metadata" in capsys.readouterr().err


@pytest.mark.parametrize("run", ["../../etc/passwd", "", "a" * 65])
def test_an_id_that_is_none_is_refused(capsys, run):
    assert command_line.run("kubeflow", "report", run, "--host", "http://localhost:1") == 2
    assert "RUN: an id is expected" in capsys.readouterr().err
