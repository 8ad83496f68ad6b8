"""Beam's local runner, in this process or with worker processes: `beam.workers` with runner `local`.

Workers have to import TFX first; pipeline/pipeline.py says why. Beam's own mode `multi_processing` has no
option for that. Run as a program, this file is such a worker.
"""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator

import apache_beam as beam
import psutil
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner
from apache_beam.transforms import environments

from config import garbage_collection, interruption
from pipeline import worker_errors

_DEATH = signal.SIGUSR1  # tells the main thread that a worker died
_GRACE_SECONDS = 1.0
_POLL_SECONDS = 0.2
_END_SECONDS = 30.0
_WORKER_THREAD = "run_worker"  # Beam's name for the thread that waits for a worker process


class WorkerDiedError(RuntimeError):
    """A worker process ended before its work was done."""


class ProcessRunner(PipelineRunner):
    """Starts `direct_num_workers` worker processes; with 1 or 0 the work is done in this process."""

    def run_pipeline(self, pipeline: beam.Pipeline, options: PipelineOptions) -> PipelineResult:
        """Runs a pipeline to its end.

        Args:
          pipeline: what to run.
          options: its options.

        Raises:
          WorkerDiedError: if a worker process is killed, for instance for lack of memory.
        """
        direct = options.view_as(DirectOptions)
        direct.direct_num_workers = max(1, direct.direct_num_workers)
        with _ending_with_its_workers(), _ending_its_workers():
            return FnApiRunner(_environment(direct.direct_num_workers)).run_pipeline(pipeline, options)


@contextlib.contextmanager
def _ending_with_its_workers() -> Iterator[None]:
    """Ends the run if a worker process dies.

    Beam 2.77 raises an error in the thread that waits for the worker (local_job_service.SubprocessSdkWorker.run), where
    nobody catches it. The main thread then waits for ever, or gets an error that does not name the cause. This
    interrupts the main thread instead, by a signal that no person sends. A worker that died because a person
    interrupted the run (Ctrl-C reaches every process of the terminal) is no error.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    deaths: list[str] = []
    lock = threading.Lock()  # no signal may be sent when its handler is gone: it would end the process
    is_running = True
    report = threading.excepthook

    def on_error(error: threading.ExceptHookArgs) -> None:
        report(error)
        if error.thread and error.thread.name == _WORKER_THREAD:
            deaths.append(str(error.exc_value))
            if not _run_is_interrupted():
                with lock:
                    if is_running:
                        signal.pthread_kill(threading.main_thread().ident or 0, _DEATH)

    threading.excepthook = on_error
    handler = signal.signal(_DEATH, signal.default_int_handler)
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        signal.signal(_DEATH, signal.SIG_IGN)  # the error came first
        if not deaths or _run_is_interrupted() or worker_errors.failure(error).bad_input:
            raise
        raise WorkerDiedError(
            f"a Beam worker process died ({deaths[0]}); if memory ran out, set beam.workers to fewer processes"
        ) from None  # a KeyboardInterrupt as the cause would mean that a person interrupted the run
    finally:
        signal.signal(_DEATH, signal.SIG_IGN)
        with lock:
            is_running = False
        threading.excepthook = report
        signal.signal(_DEATH, signal.SIG_IGN if deaths else handler)  # one may still be on its way


def _run_is_interrupted() -> bool:
    """Whether this process gets a signal, too; the worker may have got it first."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while interruption.received() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return interruption.received() is not None


@contextlib.contextmanager
def _ending_its_workers() -> Iterator[None]:
    """Ends the worker processes if the run is interrupted: Beam would wait until they have done their work."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_POLL_SECONDS):
            if interruption.received() is not None:
                _kill_workers()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        # A worker that is just being started gets to know of nothing, and this process would wait for it at its end.
        deadline = time.monotonic() + _END_SECONDS
        while interruption.received() is not None and time.monotonic() < deadline:
            if not any(thread.name == _WORKER_THREAD for thread in threading.enumerate()):
                break
            _kill_workers()
            time.sleep(_POLL_SECONDS)


def _kill_workers() -> None:
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if any(__name__ in argument for argument in process.cmdline()):
                process.kill()


def _environment(workers: int) -> environments.Environment:
    if workers == 1:
        return environments.EmbeddedPythonEnvironment.default()
    # With `exec` the shell that Beam starts becomes the worker, so that the worker's parent is this process.
    command = f"exec {shlex.quote(sys.executable)} -m {__name__}"
    return environments.SubprocessSDKEnvironment.from_command_string(command_string=command)


def main() -> None:
    """Works until the runner ends the process, or is gone, even killed."""
    interruption.end_with_parent()
    garbage_collection.relax()  # a worker imports more with each stage, as it unpickles what it shall run
    import tfx  # noqa: F401  first: it replaces a module that TFDV 1.16 imports, on Python 3.11
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
