"""`regraft-beam-worker`: the program that a cluster starts for each Python worker of Beam.

It does what the boot program in Beam's container image does, but stages no packages: the worker has this package.
See https://beam.apache.org/documentation/runtime/sdk-harness-config/, environment type PROCESS.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from typing import Any

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc, endpoints_pb2
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, text_format


def main() -> None:
    """Asks the runner, whose address is an argument, for all other addresses, and works until the runner ends it."""
    parser = argparse.ArgumentParser(prog="regraft-beam-worker")
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    arguments, _ = parser.parse_known_args()
    provided = _provided(arguments.provision_endpoint, arguments.id)
    os.environ |= {
        "WORKER_ID": arguments.id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(provided.pipeline_options),
        "LOGGING_API_SERVICE_DESCRIPTOR": _descriptor(provided.logging_endpoint),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(provided.control_endpoint),
        "SEMI_PERSISTENT_DIRECTORY": tempfile.gettempdir(),
    }
    sdk_worker_main.main(sys.argv)


def _provided(address: str, worker: str) -> Any:
    with grpc.insecure_channel(address) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        return service.GetProvisionInfo(request, metadata=(("worker_id", worker),)).info


def _descriptor(endpoint: Any) -> str:
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=endpoint.url))


if __name__ == "__main__":
    main()
