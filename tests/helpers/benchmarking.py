"""Runs benchmarks at their smallest size: on drawn images, with a small backbone, in forks of a warm process."""

from __future__ import annotations

import os
import runpy
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from drawing import COLOURS, encode, flat
from fork_server import CONTEXT


def run(module: str, *arguments: object, accepted: Collection[int] = (0,)) -> str:
    """Does what benchmarks/processes.py does, in a fork of a process that has loaded TFX."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder, "stdout"), Path(folder, "stderr")
        process = CONTEXT.Process(target=_main, args=(module, [str(one) for one in arguments], outputs))
        process.start()
        process.join()
        output, errors = (file.read_text(encoding="utf-8", errors="replace") for file in outputs)
    if process.exitcode not in accepted:
        raise SystemExit(f"{module} ended with {process.exitcode}:\n{output[-3000:]}{errors[-3000:]}")
    return output


def _main(module: str, arguments: Sequence[str], outputs: Sequence[Path]) -> None:
    for descriptor, output in enumerate(outputs, start=1):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def photos(folder: Path, per_class: int) -> Path:
    """Writes `<colour>/<number>.jpg`, noisy images of one colour each; returns the folder."""
    for offset, name in enumerate(COLOURS):
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            image = flat(name, (40, 40), seed=1000 * offset + index)
            (folder / name / f"{index}.jpg").write_bytes(encode(image, "JPEG", quality=95))
    return folder


def rows(table: str) -> dict[str, list[str]]:
    """The cells of a Markdown table's rows by their first cell, heads and rules included."""
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}
