"""Exports answer as the model does, and say what a client must know."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.evaluator import export_checks
from components.evaluator.export_checks import ExportAnswers
from config.gate import GateConfig
from config.head import HeadConfig
from modules import classifier, heads
from modules.classifier import Classifier
from modules.data.normalization import PREPROCESSING
from modules.exporting import litert, onnx_file, packages, pixels_function, runtimes
from modules.exporting.description import Description
from modules.exporting.errors import ExportError
from modules.serving import temperature

CLASSES = ["cyan", "magenta", "yellow"]
DESCRIPTION = Description(CLASSES, 32, "crop", "bilinear", 10**6)
PREPROCESSED = "tf"
TEMPERATURE = 2.5


def photos(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy flat colours, uint8 [count, 32, 32, 3], and the index of each one's class."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    colours = np.array([[0, 255, 255], [255, 0, 255], [255, 255, 0]])[labels][:, None, None]
    noisy = 0.7 * colours + random.uniform(0, 76, (count, 32, 32, 3))
    return noisy.astype(np.uint8), labels


@pytest.fixture(scope="module")
def trained() -> Classifier:
    """Preprocessed images to probabilities, without temperature scaling."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.5)(x))
    x = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same")(x))
    backbone = keras.Model(image, x)
    head = heads.build(HeadConfig(kind="dense"), (16, 16, 8), 3, seed=1)
    plain = keras.Model(image, head(x))
    pixels, labels = photos(96, seed=0)
    plain.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    plain.fit(PREPROCESSING[PREPROCESSED](pixels.astype(np.float32)), labels, epochs=8, verbose=0)
    return Classifier(classifier.join(backbone, head), backbone, head)


@pytest.fixture(scope="module")
def model(trained) -> keras.Model:
    """The same with temperature scaling, as Trainer does it."""
    return classifier.divided(trained, TEMPERATURE).model


@pytest.fixture(scope="module")
def saved_model(model, tmp_path_factory) -> str:
    return saved(model, str(tmp_path_factory.mktemp("saved")))


def saved(model: keras.Model, folder: str) -> str:
    """As modules/serving/signatures.py keeps it: the variables apart from the layers."""
    module = tf.Module()
    module.values = [variable.value for variable in model.variables]
    module.classify = tf.function(
        lambda image: {"probabilities": model(image, training=False)},
        input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32)],
        autograph=False,
    )
    tf.saved_model.save(module, folder)
    return folder


@pytest.fixture(scope="module")
def constants(saved_model):
    return pixels_function.frozen(saved_model, PREPROCESSED, 1)


def expected(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return model(PREPROCESSING[PREPROCESSED](pixels.astype(np.float32)), training=False).numpy()


def answered(content: bytes, pixels: np.ndarray, folder, suffix: str = ".tflite") -> np.ndarray:
    """What a file's own runtime answers."""
    path = folder / f"model{suffix}"
    path.write_bytes(content)
    run = runtimes.opened(path)
    assert run.shape == (32, 32, 3)
    return np.array([run(image.astype(np.float32)) for image in pixels])


def operations(content: bytes) -> list[str]:
    return [operation["op_name"] for operation in tf.lite.Interpreter(model_content=content)._get_ops_details()]


def judged(name: str, probabilities: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> set[str]:
    """The checks that an export fails, with the gate's defaults."""
    _, checks = export_checks.judged(name, ExportAnswers(1, probabilities), reference, labels, GateConfig())
    assert {check.slice for check in checks} == {f"export={name}"}
    return {str(check.metric) for check in checks if not check.passed}


def test_float32_exports_give_the_models_probabilities(model, saved_model, constants, tmp_path):
    """A file that has lost its variables would not: they are not what Keras starts with."""
    pixels, labels = photos(30, seed=1)
    reference = expected(model, pixels)
    assert (reference.argmax(axis=1) == labels).mean() > 0.9
    by_litert = answered(litert.converted(constants), pixels, tmp_path)
    np.testing.assert_allclose(by_litert, reference, atol=1e-5)
    any_batch = pixels_function.frozen(saved_model, PREPROCESSED, None)
    by_onnx = answered(onnx_file.converted(any_batch, DESCRIPTION.dumps()), pixels, tmp_path, ".onnx")
    np.testing.assert_allclose(by_onnx, reference, atol=1e-5)
    assert judged("litert", by_litert, reference, labels) == judged("onnx", by_onnx, reference, labels) == set()


def test_each_export_divides_the_logits_once_before_its_only_softmax(trained, saved_model, constants, tmp_path):
    """In 8 bits, a logarithm of probabilities would know them in steps of 1/256 only."""
    pixels, _ = photos(60, seed=5)
    powers = expected(trained.model, pixels) ** (1 / TEMPERATURE)
    scaled = powers / powers.sum(axis=1, keepdims=True)
    by_litert, in_8_bits = litert.converted(constants), litert.quantized(constants, photos(30, seed=3)[0])
    np.testing.assert_allclose(answered(by_litert, pixels, tmp_path), scaled, atol=1e-5)
    any_batch = pixels_function.frozen(saved_model, PREPROCESSED, None)
    onnx = onnx_file.converted(any_batch, DESCRIPTION.dumps())
    np.testing.assert_allclose(answered(onnx, pixels, tmp_path, ".onnx"), scaled, atol=1e-5)
    for content in (by_litert, in_8_bits):
        assert operations(content).count("SOFTMAX") == 1 and "LOG" not in operations(content)
    folder = saved(temperature.scaled(trained.model, TEMPERATURE), str(tmp_path / "of_probabilities"))
    with_logarithm = litert.quantized(pixels_function.frozen(folder, PREPROCESSED, 1), photos(30, seed=3)[0])
    errors = [np.abs(answered(content, pixels, tmp_path) - scaled) for content in (in_8_bits, with_logarithm)]
    assert errors[0].max() < 0.05 and errors[0].mean() < errors[1].mean()


def test_an_int8_export_takes_bytes_and_one_that_collapsed_is_refused(model, constants, tmp_path, monkeypatch):
    pixels, labels = photos(60, seed=2)
    reference = expected(model, pixels)
    content = litert.quantized(constants, photos(30, seed=3)[0])
    (found,) = tf.lite.Interpreter(model_content=content).get_input_details()
    assert (found["dtype"], found["quantization"]) == (np.uint8, (1.0, 0)), "a pixel's value is its number"
    assert judged("litert-int8", answered(content, pixels, tmp_path), reference, labels) == set()
    in_the_wrong_range = [[image[np.newaxis] / np.float32(255)] for image in photos(30, seed=3)[0]]
    monkeypatch.setattr(litert, "_calibration", lambda pixels: in_the_wrong_range)
    with pytest.raises(ExportError, match=r"the input has the scale 0\.0039"):
        litert.quantized(constants, pixels)
    monkeypatch.setattr(litert, "_check_input", lambda content: None)
    collapsed = litert.quantized(constants, pixels)
    failed = judged("litert-int8", answered(collapsed, pixels, tmp_path), reference, labels)
    assert {"accuracy", "agreement", "export_accuracy_change"} <= failed


def test_an_export_that_has_lost_its_variables_is_refused(model, saved_model, tmp_path):
    pixels, labels = photos(60, seed=4)
    reference = expected(model, pixels)
    loaded = tf.saved_model.load(saved_model)
    for variable in loaded.values:
        variable.assign(tf.zeros_like(variable))
    tf.saved_model.save(loaded, str(tmp_path / "lost"))
    content = litert.converted(pixels_function.frozen(str(tmp_path / "lost"), PREPROCESSED, 1))
    failed = judged("litert", answered(content, pixels, tmp_path), reference, labels)
    assert failed == {"accuracy", "agreement", "export_accuracy_change", "probability_difference"}


def test_a_file_says_what_a_client_must_know(saved_model, constants, tmp_path):
    tflite, onnx = tmp_path / "model.tflite", tmp_path / "model.onnx"
    tflite.write_bytes(litert.described(litert.converted(constants), DESCRIPTION.dumps(), CLASSES))
    any_batch = pixels_function.frozen(saved_model, PREPROCESSED, None)
    onnx.write_bytes(onnx_file.converted(any_batch, DESCRIPTION.dumps()))
    for path in (tflite, onnx):
        assert Description.loads(runtimes.description(path)) == DESCRIPTION
        assert json.loads(runtimes.description(path))["input"]["channels"] == "RGB"
    answered(tflite.read_bytes(), photos(1, seed=0)[0], tmp_path)  # LiteRT still reads it


def test_a_missing_package_is_named_before_anything_is_converted(monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else name)
    packages.raise_if_missing(["litert"])
    with pytest.raises(ExportError, match=r"^export\.formats: onnx needs tf2onnx.*pip install"):
        packages.raise_if_missing(["litert", "onnx"])


def test_a_model_without_the_function_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(ExportError, match="has no function classify; train it again"):
        pixels_function.frozen(str(tmp_path / "other"), "raw", 1)
