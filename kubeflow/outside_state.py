"""Says what state the data and other files outside the pipeline are in; runs as a task of its own.

Its outputs take part in the cache keys of the stages that read those files, so that Kubeflow's cache never answers for
files that have changed. See components/state_driver.py, which does this where drivers run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from components.image_example_gen import sources
from components.image_example_gen.settings import Settings
from modules.errors import BadInputError
from modules.fingerprints import fingerprint


def main(arguments: Sequence[str]) -> int:
    """Writes both states, each into a file of its own; returns the exit code: 2 for a folder or file that can't be."""
    parser = argparse.ArgumentParser(prog="python -m kubeflow.outside_state")
    parser.add_argument("--data-path", required=True)
    parser.add_argument("--settings", default="{}", help="JSON of components/image_example_gen/settings.py")
    parser.add_argument("--file", action="append", default=[], dest="files")
    parser.add_argument("--data-state", required=True, type=Path)
    parser.add_argument("--files-state", required=True, type=Path)
    options = parser.parse_args(arguments)
    try:
        source = sources.open_source(options.data_path, Settings.parse(options.settings))
        states = {
            options.data_state: source.state(),
            options.files_state: json.dumps({path: _of_file(path) for path in options.files}, sort_keys=True),
        }
    except BadInputError as error:
        print(error, file=sys.stderr)
        return 2
    for target, state in states.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(state, encoding="utf-8")
    print(f"{len(source.items())} files in {source.path}")
    return 0


def _of_file(path: str) -> str:
    if not Path(path).exists():
        raise BadInputError(f"{path}: the configuration names it, and the container doesn't have it")
    return fingerprint(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
