"""Heat maps of a served model, and `regraft predict --why`."""

import json
import os
import sys

import numpy as np
import pytest
import tensorflow as tf
from drawing import encode, flat
from PIL import Image

from config.errors import BadInputError, ExitCode
from pipeline import heat_maps, predict

SIDE = 40


class Corner(tf.Module):
    """Answers always with `red`, because of the top left quarter."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "images")])
    def serve_images(self, images):
        count = tf.size(images)
        decode = tf.map_fn(lambda one: tf.reduce_max(tf.io.decode_image(one)), images, tf.uint8)
        with tf.control_dependencies([decode]):  # an image that cannot be decoded is an error
            answer = {"probabilities": tf.tile([[0.25, 0.75]], [count, 1]), "label": tf.fill([count], "red")}
        return {**answer, "score": tf.fill([count], 0.75)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "images")])
    def explain(self, images):
        count = tf.size(images)
        return {
            "heat_maps": tf.tile([[[1.0, 0.0], [0.0, 0.0]]], [count, 1, 1]),
            "pixels": tf.fill([count, SIDE, SIDE, 3], tf.constant(100, tf.uint8)),
            "label": tf.fill([count], "red"),
            "score": tf.fill([count], 0.75),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "unused")])
    def class_names(self, unused):
        return {"class_names": tf.tile([["green", "red"]], [tf.size(unused), 1])}


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Folders of a model with heat maps, and of one without."""
    folder, model = tmp_path_factory.mktemp("models"), Corner()
    old = {"serve_images": model.serve_images, "class_names": model.class_names}
    tf.saved_model.save(model, str(folder / "new"), old | {"explain": model.explain})
    tf.saved_model.save(model, str(folder / "old"), old)
    return folder


def test_each_image_gets_a_heat_map_in_any_number_of_batches(versions):
    drawn = heat_maps.draw(versions / "new", [encode(flat("cyan"))] * 33)
    assert len(drawn) == 33
    assert (drawn[-1].label, drawn[-1].score, drawn[-1].heat.shape) == ("red", 0.75, (2, 2))
    assert heat_maps.draw(versions / "new", []) == []


def test_the_hottest_place_is_coloured_and_the_coldest_is_as_it_was(versions):
    (drawn,) = heat_maps.draw(versions / "new", [encode(flat("cyan"))])
    overlay = np.asarray(drawn.overlay).astype(int)
    assert overlay.shape == (320, 320, 3)
    assert (overlay[-1, -1] == 100).all() and (overlay[160:, 240:] == 100).all()
    assert np.abs(overlay[0, 0] - 100).max() > 50


def test_pictures_of_photos_with_one_name_do_not_replace_each_other(versions, tmp_path, capsys):
    photos = [tmp_path / name for name in ("one/photo.png", "two/photo.png", f"{'ü' * 120}.png", "<script>.png")]
    for photo in photos:
        photo.parent.mkdir(exist_ok=True)
        photo.write_bytes(encode(flat("cyan")))
    out = tmp_path / "why"
    code = predict.predict(versions / "new", [str(photo) for photo in photos], sys.stdout, out)
    assert code == ExitCode.OK
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    pictures = [answer["heat_map"] for answer in answers]
    assert pictures[:2] == [str(out / "photo.png.why.png"), str(out / "photo.png.2.why.png")]
    assert pictures[3] == str(out / "<script>.png.why.png")
    assert sorted(map(os.fspath, out.iterdir())) == sorted(pictures)
    assert all(Image.open(picture).size == (320, 320) for picture in pictures)


def test_an_image_that_cannot_be_decoded_leaves_no_picture_and_the_others_theirs(versions, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "photo.png").write_bytes(encode(flat("cyan")))
    images = [str(tmp_path / name) for name in ("broken.png", "missing.png", "photo.png")]
    assert predict.predict(versions / "new", images, sys.stdout, tmp_path / "why") == ExitCode.BAD_INPUT
    (answer,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert answer["file"] == images[2]
    assert [path.name for path in (tmp_path / "why").iterdir()] == ["photo.png.why.png"]


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_a_damaged_image_is_told_from_one_of_another_format(encoding, versions, tmp_path, capsys):
    Image.effect_noise((64, 64), 100).convert("RGB").save(tmp_path / "whole", encoding)
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / "photo").write_bytes(content[: len(content) // 2])
    (tmp_path / "start").write_bytes(content[:20])
    Image.new("RGB", (64, 64)).save(tmp_path / "picture.tiff")
    (tmp_path / "text").write_text("no image")
    images = [str(tmp_path / name) for name in ("photo", "start", "picture.tiff", "text")]
    assert predict.predict(versions / "old", images, sys.stdout) == ExitCode.BAD_INPUT
    cut, start, tiff, text = capsys.readouterr().err.splitlines()
    name = encoding.replace("WEBP", "WebP")
    assert cut.startswith(f"{tmp_path}/photo: this {name} is damaged (") and cut.endswith("; take an intact copy")
    assert start.startswith(f"{tmp_path}/start: this {name} is damaged (")
    for line in (tiff, text):
        assert "the served model cannot decode it (" in line and line.endswith("; convert it to JPEG or PNG")


def test_a_model_without_heat_maps_is_refused_only_if_they_are_asked_for(versions, tmp_path, capsys):
    (tmp_path / "photo.png").write_bytes(encode(flat("cyan")))
    images = [str(tmp_path / "photo.png")]
    assert predict.predict(versions / "old", images, sys.stdout) == ExitCode.OK
    assert "heat_map" not in json.loads(capsys.readouterr().out)
    with pytest.raises(BadInputError, match=r"old: the model draws no heat maps .* train again, or leave out --why"):
        predict.predict(versions / "old", images, sys.stdout, tmp_path)
    with pytest.raises(BadInputError, match="no heat maps"):
        heat_maps.draw(versions / "old", [])
