"""Describes the state of the data and of other files outside the pipeline. It runs as a task of its own.

Its outputs are part of the cache keys of the stages that read those files, so Kubeflow's cache never answers for files
that have changed. On this machine, components/state_driver.py does the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from components.image_example_gen import sources
from config.data import IngestionConfig
from config.errors import BadInputError, ExitCode
from modules.backbones import tensorflow_js
from modules.files import atomic_write


def main(arguments: Sequence[str]) -> ExitCode:
    """Writes both states, each into its own file.

    Returns:
      OK; BAD_INPUT if the data or a file cannot be read.
    """
    parser = argparse.ArgumentParser(prog="python -m kubeflow.external_state")
    parser.add_argument("--data-path", required=True)
    parser.add_argument("--ingestion", default="{}", help="serialized IngestionConfig")
    parser.add_argument("--file", action="append", default=[], dest="files")
    parser.add_argument("--data-state", required=True, type=Path)
    parser.add_argument("--files-state", required=True, type=Path)
    options = parser.parse_args(arguments)
    try:
        source = sources.open_source(options.data_path, IngestionConfig.parse(options.ingestion))
        states = {
            options.data_state: source.state(),
            options.files_state: json.dumps({path: _of_file(path) for path in options.files}, sort_keys=True),
        }
    except BadInputError as error:
        print(error, file=sys.stderr)
        return ExitCode.BAD_INPUT
    for target, state in states.items():
        atomic_write(target, state)
    print(f"{len(source.items())} files in {source.path}")
    return ExitCode.OK


def _of_file(path: str) -> str:
    if not Path(path).exists():
        raise BadInputError(f"{path}: is in the configuration, but not in the container; mount its volume")
    return tensorflow_js.fingerprint(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
