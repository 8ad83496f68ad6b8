import numpy as np
import pytest
import tensorflow as tf
from drawing import encode, flat, stripes
from PIL import Image

from modules.data import decoding, tf_example
from modules.serving import class_names, signatures

CLASSES = ["cyan", "magenta", "yellow"]  # as in conftest.py
IMAGES = [encode(flat("cyan", (9, 30))), encode(stripes(64), "JPEG"), encode(flat("yellow"), "GIF", "P")]


def serialized(**values: bytes) -> bytes:
    return tf_example.serialize({name.replace("_", "/"): value for name, value in values.items()})


@pytest.fixture(scope="module")
def served(version):
    return tf.saved_model.load(str(version))


def test_both_ways_of_asking_give_what_the_classifier_gives(served, classifier):
    image = (decoding.decode_and_resize(tf.constant(IMAGES), 96, interpolation="bicubic") - 127.0) / 128.0
    expected = classifier(image).numpy()
    by_images = served.signatures["serve_images"](images=tf.constant(IMAGES))
    by_examples = served.signatures["serving_default"](
        examples=tf.constant([serialized(image_encoded=encoded) for encoded in IMAGES])
    )
    for answer in (by_images, by_examples):
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
        assert [name.decode() for name in answer["label"].numpy()] == [CLASSES[i] for i in expected.argmax(axis=1)]
        np.testing.assert_allclose(answer["score"], expected.max(axis=1), atol=1e-6)
    assert {CLASSES[i] for i in expected.argmax(axis=1)} != {CLASSES[0]}


def test_the_class_names_are_inside(served):
    assert class_names.read(served) == CLASSES


def test_the_class_names_of_a_model_of_an_earlier_release_are_read(tmp_path):
    """Its signature has no input and no batch."""

    class Earlier(tf.Module):
        @tf.function(input_signature=[])
        def names(self):
            return {"class_names": tf.constant(CLASSES)}

    earlier = Earlier()
    tf.saved_model.save(earlier, str(tmp_path), signatures={"class_names": earlier.names})
    assert class_names.read(tf.saved_model.load(str(tmp_path))) == CLASSES


@pytest.mark.parametrize("size", [0, 1, 3])
def test_every_signature_has_an_input_and_answers_batches(served, size):
    """Otherwise TF Serving's REST API and its batching refuse it; only a batch of no images is an error."""
    values = {
        "examples": serialized(image_encoded=IMAGES[0], image_label=b"cyan"),
        "images": IMAGES[0],
        "unused": b"anything",
    }
    assert set(served.signatures) == {"serving_default", "serve_images", "class_names", "true_labels", "explain"}
    for name, signature in served.signatures.items():
        if size == 0 and name in ("serving_default", "serve_images", "explain"):
            continue
        (only,) = signature.structured_input_signature[1].values()
        assert only.shape.as_list() == [None]
        for output in signature(**{only.name: tf.constant([values[only.name]] * size, tf.string)}).values():
            assert output.shape[0] == size
        for spec in signature.structured_outputs.values():
            assert spec.shape[0] is None


def test_an_explanation_is_about_the_answer_and_the_image_as_the_model_sees_it(served):
    answer = served.signatures["serve_images"](images=tf.constant(IMAGES))
    explained = served.signatures["explain"](images=tf.constant(IMAGES))
    np.testing.assert_array_equal(explained["label"], answer["label"])
    np.testing.assert_array_equal(explained["score"], answer["score"])
    assert explained["heat_maps"].shape == (3, 3, 3)
    pixels = decoding.decode_and_resize(tf.constant(IMAGES), 96, interpolation="bicubic")
    assert explained["pixels"].dtype == tf.uint8
    np.testing.assert_allclose(explained["pixels"], np.clip(pixels, 0, 255), atol=0.5)


def test_a_classifier_that_draws_no_heat_maps_is_served_without(classifier, transform_output, tmp_path):
    signatures.export(classifier, transform_output, CLASSES, str(tmp_path / "1"))
    assert "explain" not in tf.saved_model.load(str(tmp_path / "1")).signatures


def test_true_labels_are_those_of_the_transform_graph(served, transform_output):
    names = [b"yellow", b"cyan", b"infra-red", b""]
    found = served.signatures["true_labels"](tf.constant([serialized(image_label=name) for name in names]))
    images = tf.constant([[IMAGES[0]]] * len(names))
    inputs = {"image/label": tf.constant(names)[:, tf.newaxis], "image/encoded": images}
    trained_on = transform_output.transform_features_layer()(inputs)
    assert found["label"].numpy().tolist() == trained_on["label"].numpy().tolist() == [2, 0, -1, -1]


def test_true_labels_hold_no_decoder(version):
    """Without Grappler, which would cut it out, every op runs that the signature holds."""
    options = tf.compat.v1.ConfigProto()
    options.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.compat.v1.Session(graph=tf.Graph(), config=options) as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(version)).signature_def["true_labels"]
        examples = [serialized(image_label=b"yellow", image_encoded=b"no image")]
        answer = session.run(signature.outputs["label"].name, {signature.inputs["examples"].name: examples})
    assert answer.tolist() == [2]


def test_one_image_and_many_are_answered_alike(served):
    serve = served.signatures["serve_images"]
    together = serve(images=tf.constant(IMAGES))["probabilities"].numpy()
    alone = [serve(images=tf.constant([image]))["probabilities"].numpy()[0] for image in IMAGES]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_photo_taken_upright_is_answered_like_the_same_photo_turned(served):
    """Orientation 6: the camera was turned to the left, so the pixels must be turned to the right."""
    upright = stripes(64)[:40]
    tagged = Image.Exif()
    tagged[0x0112] = 6
    photos = [encode(upright), encode(np.rot90(upright), exif=tagged), encode(np.rot90(upright))]
    answers = served.signatures["serve_images"](images=tf.constant(photos))["probabilities"].numpy()
    np.testing.assert_array_equal(answers[0], answers[1])
    assert np.abs(answers[0] - answers[2]).max() > 1e-3
