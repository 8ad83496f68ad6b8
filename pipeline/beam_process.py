"""Beam's local runner, in this process or with worker processes: `beam.workers` with runner `local`.

Beam's own `direct_running_mode=multi_processing` starts workers that can't be told what to import; ours import TFX
first, as pipeline/pipeline.py does, and why. Run as a program, this is such a worker.
"""

from __future__ import annotations

import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner
from apache_beam.transforms import environments


class ProcessRunner(PipelineRunner):
    """As many workers as `direct_num_workers` says, each a process; 1, or 0, is this process itself."""

    def run_pipeline(self, pipeline: beam.Pipeline, options: PipelineOptions) -> PipelineResult:
        """Runs a pipeline to its end.

        Args:
          pipeline: what to run.
          options: its options.
        """
        direct = options.view_as(DirectOptions)
        direct.direct_num_workers = max(1, direct.direct_num_workers)
        return FnApiRunner(_environment(direct.direct_num_workers)).run_pipeline(pipeline, options)


def _environment(workers: int) -> environments.Environment:
    if workers == 1:
        return environments.EmbeddedPythonEnvironment.default()
    command = f"{sys.executable} -m {__name__}"
    return environments.SubprocessSDKEnvironment.from_command_string(command_string=command)


def main() -> None:
    """Works until the runner ends it."""
    import tfx  # noqa: F401  first
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
