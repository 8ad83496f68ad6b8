"""Candidates whose served answers differ from those in training, or that are too slow."""

import base64
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from gatekeeping import CLASSES, Scripted, photos
from tfx.types import channel, standard_artifacts
from tfx.utils import path_utils

from components import code_digest, ended_process
from components.serving_check import comparison, executor, findings, probe
from components.serving_check.component import ServingCheck
from config.serving import ServingCheckConfig
from modules.serving import EXPLAIN, WARM_UP_FILE, reference_predictions, signatures, warm_up

PHOTOS = photos(3)
SOUND = {photo.encoded: [0.2, 0.3, 0.5] if photo.number % 2 else [0.7, 0.2, 0.1] for photo in PHOTOS}


@pytest.fixture
def check(tmp_path):
    """Runs the executor; returns the findings and whether the model was blessed."""

    def run(model: Scripted, spoil=lambda folder: None, novelty=None, **config) -> tuple[dict, bool]:
        artifacts = {
            "model": standard_artifacts.Model(),
            "model_run": standard_artifacts.ModelRun(),
            "infra_blessing": standard_artifacts.InfraBlessing(),
        }
        for name, artifact in artifacts.items():
            artifact.uri = str(tmp_path / name)
            Path(artifact.uri).mkdir()
        spoil(model.save(Path(path_utils.serving_model_dir(artifacts["model"].uri))))
        answers = [
            {
                "example": base64.b64encode(photo.serialized()).decode(),
                "image": base64.b64encode(photo.encoded).decode(),
                "label": photo.label,
                "probabilities": SOUND[photo.encoded],
                **({} if novelty is None else {"novelty": novelty}),
            }
            for photo in PHOTOS
        ]
        content = {"classes": list(CLASSES), "answers": answers}
        Path(artifacts["model_run"].uri, reference_predictions.FILE).write_text(json.dumps(content))
        executor.Executor().Do(
            {name: [artifacts[name]] for name in ("model", "model_run")},
            {"infra_blessing": [artifacts["infra_blessing"]]},
            {"config": ServingCheckConfig(**config).serialized()},
        )
        blessing = artifacts["infra_blessing"]
        return findings.read(blessing.uri), bool(blessing.get_int_custom_property("blessed"))

    return run


class WithHeatMaps(Scripted):
    """It draws them for nobody: if it is asked, the serving process fails."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "images")])
    def explain(self, images):
        return {"heat_maps": tf.strings.to_number(tf.constant("no number"))[tf.newaxis]}

    def served(self):
        return {**super().served(), EXPLAIN: self.explain}


def test_a_model_served_as_it_was_trained_is_blessed_with_its_figures_and_not_asked_for_heat_maps(check, tmp_path):
    result, blessed = check(WithHeatMaps(SOUND))
    assert blessed and result["refusals"] == []
    measured = result["measured"]
    assert 0 < measured["warm_up_seconds"] < measured["load_seconds"] < measured["first_answer_seconds"]
    assert 0 < measured["p50_ms"] <= measured["p99_ms"]
    assert 0.1 < measured["peak_gib"] < 4
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert measured["model_mib"] == pytest.approx(sum(path.stat().st_size for path in files) / 2**20)


class PermutedClasses(Scripted):
    """Trained as cyan, magenta, yellow; answers with other names."""

    def __init__(self):
        super().__init__(SOUND)
        self._classes = ["magenta", "cyan", "yellow"]


class WrongLabels(Scripted):
    """Labels and scores are those of the least probable class."""

    def _answer(self, images):
        answer = super()._answer(images)
        worst = tf.argmin(answer[signatures.PROBABILITIES], axis=-1)
        score = tf.reduce_min(answer[signatures.PROBABILITIES], axis=-1)
        return {**answer, signatures.LABEL: tf.gather(tf.constant(self._classes), worst), signatures.SCORE: score}


class OneSignatureSkewed(Scripted):
    """Preprocesses encoded images differently from images in examples."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "images")])
    def serve_images(self, images):
        answer = self._answer(images)
        return {**answer, signatures.PROBABILITIES: answer[signatures.PROBABILITIES][:, ::-1]}


def truncated(folder: Path) -> None:
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:100])


ONE_IMAGE = "serve_images with one image"
REFUSED = {
    "preprocessing skew": (
        Scripted({**SOUND, PHOTOS[0].encoded: [0.69, 0.2, 0.11]}),
        [
            "serving_default: 1 of 9 images have other probabilities than in training; they differ by up to 0.01, and "
            "serving_check.tolerance is 0.001",
            "serve_images: 1 of 9 images have other probabilities",
            f"{ONE_IMAGE}: 1 of 1 images have other probabilities",
        ],
    ),
    "skew in one signature alone": (
        OneSignatureSkewed(SOUND),
        [
            f"{where}: {count} {what}"
            for where, count in (("serve_images", "9 of 9"), (ONE_IMAGE, "1 of 1"))
            for what in ("images have other probabilities", "labels are not the most probable class")
        ],
    ),
    "NaN weights": (
        Scripted({photo.encoded: [float("nan")] * 3 for photo in PHOTOS}),
        ["serving_default: 9 of 9 images have other probabilities"],
    ),
    "classes in another order": (
        PermutedClasses(),
        ["class_names: magenta, cyan, yellow; the model was trained on cyan, magenta, yellow"],
    ),
    "labels that are not the best class": (
        WrongLabels(SOUND),
        [
            "serving_default: 9 of 9 labels are not the most probable class",
            "serving_default: the scores are not the probabilities",
        ],
    ),
    "a class too few": (
        Scripted({photo.encoded: [0.5, 0.5] for photo in PHOTOS}, CLASSES[:2]),
        [
            "class_names: cyan, magenta; the",
            "serving_default: the shape of the probabilities is (9, 2); (9, 3) is expected",
        ],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_is_not_served_as_trained_is_refused(check, name):
    model, sentences = REFUSED[name]
    result, blessed = check(model)
    assert not blessed
    for sentence in sentences:
        assert any(refusal.startswith(sentence) for refusal in result["refusals"]), result["refusals"]


def test_a_model_that_cannot_be_loaded_is_refused(check):
    result, blessed = check(Scripted(SOUND), truncated)
    assert not blessed and result["measured"] == {}
    assert result["refusals"][0].startswith("the serving process ended with exit code 1: ")


@pytest.mark.parametrize("spoil", ["another input", "no TFRecord"])
def test_a_model_that_tf_serving_would_not_serve_for_its_warm_up_is_refused(check, spoil):
    def write(folder):
        warm_up.write(folder, {"serve_images": {"image": b""}})
        if spoil == "no TFRecord":
            (folder / WARM_UP_FILE).write_bytes(b"requests" * 100)

    result, blessed = check(Scripted(SOUND), write)
    assert not blessed
    reason = "the signature serve_images has no input image" if spoil == "another input" else "DataLossError"
    assert reason in result["refusals"][0]


def answered(images: int) -> dict:
    """The answers of a sound model, as the probe writes them."""
    answers = {"probabilities": [[0.5, 0.5]] * images, "label": ["a"] * images, "score": [0.5] * images}
    return {
        "serving_default": dict(answers),
        "serve_images": dict(answers),
        "class_names": {"class_names": [["a", "b"]] * images},
        "true_labels": {"label": [0] * images},
        "one_image": {name: rows[:1] for name, rows in answers.items()},
    }


def disagreements(served: dict, images: int) -> list[str]:
    reference = {"classes": ["a", "b"], "answers": [{"probabilities": [0.5, 0.5], "label": "a"}] * images}
    return list(comparison.disagreements(reference, served, 1e-3))


@pytest.mark.parametrize("images", [1, 4])
def test_answers_to_a_batch_are_compared(images):
    assert disagreements(answered(images), images) == []


@pytest.mark.parametrize(
    ("signature", "name", "rows", "found"),
    [
        ("class_names", "class_names", [["a", "b"]], 1),  # as a model answers that knows no batch
        ("serve_images", "score", 0.5, 0),
        ("one_image", "label", ["a", "a"], 2),
    ],
)
def test_an_output_that_has_not_a_row_for_each_input_is_refused(signature, name, rows, found):
    served = answered(4)
    served[signature][name] = rows
    (sentence,) = disagreements(served, 4)
    assert sentence.startswith(f"{signature}: the output {name} has {found} rows for {1 if 'one' in signature else 4} ")


def test_a_signature_without_a_warm_up_request_is_named():
    missing = list(comparison.without_warm_up(answered(2), ["serve_images", "serving_default", "true_labels"]))
    assert missing == [
        "assets.extra/tf_serving_warmup_requests: there is no request for the signature class_names, whose first "
        "answer would take long"
    ]


def test_every_bound_that_is_missed_is_named(check):
    bounds = {
        **{"max_load_seconds": 1e-6, "max_first_answer_seconds": 1e-6, "max_p50_ms": 1e-6, "max_p99_ms": 1e-6},
        **{"min_images_per_second": 1e12, "max_peak_gib": 1e-3, "max_model_mib": 1e-3},
    }
    result, blessed = check(Scripted(SOUND), **bounds)
    assert not blessed
    assert [refusal.partition(":")[0] for refusal in result["refusals"]] == [f"serving_check.{name}" for name in bounds]


def test_the_serving_process_has_none_of_the_projects_code():
    program = f"import runpy, sys; sys.argv[1:] = []; m = runpy.run_path({probe.__file__!r}); "
    program += f"sys.meta_path.insert(0, m['Blocker']({code_digest.PACKAGES!r})); import json; "
    for module in ("modules.data.features", "pipeline", "config.run"):
        done = subprocess.run([sys.executable, "-c", f"{program}import {module}"], capture_output=True, text=True)
        assert done.returncode == 1
        assert f"No module named '{module.partition('.')[0]}'" in done.stderr


def test_every_package_of_the_project_is_blocked():
    root = Path(executor.__file__).parents[2]
    packages = {path.parent.name for path in root.glob("*/__init__.py")} - {"tests", "benchmarks", "data", "docs"}
    assert packages <= set(code_digest.PACKAGES)


def test_another_tag_of_tf_serving_does_not_run_the_stage_again():
    def properties(**config) -> dict:
        model, model_run = (
            channel.Channel(type=kind) for kind in (standard_artifacts.Model, standard_artifacts.ModelRun)
        )
        return ServingCheck(model, model_run, ServingCheckConfig(**config)).exec_properties

    assert properties(tf_serving="2.19.0") == properties()
    assert properties(max_p50_ms=1.0) != properties()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_serving_process_that_somebody_ended_is_no_refusal(monkeypatch, tmp_path, number):
    ended = subprocess.CompletedProcess([], -number, "", "")
    monkeypatch.setattr(executor.subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(ended_process.EndedFromOutsideError, match=number.name):
        executor._check("model", tmp_path / "reference.json", ServingCheckConfig())


NOVELTY = {"novelty": [0.4] * 9, "in_scope": [True] * 9}


@pytest.mark.parametrize(
    ("served", "refusals"),
    [
        (NOVELTY, []),
        ({"novelty": [0.4] * 8 + [0.45], "in_scope": [True] * 9}, ["1 of 9 images have another novelty than in train"]),
        ({"novelty": [float("nan")] * 9, "in_scope": [False] * 9}, ["9 of 9 images have another novelty"]),
        ({**NOVELTY, "in_scope": [True] * 8 + [False]}, ["1 of 9 values of in_scope do not follow from the novelty"]),
        ({"novelty": [0.4] * 9}, ["the output in_scope is missing, which the model in training has"]),
    ],
)
def test_the_novelty_is_that_of_the_model_in_training(served, refusals):
    found = list(comparison.novelty_differences("serve_images", served, np.full(9, 0.4), 1e-3))
    assert len(found) == len(refusals)
    assert all(text.startswith(f"serve_images: {start}") for text, start in zip(found, refusals, strict=True))
    assert list(comparison.novelty_differences("serve_images", {}, np.empty(0), 1e-3)) == [], "an earlier release"


def test_a_candidate_without_the_novelty_that_it_had_in_training_is_refused(check):
    result, blessed = check(Scripted(SOUND), novelty=0.4)
    assert not blessed and len(result["refusals"]) == 3
    assert all("the output in_scope and novelty is missing" in refusal for refusal in result["refusals"])
