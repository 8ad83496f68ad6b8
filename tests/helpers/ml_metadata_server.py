"""ML Metadata's server: the gRPC service of its own C++ code, which its wheel has as a library.

python tests/helpers/ml_metadata_server.py ADDRESS DATABASE    DATABASE is a file of SQLite
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent import futures

import grpc
from ml_metadata.metadata_store.pywrap.metadata_store_extension import metadata_store as library
from ml_metadata.proto import metadata_store_pb2, metadata_store_service_pb2

_SERVICE = metadata_store_service_pb2.DESCRIPTOR.services_by_name["MetadataStoreService"]
_STATUS = {code.value[0]: code for code in grpc.StatusCode}


def serve(address: str, database: str) -> None:
    """Serves until the process is killed."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = database
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    options = metadata_store_pb2.MigrationOptions()
    store = library.CreateMetadataStore(config.SerializeToString(), options.SerializeToString())
    one_at_a_time = threading.Lock()

    def handler(name: str) -> grpc.RpcMethodHandler:
        method: Callable[..., tuple[bytes, bytes, int]] | None = getattr(library, name, None)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            if method is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the library has no {name}")
            with one_at_a_time:
                response, message, status = method(store, request)
            if status:
                context.abort(_STATUS[status], message.decode())
            return response

        return grpc.unary_unary_rpc_method_handler(answer)  # without serializers: bytes in, bytes out

    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    handlers = {method.name: handler(method.name) for method in _SERVICE.methods}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers)])
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    serve(*sys.argv[1:])
