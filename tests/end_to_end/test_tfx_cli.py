"""The ecosystem's own way: the `tfx` command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fork_server import CONTEXT

from pipeline import local_runner

pytestmark = pytest.mark.slow


def _tfx(arguments: list[str], environment: dict[str, str], folder: Path) -> None:
    """The `tfx` command in a process that has TFX loaded; its output goes to two files in the folder."""
    from tfx.tools.cli import cli_main

    os.environ.update(environment)
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.exit(cli_main.cli_group(arguments, prog_name="tfx"))


def files(folder: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in folder.rglob("*")}


def test_the_tfx_command_creates_runs_and_updates_the_pipeline(workspace, colours, first_run, tmp_path):
    config = workspace.configure(colours)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PIPELINE_CONFIG": str(config),
        "PIPELINE_WORKSPACE": str(workspace.path / "workspace"),
    }

    def tfx(*arguments: str) -> str:
        command = [str(Path(sys.executable).parent / "tfx"), *arguments, "--engine=local"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def forked_tfx(*arguments: str) -> str:
        process = CONTEXT.Process(target=_tfx, args=([*arguments, "--engine=local"], environment, tmp_path))
        process.start()
        process.join()
        output = (tmp_path / "stdout").read_text()
        assert process.exitcode == 0, output + (tmp_path / "stderr").read_text()
        return output

    pipeline_path = f"--pipeline_path={local_runner.__file__}"
    before = files(first_run.folder)
    assert 'Pipeline "colours" created successfully' in tfx("pipeline", "create", pipeline_path)
    assert "Pipeline compiled successfully" in forked_tfx("pipeline", "compile", pipeline_path)
    assert 'Pipeline "colours" updated successfully' in forked_tfx("pipeline", "update", pipeline_path)
    assert files(first_run.folder) == before, "nothing has run yet"
    (first_run.folder / "summary.json").unlink(missing_ok=True)
    assert "serving/" in tfx("run", "create", "--pipeline_name=colours").splitlines()[-1]
    stages = json.loads((first_run.folder / "summary.json").read_text())["stages"]
    # What follows Trainer depends on what other tests have put into production meanwhile.
    assert [stage["id"] for stage in stages if stage["cached"]][:6] == [stage["id"] for stage in stages][:6]
    assert 'Pipeline "colours" updated successfully' in forked_tfx("pipeline", "update", pipeline_path)
