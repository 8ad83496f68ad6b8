"""Beam's local runner with worker processes, for machines with many cores: `beam.workers` with runner `local`.

Beam's own `direct_running_mode=multi_processing` starts workers that can't be told what to import; ours import TFX
first, as pipeline/pipeline.py does, and why. Run as a program, this is such a worker.
"""

from __future__ import annotations

import sys

from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms import environments


class ProcessRunner(FnApiRunner):
    """As many workers as `direct_num_workers` says, each a process."""

    def __init__(self) -> None:
        command = f"{sys.executable} -m {__name__}"
        environment = environments.SubprocessSDKEnvironment.from_command_string(command_string=command)
        super().__init__(default_environment=environment)


def main() -> None:
    """Works until the runner ends it."""
    import tfx  # noqa: F401  first
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
