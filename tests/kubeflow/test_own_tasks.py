"""The two programs that only Kubeflow Pipelines needs."""

from __future__ import annotations

import json
from pathlib import Path

import drawing
import pytest

from components.evaluator import verdict
from kubeflow import outside_state
from kubeflow import verdict as verdict_task

FOUND = verdict.Verdict(
    blessed=False,
    examples=20,
    accuracy=0.9,
    accuracy_bounds=(0.7, 0.98),
    change=None,
    confidence=0.95,
    checks=[verdict.Check("accuracy", verdict.OVERALL, "value", 0.9, "at least", 0.95, False)],
    per_class={},
)


def state(tmp_path: Path, *arguments: str) -> tuple[int, dict[str, str]]:
    outputs = {name: tmp_path / "outputs" / name for name in ("data", "files")}
    code = outside_state.main(
        [
            *("--data-path", str(tmp_path / "photos")),
            *("--data-state", str(outputs["data"]), "--files-state", str(outputs["files"])),
            *arguments,
        ]
    )
    return code, {name: path.read_text() for name, path in outputs.items() if path.exists()}


def test_each_state_changes_with_its_own_files_only(tmp_path):
    photos = drawing.colour_tree(tmp_path / "photos", 2)
    weights = tmp_path / "weights.h5"
    weights.write_bytes(b"one")
    _, first = state(tmp_path, "--file", str(weights))
    weights.write_bytes(b"two")
    _, second = state(tmp_path, "--file", str(weights))
    (photos / "cyan" / "new.png").write_bytes(drawing.encode(drawing.stripes(8)))
    _, third = state(tmp_path, "--file", str(weights))
    assert first["data"] == second["data"] != third["data"]
    assert first["files"] != second["files"] == third["files"]


@pytest.mark.parametrize("arguments", [(), ("--file", "/nowhere/weights.h5")])
def test_what_isnt_there_is_said_in_a_line(tmp_path, capsys, arguments):
    if arguments:
        drawing.colour_tree(tmp_path / "photos", 2)
    code, outputs = state(tmp_path, *arguments)
    assert (code, outputs) == (2, {})
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert "/nowhere/weights.h5" in error if arguments else "photos" in error


def told(tmp_path: Path, pushed: dict, baseline: dict) -> int:
    blessing = tmp_path / "blessing"
    blessing.mkdir()
    verdict.write(FOUND, str(blessing))
    artifacts = {
        "blessing": {"artifacts": [{"uri": str(blessing)}]},
        "baseline_model": {"artifacts": [{"uri": "", "metadata": baseline}]},
        "pushed_model": {"artifacts": [{"uri": "", "metadata": pushed}]},
    }
    return verdict_task.main([json.dumps({"inputs": {"artifacts": artifacts}})])


def test_a_refusal_says_who_refused_and_fails(tmp_path, capsys):
    code = told(tmp_path, {"pushed": 0.0, "refused_by": "gate, serving check"}, {})
    said = capsys.readouterr()
    assert code == 3
    assert "FAILED" in said.out
    assert said.err == "not pushed: refused by gate, serving check\n"


def test_a_push_names_the_version(tmp_path, capsys):
    assert told(tmp_path, {"pushed": 1.0, "pushed_destination": "/data/models/4"}, {"version": 3.0}) == 0
    assert capsys.readouterr().out.endswith("pushed: /data/models/4\n")
