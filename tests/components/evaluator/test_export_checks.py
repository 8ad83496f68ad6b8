"""What refuses an export: its answers, its file, or that it cannot be run."""

import dataclasses

import numpy as np
import onnx
import pytest

from components.evaluator import export_checks, export_runs, verdict
from components.evaluator.export_checks import ExportAnswers
from components.evaluator.verdict import Verdict
from config.gate import GateConfig
from pipeline import verdict_table

LABELS = np.arange(300) % 3
SURE = np.eye(3, dtype=np.float32)[LABELS] * 0.8 + 0.1 - 0.1 * np.eye(3, dtype=np.float32)[LABELS]


def with_rows(rows: int, value: object) -> np.ndarray:
    """The right answers, but for the first images."""
    changed = SURE.copy()
    changed[:rows] = value
    return changed


def failed(answers: ExportAnswers, name="litert-int8", **gate) -> set[str]:
    _, checks = export_checks.judged(name, answers, SURE, LABELS, GateConfig.model_validate(gate))
    return {str(check.metric) for check in checks if not check.passed}


ALL = {"valid", "accuracy", "agreement", "export_accuracy_change"}
REFUSED = {
    "one answer for every image": (ExportAnswers(9, with_rows(300, [0.8, 0.1, 0.1])), {}, ALL - {"valid"}),
    "not a number for one image": (ExportAnswers(9, with_rows(1, np.nan)), {}, {"valid"}),
    "not a number for every image": (ExportAnswers(9, with_rows(300, np.nan)), {}, ALL),
    "logits": (ExportAnswers(9, 9 * SURE), {}, ALL),
    "it cannot be run": (ExportAnswers(9, None, reason="its runtime ended"), {}, ALL),
    "the classes of another model": (ExportAnswers(9, SURE[:, :2]), {}, ALL),
    "other labels for one image in fifty": (
        *(ExportAnswers(9, with_rows(6, [1 / 3, 1 / 3 + 0.01, 1 / 3])), {"exports": {"max_regression": 1.0}}),
        {"agreement"},
    ),
    "a file that is too large": (ExportAnswers(10, SURE), {"exports": {"max_bytes": 9}}, {"file_bytes"}),
    "too slow": (ExportAnswers(9, SURE, 5.1), {"exports": {"max_p50_ms": {"litert-int8": 5.0}}}, {"p50_ms"}),
    "a time that was not measured": (ExportAnswers(9, SURE), {"exports": {"max_p50_ms": 5.0}}, {"p50_ms"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_export_is_refused_for_its_own_reason(name):
    answers, gate, expected = REFUSED[name]
    assert failed(answers, **gate) == expected


def test_a_sound_export_passes():
    assert failed(ExportAnswers(9, SURE, 4.9), exports={"max_bytes": 9, "max_p50_ms": 5.0}) == set()
    assert failed(ExportAnswers(9, with_rows(2, [0.2, 0.4, 0.4]))) == set(), (
        "two images are chance, as for a regression"
    )


def test_only_float32_exports_must_give_the_same_probabilities():
    other = np.clip(SURE + 0.01, 0, 1)
    assert failed(ExportAnswers(9, other), "litert") == {"probability_difference"}
    assert failed(ExportAnswers(9, other), "litert-int8") == set()


def test_a_refusal_says_why_nothing_was_measured(tmp_path):
    figures, checks = export_checks.judged(
        "onnx", ExportAnswers(9, None, reason="its runtime ended"), SURE, LABELS, GateConfig()
    )
    found = Verdict(True, 300, 1.0, (0.9, 1.0), None, 0.95, [], {}).with_checks(checks)
    verdict.write(found, tmp_path)
    export_checks.write(tmp_path, {"onnx": figures})
    assert not verdict.load(tmp_path).blessed
    assert verdict_table.refusals(verdict.load(tmp_path))[0] == (
        "valid of export=onnx: its runtime ended, at least 1 is required"
    )
    assert export_checks.read(tmp_path) == {"onnx": dataclasses.asdict(figures)}


def test_each_export_answers_in_a_process_of_its_own(tmp_path):
    """One that cannot be opened does not keep the other from its answers."""
    pixels = np.random.default_rng(0).uniform(0, 1, (5, 4, 4, 3)).astype(np.float32)
    helper = onnx.helper
    kinds = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["pixels"], ["probabilities"], axes=[1, 2], keepdims=0)],
        "means",
        [helper.make_tensor_value_info("pixels", kinds, ["batch", 4, 4, 3])],
        [helper.make_tensor_value_info("probabilities", kinds, ["batch", 3])],
    )
    sound, damaged = tmp_path / "sound.onnx", tmp_path / "damaged.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    sound.write_bytes(model.SerializeToString())
    damaged.write_bytes(sound.read_bytes()[:20])
    good, bad = export_runs.run([sound, damaged], [pixels[:3], pixels[3:]])
    np.testing.assert_allclose(good.probabilities, pixels.mean(axis=(1, 2)), rtol=1e-5)
    assert good.p50_ms > 0 and good.size == sound.stat().st_size and not good.reason
    assert bad.probabilities is None and bad.reason.startswith("its runtime ended with exit code 1: ")
