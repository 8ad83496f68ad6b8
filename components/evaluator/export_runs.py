"""Runs a candidate's exports on the test split, each in a process of its own: a damaged file may end the process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from components import ended_process
from components.evaluator.export_checks import ExportAnswers
from config.errors import one_line
from modules.exporting import runtimes

_TIMEOUT_SECONDS = 600  # after the last image: what is left is to time some answers


class _Process:
    """One export, which answers the images that it is sent."""

    def __init__(self, path: Path, folder: Path):
        self._path, self._output, self._log = path, folder / f"{path.name}.npz", folder / f"{path.name}.log"
        command = [sys.executable, "-I", runtimes.__file__, str(path), str(self._output)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, env=environment
            )

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def send(self, pixels: np.ndarray) -> None:
        """Sends images, float32 [images, height, width, 3]; a process that has ended gets none."""
        with contextlib.suppress(BrokenPipeError):  # `answers` says why it ended
            self._input.write(np.ascontiguousarray(pixels, np.float32).tobytes())

    def answers(self) -> ExportAnswers:
        """What it answered, after the last image."""
        size = self._path.stat().st_size
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        try:
            code = self._process.wait(timeout=_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.end()
            return ExportAnswers(size, None, reason=f"it took more than {_TIMEOUT_SECONDS} s to time its answers")
        ended_process.check(code, f"the process that runs {self._path.name}", "the export")
        if code:
            printed = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = one_line(printed[-1] if printed else "it printed no error")
            return ExportAnswers(size, None, reason=f"its runtime ended with exit code {code}: {reason}")
        with np.load(self._output) as found:
            return ExportAnswers(size, found["probabilities"], float(found["p50_ms"]))

    def end(self) -> None:
        """Ends the process, if it has not ended."""
        self._process.kill()
        self._process.wait()


def run(paths: Iterable[Path], batches: Iterable[np.ndarray]) -> list[ExportAnswers]:
    """What each export answers to the same images.

    Args:
      paths: of the files.
      batches: float32 [images, height, width, 3] each, RGB in [0, 255], resized as the model takes them.

    Raises:
      EndedFromOutsideError: if a process was ended from outside.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ending:
        processes = []
        for path in paths:
            processes.append(_Process(path, Path(folder)))
            ending.callback(processes[-1].end)
        for pixels in batches:
            for process in processes:
                process.send(pixels)
        return [process.answers() for process in processes]  # one after the other, so that each is timed alone
