"""TensorFlow.js layers models as weight files."""

import json
import shutil

import keras
import layers_model
import numpy as np
import pytest
from keras import layers

from config.errors import BackboneError
from modules import files
from modules.backbones import builders, tensorflow_js, weight_files

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (2, 16, 16, 3)).astype("f4")


def network(epsilon: float = 1e-3, top: bool = False, numbered: str = "conv2d", width: int = 4) -> keras.Model:
    """Twelve convolutions of one shape: by the alphabet, the eleventh comes before the second."""
    x = image = keras.Input((16, 16, 3), name="image")
    for index in range(12):
        x = layers.Conv2D(width, 1, name=f"{numbered}_{index}")(x)
    x = layers.BatchNormalization(epsilon=epsilon, name="normalized")(x)
    x = layers.BatchNormalization(epsilon=epsilon, scale=False, name="unscaled")(x)
    x = layers.Dense(5, name="top")(layers.Flatten(name="flat")(x)) if top else x
    model = keras.Model(image, x, name="network")
    for variable in model.weights:  # variances as small as ImageNet networks have them, in comparison with epsilon
        variable.assign(RANDOM.uniform(1e-3, 0.5, variable.shape))
    return model


def features(model: keras.Model) -> np.ndarray:
    return np.asarray(keras.Model(model.input, model.get_layer("unscaled").output)(IMAGES, training=False))


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("epsilon", [1e-3, 1e-5])
def test_the_loaded_backbone_computes_what_the_model_computed(tmp_path, top, epsilon):
    donor, model = network(epsilon, top), network()
    weight_files.load(model, layers_model.write(donor, tmp_path, shard_bytes=50))
    np.testing.assert_allclose(features(model), features(donor), rtol=1e-4)


def test_numbers_that_go_on_from_model_to_model_are_matched_by_the_order_of_the_layers(tmp_path):
    donor, model = network(), network(numbered="conv2d_1")
    weight_files.load(model, layers_model.write(donor, tmp_path))
    np.testing.assert_array_equal(features(model), features(donor))


def test_a_network_that_is_a_layer_of_a_classifier_is_found(tmp_path):
    donor, model = network(), network()
    classifier = keras.Sequential([keras.Input((16, 16, 3)), donor, layers.Flatten(), layers.Dense(2)])
    path = layers_model.write(classifier, tmp_path)
    content = json.loads(path.read_text())
    for weight in content["weightsManifest"][0]["weights"][:5]:  # some converters write the models around it, too
        weight["name"] = f"sequential/network/{weight['name']}"
    path.write_text(json.dumps(content))
    weight_files.load(model, path)
    np.testing.assert_array_equal(features(model), features(donor))


def test_the_names_of_old_resnets_are_understood():
    """Two convolutions of a block have one shape; by the order of the layers, they would be exchanged."""
    current = weight_files._current_name
    assert current("res2a_branch1") == "conv2_block1_0_conv"
    assert current("bn2a_branch2c") == "conv2_block1_3_bn"
    assert current("res5c_branch2b") == "conv5_block3_2_conv"
    assert (current("conv1"), current("bn_conv1")) == ("conv1_conv", "conv1_bn")
    assert current("conv3_block2/bn") == "conv3_block2_bn"  # an old DenseNet
    old = {f"conv2_block1_{branch}_{kind}" for branch in range(4) for kind in ("conv", "bn")}
    assert old == {current(f"{kind}2a_branch{branch}") for kind in ("res", "bn") for branch in ("1", "2a", "2b", "2c")}
    resnet = keras.applications.ResNet50(input_shape=(32, 32, 3), include_top=False, weights=None)
    assert old | {"conv1_conv", "conv1_bn"} <= {layer.name for layer in resnet.layers}


@pytest.mark.parametrize("kind", ["tfjs", "h5"])
def test_an_old_resnet_block_is_loaded_by_name(tmp_path, kind):
    def block(names: list[str]) -> keras.Model:
        image = keras.Input((16, 16, 3))
        branches = [layers.Conv2D(4, 1, name=name)(image) for name in names]
        return keras.Model(image, layers.Concatenate()(branches))

    old, model = block(["res2a_branch2c", "res2a_branch1"]), block(["conv2_block1_0_conv", "conv2_block1_3_conv"])
    old.save(tmp_path / "old.h5")
    weight_files.load(model, layers_model.write(old, tmp_path) if kind == "tfjs" else tmp_path / "old.h5")
    for ours, theirs in (("conv2_block1_0_conv", "res2a_branch1"), ("conv2_block1_3_conv", "res2a_branch2c")):
        np.testing.assert_array_equal(model.get_layer(ours).kernel, old.get_layer(theirs).kernel)


@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetLite0"])
def test_a_backbone_of_the_table_takes_such_a_file(tmp_path, name):
    donor = builders.build(name, 32, "none")
    for variable in donor.weights:
        variable.assign(RANDOM.uniform(0.1, 1, variable.shape))
    loaded = builders.build(name, 32, str(layers_model.write(donor, tmp_path)))
    for ours, theirs in zip(loaded.weights, donor.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_of_every_type_are_read(tmp_path):
    """The expected values are those of `tf.io.decodeWeights` in TensorFlow.js 4.22 for the same bytes."""
    eighth = {"dtype": "uint8", "scale": 0.0123, "min": -1.5, "original_dtype": "float32"}
    sixteenth = {"dtype": "uint16", "scale": 0.000123, "min": -1.5, "original_dtype": "float32"}
    whole = {"dtype": "uint8", "scale": 1.5, "min": 0, "original_dtype": "int32"}
    weights = [
        {"name": "a/kernel", "shape": [2, 3], "dtype": "float32", "quantization": eighth},
        {"name": "a/bias", "shape": [3], "dtype": "float32", "quantization": sixteenth},
        {"name": "b/half", "shape": [2], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {"name": "b/count", "shape": [], "dtype": "int32", "quantization": whole},
        {"name": "c/flag", "shape": [2], "dtype": "bool"},
        {"name": "c/number", "shape": [2], "dtype": "int32"},
    ]
    content = (
        np.array([217, 163, 130, 69, 78, 10], "u1").tobytes()
        + np.array([4930, 1083, 11486], "<u2").tobytes()
        + np.array([0.361572265625, -0.70361328125], "<f2").tobytes()
        + np.array([77], "u1").tobytes()
        + np.array([True, False]).tobytes()
        + np.array([5, -6], "<i4").tobytes()
    )
    read = tensorflow_js.load(layers_model.write_parts(tmp_path, weights, content, {}, shard_bytes=7))
    (kernel, bias), (half, count), (flag, number) = (read[name].arrays for name in "abc")
    expected = [[1.169100046157837, 0.5048999786376953, 0.0989999994635582]]
    expected.append([-0.6513000130653381, -0.5406000018119812, -1.3769999742507935])
    np.testing.assert_array_equal(kernel, np.array(expected, "f4"))
    np.testing.assert_array_equal(bias, np.array([-0.8936100006103516, -1.366791009902954, -0.08722200244665146], "f4"))
    np.testing.assert_array_equal(half, np.array([0.361572265625, -0.70361328125], "f4"))
    assert count == 116 and count.dtype == np.int32
    assert flag.tolist() == [True, False] and number.tolist() == [5, -6]


# What does not fit.


def refusal(model: keras.Model, path) -> str:
    with pytest.raises((tensorflow_js.TensorFlowJsError, weight_files.WeightFileError)) as caught:
        weight_files.load(model, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count(str(path)) == 1, "one error, not one inside of another"
    return str(caught.value)


def test_layers_that_are_missing_or_have_other_shapes_are_named(tmp_path):
    path = layers_model.write(network(width=6), tmp_path)
    assert "conv2d_0 has shapes [(1, 1, 3, 4), (4,)], in the file [(1, 1, 3, 6), (6,)]" in refusal(network(), path)
    dense = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="only")])
    message = refusal(network(), layers_model.write(dense, tmp_path))
    assert "doesn't fit network: conv2d_0 is missing; conv2d_1 is missing" in message and "and 4 more" in message


def test_shards_that_are_missing_or_cut_short_are_named(tmp_path):
    path = layers_model.write(network(), tmp_path, shard_bytes=300)
    second = tmp_path / "group1-shard2of4.bin"
    second.write_bytes(second.read_bytes()[:-4])
    message = refusal(network(), path)
    assert "group1-shard1of4.bin, group1-shard2of4.bin" in message and "bytes of weights are expected" in message
    second.unlink()
    assert "group1-shard2of4.bin, with a part of the weights, is missing" in refusal(network(), path)


@pytest.mark.parametrize(
    ("of", "change", "message"),
    [
        ("model", {"format": "graph-model"}, "is a TensorFlow.js graph model"),
        ("model", {"weightsManifest": None}, "has no weightsManifest"),
        ("model", {"modelTopology": {"config": {"layers": [1]}}}, "description of the weights is damaged"),
        ("layer", {"epsilon": "small"}, "description of the weights is damaged"),
        ("group", {"paths": None}, "does not list its files"),
        ("group", {"paths": ["../x.bin"]}, "'../x.bin', which is not below its folder"),
        ("group", {"paths": ["/x.bin"]}, "'/x.bin', which is not below its folder"),
        ("group", {"weights": None}, "description of the weights is damaged"),
        ("weight", {"dtype": "string"}, "elements of type string"),
        ("weight", {"shape": [-1]}, "the shape [-1]"),
        ("weight", {"quantization": {"dtype": "float32", "scale": 1.0}}, "description of the weights is damaged"),
    ],
)
def test_a_model_that_can_not_be_read_is_refused_in_words(tmp_path, of, change, message):
    path = layers_model.write(network(), tmp_path)
    content = json.loads(path.read_text())
    group = content["weightsManifest"][0]
    layer = content["modelTopology"]["model_config"]["config"]["layers"][-1]["config"]
    {"model": content, "layer": layer, "group": group, "weight": group["weights"][-1]}[of].update(change)
    path.write_text(json.dumps(content))
    assert message in refusal(network(), path)


@pytest.mark.parametrize("text", [b"nothing of the kind", b"[1, 2]", b"\xff", b""])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "model.json"
    path.write_bytes(text)
    assert "model.json of a" in refusal(network(), path)


def test_the_field_is_named_when_a_backbone_is_built(tmp_path):
    from config.backbone import BackboneConfig

    path = layers_model.write(network(), tmp_path)
    config = BackboneConfig(name="MobileNetV2", image_size=32, weights=str(path))
    with pytest.raises(BackboneError, match=r"^backbone\.weights: .*doesn't fit mobilenetv2.*Conv1 is missing"):
        builders.load(config)


# The cache key.


def test_a_fingerprint_covers_the_shards_and_nothing_else(tmp_path):
    path = layers_model.write(network(), tmp_path / "one", shard_bytes=300)
    first = tensorflow_js.fingerprint(str(path))
    (tmp_path / "one" / "README.md").write_text("other files beside it")
    assert tensorflow_js.fingerprint(str(path)) == first
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert tensorflow_js.fingerprint(str(tmp_path / "two" / "model.json")) == first
    shard = tmp_path / "one" / "group1-shard3of4.bin"
    shard.write_bytes(shard.read_bytes()[::-1])
    assert tensorflow_js.fingerprint(str(path)) != first
    shard.unlink()
    with pytest.raises(tensorflow_js.TensorFlowJsError, match=r"group1-shard3of4\.bin.* is missing"):
        tensorflow_js.fingerprint(str(path))


@pytest.mark.parametrize("name", ["net.h5", "facts.json", "folder.json"])
def test_a_fingerprint_of_anything_else_is_that_of_the_file(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name.startswith("folder") else path.write_text('{"feature": 1}')
    assert tensorflow_js.fingerprint(str(path)) == files.fingerprint(path)
