"""The two tasks that only Kubeflow Pipelines needs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import drawing
import layers_model
import pytest

from components.evaluator import verdict
from components.evaluator.metric_names import Metric
from kubeflow import external_state
from kubeflow import verdict as verdict_task

FOUND = verdict.Verdict(
    blessed=False,
    examples=20,
    accuracy=0.9,
    accuracy_bounds=(0.7, 0.98),
    change=None,
    confidence=0.95,
    checks=[verdict.Check(Metric.ACCURACY, verdict.OVERALL, "value", 0.9, "at least", 0.95, False)],
    per_class={},
)


def state(tmp_path: Path, *arguments: str) -> tuple[int, dict[str, str]]:
    outputs = {name: tmp_path / "outputs" / name for name in ("data", "files")}
    code = external_state.main(
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


def test_the_state_of_a_tensorflow_js_model_is_also_that_of_its_shards(tmp_path):
    drawing.colour_tree(tmp_path / "photos", 2)
    spec = {"name": "layer/kernel", "shape": [4], "dtype": "uint8"}
    path = layers_model.write_parts(tmp_path / "net", [spec], b"1234", {}, shard_bytes=2)
    _, first = state(tmp_path, "--file", str(path))
    (tmp_path / "net" / "group1-shard2of2.bin").write_bytes(b"35")
    _, second = state(tmp_path, "--file", str(path))
    assert first["files"] != second["files"]


@pytest.mark.parametrize("arguments", [(), ("--file", "/nowhere/weights.h5")])
def test_a_missing_file_is_one_line(tmp_path, capsys, arguments):
    if arguments:
        drawing.colour_tree(tmp_path / "photos", 2)
    code, outputs = state(tmp_path, *arguments)
    assert (code, outputs) == (2, {})
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert "/nowhere/weights.h5" in error if arguments else "photos" in error


def run_verdict(tmp_path: Path, pushed: dict, baseline: dict, found: verdict.Verdict = FOUND) -> int:
    blessing = tmp_path / "blessing"
    blessing.mkdir()
    verdict.write(found, str(blessing))
    artifacts = {
        "blessing": {"artifacts": [{"uri": str(blessing)}]},
        "baseline_model": {"artifacts": [{"uri": "", "metadata": baseline}]},
        "pushed_model": {"artifacts": [{"uri": "", "metadata": pushed}]},
    }
    return verdict_task.main([json.dumps({"inputs": {"artifacts": artifacts}})])


def test_a_refusal_names_the_check_and_fails(tmp_path, capsys):
    code = run_verdict(tmp_path, {"pushed": 0.0, "refused_by": "gate, serving check"}, {"absent": 1.0})
    printed = capsys.readouterr()
    assert code == 3
    assert "FAILED" in printed.out
    assert printed.err.startswith("not pushed: refused by gate, serving check; ")
    assert printed.err.endswith(" is required\n")


def test_a_push_names_the_version(tmp_path, capsys):
    assert run_verdict(tmp_path, {"pushed": 1.0, "pushed_destination": "/data/models/4"}, {"version": 3.0}) == 0
    assert capsys.readouterr().out.endswith("pushed: /data/models/4\n")


@pytest.mark.parametrize(
    ("baseline", "name"), [({"version": 3.0}, "version 3"), ({"version": 0.0}, "version 0"), ({"absent": 1.0}, None)]
)
def test_the_verdict_names_the_baseline(tmp_path, capsys, baseline, name):
    change = verdict.Change(0.01, -0.02, 0.04, 0.5, 0.1) if name else None
    found = dataclasses.replace(FOUND, change=change)
    run_verdict(tmp_path, {"pushed": 1.0, "pushed_destination": "/data/models/4"}, baseline, found)
    output = capsys.readouterr().out
    assert f"difference to {name}: " in output if name else "version" not in output
