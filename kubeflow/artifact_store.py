"""The files of runs on Kubeflow Pipelines, as its user interface reads them.

Up to version 2.17, the API server knows no addresses of artifacts. The user interface asks ML Metadata for them, by
gRPC-Web (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md). Later API servers list the tasks of a run with
their artifacts. In both cases the user interface has its own server fetch the files (frontend/server/handlers/
artifacts.ts in github.com/kubeflow/pipelines). So does this module.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from google.protobuf.message import DecodeError, Message
from ml_metadata.proto import metadata_store_service_pb2 as service

from config.stages import REPORT
from kubeflow import connection, report, task_list
from kubeflow.connection import CONNECT_SECONDS, READ_SECONDS, ServerError

_SERVICE = "/ml_metadata.MetadataStoreService/"
_RUN = "system.PipelineRun"  # type of the context of a run
_NAME, _SESSION = "display_name", "store_session_info"  # properties that the launcher adds to artifacts
_SOURCES = {"gs": "gcs", "s3": "s3", "minio": "minio"}  # by the scheme of an address
_HEADER = struct.Struct(">BI")  # of a frame: 0 for a message, 0x80 for the trailers; the length
_NOT_FOUND = "5"  # status of gRPC


class ArtifactStore:
    """The files of runs."""

    def __init__(self, host: str, namespace: str | None, token: str | None, ca_certificate: str | None) -> None:
        """Remembers where they are; the arguments are those of kubeflow.client.Server."""
        self._host, self._namespace = host.rstrip("/"), namespace
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pool = urllib3.PoolManager(
            ca_certs=ca_certificate,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=urllib3.Retry(connect=2, read=0, redirect=5, status=0, other=0, backoff_factor=0.5),
        )

    def page(self, run_id: str) -> bytes:
        """The report that a run has made, HTML.

        Raises:
          ServerError: if there is none, or a request fails.
        """
        found = self._listed(run_id)
        if found is None:
            found = self._of_ml_metadata(run_id)
        if not found:
            raise ServerError(f"{self._host}: the run {run_id} has no report; its task {REPORT} is not done, or failed")
        return self._file(*found[-1])

    def _listed(self, run_id: str) -> list[tuple[str, str]] | None:
        """Addresses of the page, each with an empty session; None if this server lists no tasks."""
        tasks = task_list.listed(self._host, run_id, self._answer)
        return None if tasks is None else [(uri, "") for task in tasks for uri in _pages(task)]

    def _answer(self, path: str, what: str) -> dict[str, Any] | None:
        """The fields of the API server's answer; None if it is not the API's."""
        with self._request(what):
            response = self._pool.request("GET", f"{self._host}{path}", headers=self._headers)
        if response.status != 200:
            raise connection.refusal(self._host, what, bool(self._headers), response.status, response.data)
        return _json(response.data)

    def _of_ml_metadata(self, run_id: str) -> list[tuple[str, str]]:
        """Addresses of the page, each with its session; the last is the newest."""
        context = service.GetContextByTypeAndNameResponse()
        request = service.GetContextByTypeAndNameRequest(type_name=_RUN, context_name=run_id)
        self._ask("GetContextByTypeAndName", request, context)
        if not context.HasField("context"):
            raise task_list.unknown_run(self._host, run_id)
        found = service.GetArtifactsByContextResponse()
        self._ask("GetArtifactsByContext", service.GetArtifactsByContextRequest(context_id=context.context.id), found)
        pages = [one for one in found.artifacts if one.custom_properties[_NAME].string_value == report.PAGE]
        pages.sort(key=lambda one: one.id)
        return [(one.uri, one.custom_properties[_SESSION].string_value) for one in pages]

    def _file(self, uri: str, session: str) -> bytes:
        address = urlsplit(uri)
        if address.scheme not in _SOURCES:
            raise ServerError(f"{self._host}: the report is at {uri}, which cannot be downloaded from here")
        query = {"source": _SOURCES[address.scheme], "bucket": address.netloc, "key": address.path.lstrip("/")}
        if self._namespace:
            query["namespace"] = self._namespace
        if session:
            query["providerInfo"] = session
        with self._request("reading the report"):
            response = self._pool.request(
                "GET", f"{self._host}/artifacts/get?{urlencode(query)}", headers=self._headers
            )
        self._check(response, "reading the report")
        return bytes(response.data)

    def _ask(self, method: str, request: Message, answer: Message) -> None:
        """Asks ML Metadata, and reads the answer into `answer`; it stays empty if nothing is found."""
        content = request.SerializeToString()
        headers = {**self._headers, "Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1"}
        address = urlsplit(self._host)
        url = f"{address.scheme}://{address.netloc}{_SERVICE}{method}"  # the user interface asks below no folder
        with self._request("asking ML Metadata"):
            response = self._pool.request("POST", url, body=_HEADER.pack(0, len(content)) + content, headers=headers)
        self._check(response, "asking ML Metadata")
        status, message = response.headers.get("grpc-status"), response.headers.get("grpc-message", "")
        try:
            for kind, frame in _frames(response.data):
                if kind == 0:
                    answer.ParseFromString(frame)
                else:
                    trailers = dict(line.split(":", 1) for line in frame.decode().splitlines() if ":" in line)
                    status, message = trailers.get("grpc-status", ""), trailers.get("grpc-message", "")
        except (ValueError, struct.error, DecodeError):
            status = None
        if status is None:
            raise ServerError(
                f"{self._host}: no answer of ML Metadata; --host is the address of Kubeflow's user interface, and a "
                "login page needs KFP_TOKEN"
            )
        if (status := status.strip()) not in ("0", _NOT_FOUND):
            raise ServerError(f"{self._host}: asking ML Metadata: {message.strip() or 'no reason'} (gRPC {status})")

    def _request(self, what: str) -> contextlib.AbstractContextManager[None]:
        return connection.request(self._host, what, bool(self._headers))

    def _check(self, response: Any, what: str) -> None:
        if response.status == 404:
            raise ServerError(
                f"{self._host}: {what}: not found (404); --host is the address of Kubeflow's user interface, not that "
                "of its API server",
                404,
            )
        if response.status != 200:
            raise connection.refusal(self._host, what, bool(self._headers), response.status, response.data)


def _pages(task: Mapping[str, Any]) -> list[str]:
    """The addresses of the page, if the task is the one that makes it."""
    outputs = (task.get("outputs") or {}).get("artifacts") or [] if task.get("name") == REPORT else []
    return [
        artifact["uri"]
        for output in outputs
        if output.get("artifact_key") == report.PAGE
        for artifact in output.get("artifacts") or []
    ]


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _frames(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each frame; a ValueError if one is cut off."""
    at = 0
    while at < len(content):
        kind, length = _HEADER.unpack_from(content, at)
        at += _HEADER.size + length
        if at > len(content):
            raise ValueError("a frame is cut off")
        yield kind, content[at - length : at]
