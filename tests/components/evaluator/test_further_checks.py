"""Checks that TFMA does not make, through the whole of Evaluator and Pusher: the stress test and the linear probe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import drawing
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from gatekeeping import CLASSES, Gatekeeper, Photo, Scripted, answers, photos

from components.evaluator import confidence, linear_probe
from components.evaluator.stress.figures import pictures
from components.evaluator.verdict import Change, ProbeFigures, Verdict
from components.label_check import image_features
from components.version_files import CARD
from config.gate import GateConfig
from modules.serving import signatures
from pipeline import verdict_warnings

TEST, TRAIN = photos(10), photos(4, start=5000)
CHECKERS = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((8, 8)))[..., None]


class Drawn(Photo):
    """A photo that can be decoded: dark and light squares of the class's colour."""

    @property
    def encoded(self) -> bytes:
        noise = np.random.default_rng(self.number).integers(0, 20, (64, 64, 3))
        colour = np.array(drawing.COLOURS[self.label]) * (0.5 + 0.3 * CHECKERS)
        return drawing.encode(np.clip(colour + noise, 0, 255).astype(np.uint8))


class Sighted(Scripted):
    """Answers the colour of a picture. One that needs sharp edges answers the next colour without them."""

    def __init__(self, needs_edges: bool, probability: float = 0.9):
        super().__init__({b"": CLASSES[0]}, probability=probability)
        self._needs_edges, self._probability = needs_edges, probability

    def _answer(self, images):
        pixels = tf.map_fn(self._pixels, images, fn_output_signature=tf.float32)
        index = tf.argmin(tf.reduce_mean(pixels, axis=(1, 2)), axis=-1)  # cyan has no red, magenta no green
        grey = tf.reduce_sum(pixels, axis=-1)
        edges = tf.reduce_max(tf.abs(grey[:, :, 4:] - grey[:, :, :-4]), axis=(1, 2))
        is_flat = edges < 0.75 * tf.reduce_max(tf.abs(grey[:, :, 28:] - grey[:, :, :-28]), axis=(1, 2))
        if self._needs_edges:
            index = tf.where(is_flat, (index + 1) % 3, index)
        rest = (1 - self._probability) / 2
        probabilities = tf.one_hot(index, 3, self._probability, rest)
        return {
            signatures.PROBABILITIES: probabilities,
            signatures.LABEL: tf.gather(tf.constant(self._classes), index),
            signatures.SCORE: tf.reduce_max(probabilities, axis=-1),
        }

    @staticmethod
    def _pixels(encoded):
        return tf.image.resize(tf.io.decode_png(encoded, channels=3), (224, 224))


@pytest.fixture
def keeper(tmp_path):
    """Drawn photos, and a stress test of 20 of them at a severity at which only blurs take the edges away."""
    splits = {"train": [Drawn(one.number, one.label) for one in TRAIN], "eval": []}
    shown = [Drawn(one.number, one.label) for one in TEST]
    return Gatekeeper(tmp_path, {"stress": {"images": 20, "severity": 3}}, {**splits, "test": shown})


def test_a_model_that_is_fragile_under_blur_is_refused_for_that(keeper):
    keeper.put_in_production(Sighted(needs_edges=False))
    verdict = keeper.judge(Sighted(needs_edges=True))
    assert verdict.accuracy == 1 and not verdict.blessed and keeper.versions == ["1"]
    assert {(check.metric, check.slice) for check in verdict.checks if not check.passed} == {
        ("stress_change", f"stress={name}") for name in ("blur", "motion_blur", "mean")
    }
    assert (verdict.stress.images, verdict.stress.accuracy) == (20, 1)
    assert set(pictures(str(keeper.folder / "1" / "evaluation"), verdict.stress)) == {
        "clean",
        *(r.corruption for r in verdict.stress.corruptions),
    }


def test_a_model_that_is_robust_where_production_is_fragile_is_pushed(keeper):
    keeper.put_in_production(Sighted(needs_edges=True, probability=0.8))
    verdict = keeper.judge(Sighted(needs_edges=False))
    assert verdict.blessed and keeper.versions == ["1", "2"]
    assert verdict.stress.mean.change.value == pytest.approx(0.25)
    assert "Under corruption of severity 3" in (keeper.serving / "2" / CARD).read_text()


def write_features(folder: Path, splits: dict[str, list[Photo]]) -> Path:
    """LabelCheck's features of photos, which tell the class; the block before the last is noise."""
    generator = np.random.default_rng(0)
    for name, shown in splits.items():
        target = folder / f"Split-{name}"
        target.mkdir(parents=True)
        ordered = sorted(shown, key=lambda photo: b"%064x" % photo.number)
        labels = [photo.label for photo in ordered]
        own = np.eye(3)[[CLASSES.index(label) for label in labels]].reshape(-1, 3)
        np.save(target / "features.npy", np.hstack([generator.random((len(own), 5)), own]).astype(np.float16))
        keys, paths = [f"{photo.number:064x}" for photo in ordered], [b"photo"] * len(ordered)
        columns = {"key": keys, "path": paths, "label": labels, "group": [""] * len(ordered)}
        pq.write_table(pa.table(columns), target / "images.parquet")
    image_features.write_manifest(str(folder), list(splits), (5, 3))
    return folder


LARGER = photos(30)
MISTAKES = {photo.number: CLASSES[(CLASSES.index(photo.label) + 1) % 3] for photo in LARGER[:12]}


@pytest.mark.parametrize(("mistakes", "is_refused"), [(MISTAKES, True), (dict(list(MISTAKES.items())[:2]), False)])
def test_a_model_that_a_linear_probe_beats_beyond_chance_is_refused(tmp_path, mistakes, is_refused):
    splits = {"train": photos(20, start=5000), "eval": photos(5, start=9000), "test": LARGER}
    keeper = Gatekeeper(tmp_path, {"min_accuracy": 0.8, "must_beat_probe": True}, splits)
    keeper.features = write_features(tmp_path / "features", splits)
    verdict = keeper.judge(Scripted(answers(LARGER, mistakes)))
    failed = {(check.metric, check.slice) for check in verdict.checks if not check.passed}
    assert failed == ({("probe_difference", "overall")} if is_refused else set())
    assert verdict.blessed is not is_refused and keeper.versions == ([] if is_refused else ["1"])
    assert (verdict.probe.accuracy, verdict.probe.features, verdict.probe.train_images) == (1, 3, 60)
    bounds = confidence.change_bounds(0, len(mistakes), 90, 0.95)
    assert (verdict.probe.difference.lower, verdict.probe.difference.upper) == pytest.approx(bounds)


BETTER = ProbeFigures(0.9, 60, 3, 0.1, "eval", Change(-0.2, -0.3, -0.1, 0.01, 0.2))


@pytest.mark.parametrize(
    ("must_beat", "figures", "failed"), [(True, BETTER, [-0.1]), (True, None, [None]), (False, BETTER, [])]
)
def test_a_probe_only_warns_unless_it_must_be_beaten_and_one_that_is_missing_is_not(
    monkeypatch, must_beat, figures, failed
):
    monkeypatch.setattr(linear_probe, "measure", lambda *arguments: figures)
    before = Verdict(True, 90, 0.7, (0.6, 0.8), None, 0.95, [], {})
    found = linear_probe.added(before, GateConfig(must_beat_probe=must_beat), "features", "evaluation")
    assert [check.value for check in found.checks] == failed and found.blessed is not bool(failed)
    assert list(verdict_warnings.of(dataclasses.replace(before, probe=BETTER), None)) == [BETTER.warning]
