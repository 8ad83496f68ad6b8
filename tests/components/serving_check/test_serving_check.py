"""Candidates that are not served as they were trained, or not well enough."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from gatekeeping import CLASSES, Scripted, photos
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.serving_check import executor, findings, probe
from modules import reference_answers, signatures
from pipeline.config import ServingCheck

PHOTOS = photos(3)
SOUND = {photo.encoded: [0.2, 0.3, 0.5] if photo.number % 2 else [0.7, 0.2, 0.1] for photo in PHOTOS}


@pytest.fixture
def check(tmp_path):
    """Runs the executor; gives what it wrote and whether the model was blessed."""

    def run(model: Scripted, spoil=lambda folder: None, **settings) -> tuple[dict, bool]:
        artifacts = {
            "model": standard_artifacts.Model(),
            "model_run": standard_artifacts.ModelRun(),
            "infra_blessing": standard_artifacts.InfraBlessing(),
        }
        for name, artifact in artifacts.items():
            artifact.uri = str(tmp_path / name)
            Path(artifact.uri).mkdir()
        spoil(model.save(Path(path_utils.serving_model_dir(artifacts["model"].uri))))
        known = [
            {
                "example": base64.b64encode(photo.serialized()).decode(),
                "image": base64.b64encode(photo.encoded).decode(),
                "label": photo.label,
                "probabilities": SOUND[photo.encoded],
            }
            for photo in PHOTOS
        ]
        content = {"classes": list(CLASSES), "answers": known}
        Path(artifacts["model_run"].uri, reference_answers.FILE).write_text(json.dumps(content))
        executor.Executor().Do(
            {name: [artifacts[name]] for name in ("model", "model_run")},
            {"infra_blessing": [artifacts["infra_blessing"]]},
            {"settings": json.dumps(ServingCheck(**settings).model_dump())},
        )
        blessing = artifacts["infra_blessing"]
        return findings.read(blessing.uri), bool(blessing.get_int_custom_property("blessed"))

    return run


def test_a_model_served_as_it_was_trained_is_blessed_with_its_figures(check):
    found, blessed = check(Scripted(SOUND))
    assert blessed and found["refusals"] == []
    measured = found["measured"]
    assert 0 < measured["load_seconds"] < measured["first_answer_seconds"]
    assert 0 < measured["p50_ms"] <= measured["p99_ms"]
    assert 0.1 < measured["peak_gib"] < 4


class PermutedClasses(Scripted):
    """Trained as cyan, magenta, yellow; answers with other names."""

    def __init__(self):
        super().__init__(SOUND)
        self._classes = ["magenta", "cyan", "yellow"]


class WrongLabels(Scripted):
    """Labels and scores are those of the least probable class."""

    def _answer(self, images):
        said = super()._answer(images)
        worst = tf.argmin(said[signatures.PROBABILITIES], axis=-1)
        score = tf.reduce_min(said[signatures.PROBABILITIES], axis=-1)
        return {**said, signatures.LABEL: tf.gather(tf.constant(self._classes), worst), signatures.SCORE: score}


class OneSignatureSkewed(Scripted):
    """Images that come as such are preprocessed otherwise than those in examples."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "images")])
    def serve_images(self, images):
        said = self._answer(images)
        return {**said, signatures.PROBABILITIES: said[signatures.PROBABILITIES][:, ::-1]}


def truncated(folder: Path) -> None:
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:100])


ALONE = "serve_images, one image alone"
REFUSED = {
    "preprocessing skew": (
        Scripted({**SOUND, PHOTOS[0].encoded: [0.69, 0.2, 0.11]}),
        [
            "serving_default: 1 of 9 images are answered otherwise than in training; probabilities differ by up to",
            "serve_images: 1 of 9 images are answered otherwise",
            f"{ALONE}: 1 of 1 images are answered otherwise",
        ],
    ),
    "skew in one signature alone": (
        OneSignatureSkewed(SOUND),
        [
            f"{where}: {count} {what}"
            for where, count in (("serve_images", "9 of 9"), (ALONE, "1 of 1"))
            for what in ("images are answered otherwise", "labels are not the most probable class")
        ],
    ),
    "NaN weights": (
        Scripted({photo.encoded: [float("nan")] * 3 for photo in PHOTOS}),
        ["serving_default: 9 of 9 images are answered otherwise"],
    ),
    "classes in another order": (
        PermutedClasses(),
        ["class_names: magenta, cyan, yellow; the model was trained on cyan, magenta, yellow"],
    ),
    "labels that are not the best class": (
        WrongLabels(SOUND),
        ["serving_default: 9 of 9 labels are not the most probable class", "serving_default: scores are not the"],
    ),
    "a class too few": (
        Scripted({photo.encoded: [0.5, 0.5] for photo in PHOTOS}, CLASSES[:2]),
        ["class_names: cyan, magenta; the", "serving_default: probabilities of shape (9, 2); expected is (9, 3)"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_served_otherwise_than_trained_is_refused(check, name):
    model, told = REFUSED[name]
    found, blessed = check(model)
    assert not blessed
    for sentence in told:
        assert any(refusal.startswith(sentence) for refusal in found["refusals"]), found["refusals"]


def test_a_model_that_can_not_be_loaded_is_refused(check):
    found, blessed = check(Scripted(SOUND), truncated)
    assert not blessed and found["measured"] == {}
    assert found["refusals"][0].startswith("serving ended with exit code 1: ")


def test_every_bound_that_is_missed_is_named(check):
    bounds = {
        **{"max_load_seconds": 1e-6, "max_p50_ms": 1e-6, "max_p99_ms": 1e-6},
        **{"min_images_per_second": 1e12, "max_peak_gib": 1e-3},
    }
    found, blessed = check(Scripted(SOUND), **bounds)
    assert not blessed
    assert [refusal.partition(":")[0] for refusal in found["refusals"]] == [name.partition("_")[2] for name in bounds]


def test_the_serving_process_has_none_of_the_projects_code():
    program = f"import runpy, sys; sys.argv[1:] = []; m = runpy.run_path({probe.__file__!r}); "
    program += "sys.meta_path.insert(0, m['Blocker'](('modules', 'pipeline'))); import json; "
    for module, told in (("modules.features", "No module named 'modules'"), ("pipeline", "No module named 'pipeline'")):
        done = subprocess.run([sys.executable, "-c", f"{program}import {module}"], capture_output=True, text=True)
        assert done.returncode == 1 and told in done.stderr
