"""A stand-in for TF Serving: its gRPC Predict and its REST predict, answered by a session on a pushed version.

TF Serving itself is not to be had from a package registry. What decides whether it accepts a request is taken from its
source: tensorflow_serving/util/json_tensor.cc (JSON), servables/tensorflow/predict_util.cc (signatures) and
TensorFlow's batching_session.cc (batches). Every request is put in a padded batch, as with --enable_batching.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from components.serving_check.probe import Server

ALLOWED_BATCH = 4


class RefusedError(Exception):
    """The server does not take a request; the text is for the client."""


@dataclass(frozen=True)
class Running:
    """The ports of a server that answers."""

    rest: int
    grpc: int


@contextlib.contextmanager
def running(version: Path, name: str) -> Iterator[Running]:
    """Serves a version for as long as a block.

    Args:
      version: its folder.
      name: of the model, in requests.
    """
    model = _Model(Server(str(version)), name)
    rpc = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Service(model), rpc)
    grpc_port = rpc.add_insecure_port("localhost:0")
    rpc.start()
    rest = http.server.ThreadingHTTPServer(("localhost", 0), type("Handler", (_Handler,), {"model": model}))
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    try:
        yield Running(rest.server_port, grpc_port)
    finally:
        rest.shutdown()
        rest.server_close()
        rpc.stop(None).wait()


class _Model:
    def __init__(self, server: Server, name: str):
        self._server, self.name = server, name

    def signature(self, name: str) -> Any:
        found = self._server.signatures.get(name or "serving_default")
        if found is None:
            raise RefusedError(f'Serving signature key "{name}" not found.')
        return found

    def predict(self, name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Pads the batch with its first row, runs it, and gives each request its rows."""
        if set(inputs) != set(self.signature(name).inputs):
            raise RefusedError(f"input size does not match signature: {set(inputs)}")
        (rows,) = {len(value) for value in inputs.values()}
        size = max(ALLOWED_BATCH, rows)
        padded = {key: np.concatenate([value, np.repeat(value[:1], size - rows, 0)]) for key, value in inputs.items()}
        try:
            outputs = self._server.answer(name or "serving_default", padded)
        except tf.errors.OpError as error:
            raise RefusedError(error.message) from None
        for key, value in outputs.items():
            if value.ndim == 0 or len(value) != size:
                raise RefusedError(f"Batched output tensor's 0th dimension does not equal that of the inputs: {key}")
        return {key: value[:rows] for key, value in outputs.items()}


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model: _Model):
        self._model = model

    def Predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> Any:
        if request.model_spec.name != self._model.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request.model_spec.name}")
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        try:
            outputs = self._model.predict(request.model_spec.signature_name, inputs)
        except RefusedError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse()
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


class _Handler(http.server.BaseHTTPRequestHandler):
    model: _Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            if self.path != f"/v1/models/{self.model.name}:predict":
                raise RefusedError(f"Malformed request: POST {self.path}")
            status, content = 200, {"predictions": _predictions(self.model, body)}
        except RefusedError as error:
            status, content = 400, {"error": str(error)}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content, ensure_ascii=False).encode())

    def log_message(self, *_: Any) -> None:
        pass


def _predictions(model: _Model, body: Mapping[str, Any]) -> list[Any]:
    """The row format: a list of values if there is one output, or else of objects."""
    name = body.get("signature_name", "")
    inputs = model.signature(name).inputs
    if not inputs:
        raise RefusedError(f"Failed to get input map for signature: {name}")
    if len(inputs) > 1:
        raise RefusedError("instances is a plain list, but expecting list of objects")
    if not body["instances"]:
        raise RefusedError("No values in 'instances' array")
    values = [base64.b64decode(one["b64"]) if isinstance(one, dict) else one.encode() for one in body["instances"]]
    outputs = model.predict(name, {next(iter(inputs)): np.array(values, object)})
    if len({len(value) for value in outputs.values()}) != 1:
        raise RefusedError("inconsistent batch size")
    rows = [dict(zip(outputs, row, strict=True)) for row in zip(*map(_json, outputs.values()), strict=True)]
    return rows if len(outputs) > 1 else [next(iter(row.values())) for row in rows]


def _json(value: np.ndarray) -> Any:
    def decoded(element: Any) -> Any:
        if isinstance(element, list):
            return [decoded(one) for one in element]
        return element.decode("utf-8") if isinstance(element, bytes) else element  # no name ends with _bytes

    return decoded(value.tolist())
