"""Models inside of models: what is cut, and that it computes what the whole model computed."""

import zipfile

import keras
import numpy as np
import pytest
from keras import layers, ops

from config.backbone import BackboneConfig
from config.errors import BackboneError
from config.loading import Origin
from config.training import Layers
from modules import trunk
from modules.backbones import builders, custom, freezing

SIZE = 32
IMAGES = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3)).astype("f4")


def base(name: str = "base", side: int | None = SIZE, pooling: bool = False) -> keras.Model:
    """A network with BatchNorm, whose statistics are not those of a new layer."""
    image = keras.Input((side, side, 3))
    x = layers.Rescaling(1 / 127.5, -1.0)(image)
    x = layers.Conv2D(4, 3, 2, padding="same", name="first")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Add(name="sum")([x, layers.Conv2D(4, 1, name="side")(x)])
    x = layers.Dropout(0.5, name="drop")(x)
    x = layers.Conv2D(6, 3, 2, padding="same", name="second")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x) if pooling else x
    return shaken(keras.Model(image, x, name=name))


def shaken(model: keras.Model) -> keras.Model:
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 1.0, weight.shape).astype("f4") for weight in model.get_weights()])
    return model


def head(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Dropout(0.3, name="drop")(layers.GlobalAveragePooling2D(name="gap")(x))
    return layers.Dense(3, name="dense")(x)


def sequential() -> keras.Model:
    return keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), base(), layers.GlobalAveragePooling2D(name="gap"), layers.Dense(3, name="dense")]
    )


def without_an_input() -> keras.Model:
    model = keras.Sequential([base(), layers.GlobalAveragePooling2D(name="gap"), layers.Dense(3, name="dense")])
    model(IMAGES)
    return model


def functional() -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.RandomFlip(name="flip")(image)
    x = layers.RandomRotation(0.2, name="turn")(x)
    return keras.Model(image, head(base()(x, training=False)))


def prepared() -> keras.Model:
    """Augmentation as a model of its own, and arithmetic on the pixels."""
    image = keras.Input((None, None, 3))
    augmentation = keras.Sequential([layers.RandomZoom(0.2), layers.RandomContrast(0.3)], name="augmentation")
    return keras.Model(image, head(base(side=None)(augmentation(image) / 2.0 + 1.0)))


def twice_nested() -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3))
    middle = keras.Model(image, layers.Conv2D(5, 1, name="first")(base()(image)), name="middle")
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), middle, layers.GlobalAveragePooling2D()])


def adapted() -> keras.Model:
    """Normalization keeps what it has learned beside its weights, too."""
    normalization = layers.Normalization(name="normalization")
    normalization.adapt(IMAGES)
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, head(base()(normalization(image))))


def inner(model: keras.Model, *path: str) -> keras.Model:
    for name in path:
        model = model.get_layer(name)
    return model


MODELS = [sequential, without_an_input, functional, prepared, adapted]


def saved(model: keras.Model, tmp_path) -> str:
    model.save(tmp_path / "own.keras")
    return str(tmp_path / "own.keras")


def expected(model: keras.Model, layer: str) -> np.ndarray:
    """What the layer `base`, or one inside of it, gives inside of the whole model."""
    outer = {name: model.get_layer(name) for name in ("augmentation", "normalization") if name in names(model)}
    x = ops.convert_to_tensor(IMAGES)
    if "augmentation" in outer:
        x = x / 2.0 + 1.0
    x = outer["normalization"](x) if "normalization" in outer else x
    network = model.get_layer("base")
    wanted = network if layer == "base" else keras.Model(network.input, network.get_layer(layer).output)
    return np.asarray(wanted(x, training=False))


def names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers]


@pytest.mark.parametrize("layer", ["base", "second", "sum", "base/relu"])
@pytest.mark.parametrize("make", MODELS)
def test_a_cut_gives_what_the_whole_model_gives_there(tmp_path, make, layer):
    model = make()
    backbone = custom.from_keras_model(saved(model, tmp_path), layer, SIZE)
    want = expected(model, layer.removeprefix("base/"))
    np.testing.assert_array_equal(np.asarray(backbone(IMAGES, training=False)), want)
    assert backbone.output.shape == (None, *want.shape[1:])
    assert not any(hasattr(inner, "layers") for inner in backbone.layers), "it is flat"
    trained = [] if layer != "base" else freezing.unfreeze_top(backbone, 1)
    assert trained == ([] if layer != "base" else ["second"])


@pytest.mark.parametrize(("layer", "path"), [("middle", ("middle",)), ("base", ("middle", "base"))])
def test_models_in_models_in_models(tmp_path, layer, path):
    model = twice_nested()
    backbone = custom.from_keras_model(saved(model, tmp_path), layer, SIZE)
    want = inner(model, *path)(IMAGES, training=False)
    np.testing.assert_array_equal(np.asarray(backbone(IMAGES, training=False)), np.asarray(want))
    assert len(set(names(backbone))) == len(backbone.layers), "two layers are called first"


def test_a_name_that_several_models_have_needs_its_model(tmp_path):
    model = twice_nested()
    path = saved(model, tmp_path)
    with pytest.raises(BackboneError, match=r"several layers 'first'; choose one of middle/base/first, middle/first"):
        custom.from_keras_model(path, "first", SIZE)
    backbone = custom.from_keras_model(path, "middle/first", SIZE)
    np.testing.assert_array_equal(np.asarray(backbone(IMAGES)), np.asarray(inner(model, "middle")(IMAGES)))
    with pytest.raises(BackboneError, match=r"no layer 'base/third'; .*; those of 'middle/base': .*norm.*second"):
        custom.from_keras_model(path, "base/third", SIZE)


def test_fine_tuning_counts_the_layers_of_the_inner_model_and_leaves_batch_norm_alone(tmp_path):
    backbone = custom.from_keras_model(saved(functional(), tmp_path), "base", SIZE)
    want = np.asarray(backbone(IMAGES, training=False))
    lower, upper = trunk.cut_backbone(backbone, 6)
    assert [layer.name for layer in upper.layers if layer.weights] == ["side", "second"]
    np.testing.assert_array_equal(np.asarray(upper(lower(IMAGES))), want, "augmentation and dropout are off")
    assert freezing.unfreeze_top(backbone, "all") == ["first", "side", "second"]


@keras.saving.register_keras_serializable("tests")
class Block(layers.Layer):
    """A layer of layers, whose BatchNorm is not in the list of the model's layers."""

    def __init__(self, **options):
        super().__init__(**options)
        self.convolution, self.norm = layers.Conv2D(4, 3, name="inside"), layers.BatchNormalization(name="inside_norm")

    def build(self, shape):
        self.convolution.build(shape)
        self.norm.build(self.convolution.compute_output_shape(shape))

    def call(self, x, training=None):
        return self.norm(self.convolution(x), training=training)

    def compute_output_shape(self, shape):
        return self.convolution.compute_output_shape(shape)


def test_batch_norm_inside_of_a_layer_stays_frozen_too(tmp_path):
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), Block(name="block"), layers.ReLU(name="end")])
    backbone = custom.from_keras_model(saved(shaken(model), tmp_path), "end", SIZE)
    np.testing.assert_array_equal(np.asarray(backbone(IMAGES, training=False)), np.asarray(model(IMAGES)))
    assert freezing.unfreeze_top(backbone, "all") == ["block"]
    assert {weight.path.split("/")[-2] for weight in backbone.trainable_weights} == {"inside"}


def test_a_model_of_any_size_gets_the_size_and_one_of_another_size_is_refused(tmp_path):
    path = saved(prepared(), tmp_path)
    assert custom.from_keras_model(path, "base", 48).output.shape == (None, 12, 12, 6)
    path = saved(sequential(), tmp_path)
    with pytest.raises(BackboneError, match=r"takes \(None, 32, 32, 3\), not images of 48x48x3; set backbone\.image_s"):
        custom.from_keras_model(path, "base", 48)


def test_a_model_in_mixed_precision_gives_float32(tmp_path):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = sequential()
    finally:
        keras.config.set_dtype_policy(policy)
    backbone = custom.from_keras_model(saved(model, tmp_path), "base", SIZE)
    want = np.asarray(model.get_layer("base")(IMAGES, training=False))
    assert want.dtype == np.float16 and backbone.output.dtype == "float32"
    np.testing.assert_array_equal(np.asarray(backbone(IMAGES, training=False)), want.astype("f4"))


def shared() -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3))
    network = base(pooling=True)
    return keras.Model(image, layers.Dense(2)(layers.Concatenate()([network(image), network(1.0 - image)])))


def tokens() -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, layers.Reshape((-1, 6), name="tokens")(base()(image)))


@pytest.mark.parametrize(
    ("make", "layer", "message"),
    [
        (shared, "base", r"own\.keras: the layer 'base' is used several times; choose a layer that is used once"),
        (shared, "second", r"the layer 'base' is used several times"),
        (tokens, "tokens", r"'tokens' gives float32 \[any, 64, 6\]; floats \[batch, features\] or"),
    ],
)
def test_a_layer_that_does_not_give_features_is_refused(tmp_path, make, layer, message):
    with pytest.raises(BackboneError, match=message):
        custom.from_keras_model(saved(make(), tmp_path), layer, SIZE)


def test_a_shared_network_can_be_cut_behind_both_of_its_uses(tmp_path):
    model = shared()
    backbone = custom.from_keras_model(saved(model, tmp_path), model.layers[-2].name, SIZE)
    network = model.get_layer("base")
    want = np.concatenate([network(IMAGES), network(1.0 - IMAGES)], axis=1)
    np.testing.assert_array_equal(np.asarray(backbone(IMAGES, training=False)), want)


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.only = layers.Conv2D(4, 3)

    def get_config(self):
        return {"name": self.name}

    def call(self, x):
        return self.only(x)


def test_a_subclassed_model_is_refused_and_one_inside_of_a_model_is_a_layer(tmp_path):
    model = Subclassed(name="own")
    model(IMAGES)
    with pytest.raises(BackboneError, match=r"functional or sequential.*model\.export\(folder\).*Received: Subclassed"):
        custom.from_keras_model(saved(model, tmp_path), "only", SIZE)
    around = keras.Sequential([keras.Input((SIZE, SIZE, 3)), model, layers.Flatten(name="flat")])
    backbone = custom.from_keras_model(saved(around, tmp_path), "own", SIZE)
    np.testing.assert_array_equal(np.asarray(backbone(IMAGES)), np.asarray(model(IMAGES)))
    with pytest.raises(BackboneError, match=r"has no layer 'only'"):
        custom.from_keras_model(saved(around, tmp_path), "only", SIZE)


class Unknown(layers.Layer):
    def call(self, x):
        return x


def double(x):
    return 2 * x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda folder: layers.Lambda(lambda x: x * 2, name="twice"),
            r"own\.keras: contains Lambda layers \(twice\): their Python code is not run.*Rescaling.*export.*saved_m",
        ),
        (lambda folder: layers.Lambda(double, name="double", output_shape=(8, 8, 6)), r"Lambda layers \(double\)"),
        (lambda folder: Unknown(name="mine"), r"contains classes that are not Keras' own \(Unknown\).*saved_model"),
        (
            lambda folder: layers.TFSMLayer(folder, call_endpoint="serve", name="graph"),
            r"run a graph outside of the file \(graph\).*set backbone\.saved_model to its folder",
        ),
    ],
)
def test_a_file_that_needs_code_is_refused_with_what_to_do(tmp_path, monkeypatch, make, message):
    network = base()
    network.export(str(tmp_path / "exported"), verbose=False)
    image = keras.Input((SIZE, SIZE, 3))
    layer = make(str(tmp_path / "exported"))
    x = layer(image) if layer.name == "graph" else layer(network(image))
    path = saved(keras.Model(image, head(x)), tmp_path)
    monkeypatch.delattr(f"{__name__}.Unknown")
    monkeypatch.delattr(f"{__name__}.double")
    with pytest.raises(BackboneError, match=message):
        custom.from_keras_model(path, "base", SIZE)


def test_a_damaged_file_and_one_of_another_version_are_refused(tmp_path):
    (tmp_path / "own.keras").write_bytes(b"no zip")
    with pytest.raises(BackboneError, match=r"own\.keras: can't be loaded as a Keras model \("):
        custom.from_keras_model(str(tmp_path / "own.keras"), "base", SIZE)
    with zipfile.ZipFile(saved(sequential(), tmp_path)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["config.json"] = content["config.json"].replace(b'"Rescaling"', b'"TFOpLambda"')
    content["metadata.json"] = b'{"keras_version": "2.15.0"}'
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as archive:
        for name, part in content.items():
            archive.writestr(name, part)
    with pytest.raises(BackboneError, match=r"Keras 2\.15\.0 saved it, and this is .*Save it with this version; or, "):
        custom.from_keras_model(str(tmp_path / "old.keras"), "base", SIZE)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own.h5", r"convert this one: keras\.models\.load_model\('my\.h5'\)\.save\('my\.keras'\)"),
        ("own.weights.h5", "holds weights alone, so set name and weights"),
        ("folder", "this is a SavedModel, so set saved_model"),
        ("own.txt", "an existing .keras file is expected"),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"")
    section = {"keras_model": str(tmp_path / name), "layer": "base", "preprocessing": "raw"}
    with pytest.raises(ValueError, match=message):
        BackboneConfig.model_validate(section, context=Origin(tmp_path))


def test_a_textbook_model_of_a_known_network(tmp_path):
    network = keras.applications.MobileNetV2((SIZE, SIZE, 3), include_top=False, weights=None)
    network.trainable = False
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), network, layers.GlobalAveragePooling2D(), layers.Dense(2)])
    section = {"keras_model": saved(model, tmp_path), "layer": network.name, "image_size": SIZE, "preprocessing": "tf"}
    backbone = builders.load(BackboneConfig(**section))
    np.testing.assert_array_equal(
        np.asarray(backbone(IMAGES / 255, training=False)), np.asarray(network(IMAGES / 255, training=False))
    )
    count: Layers = 20
    assert freezing.unfreeze_top(backbone, count) == freezing.unfreeze_top(network, count)
