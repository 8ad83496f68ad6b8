"""The user's own backbones: SavedModel feature extractors, and Keras model files cut at a layer."""

from __future__ import annotations

import keras
import tensorflow as tf

from config.errors import BackboneError, shortened
from modules.backbones import keras_file, layer_cut

_SIGNATURE = "serving_default"


def from_saved_model(directory: str, image_size: int) -> keras.Model:
    """Makes a backbone of a feature extractor in SavedModel format, as TF Hub and KerasHub export them.

    It is used through its signature `serving_default` or, if it has none, by being called; it is never trained.

    Args:
      directory: the SavedModel's folder.
      image_size: height and width of the input, pixels.

    Returns:
      a functional model from float32 [batch, image_size, image_size, 3] to float32 [batch, height, width, channels] or
      [batch, features].

    Raises:
      BackboneError: if it can't be loaded, doesn't take such images, or gives something else.
    """
    try:
        loaded = tf.saved_model.load(directory)
    except Exception as error:  # TensorFlow's loader raises what it meets: OSError, ValueError, DecodeError, …
        raise BackboneError(f"{directory}: can't be loaded as a SavedModel ({shortened(error)})") from None
    endpoint = _endpoint(loaded, directory, image_size)
    try:
        layer = keras.layers.TFSMLayer(directory, call_endpoint=endpoint, name="saved_model")
        layer.trainable = False
        given = layer(tf.zeros((2, image_size, image_size, 3)))
    except Exception as error:  # the user's graph may raise anything
        raise BackboneError(
            f"{directory}: can't be used on images of {image_size}x{image_size} as a SavedModel feature extractor "
            f"({shortened(error)})"
        ) from None
    outputs = list(given.values()) if isinstance(given, dict) else [given]
    if len(outputs) != 1 or not outputs[0].dtype.is_floating or outputs[0].shape.rank not in (2, 4):
        found = [(str(output.dtype.name), (None, *output.shape[1:])) for output in outputs]
        raise BackboneError(
            f"{directory}: one float output is expected, [batch, features] or [batch, height, width, channels]. "
            f"Received: {found}"
        )
    image = keras.Input((image_size, image_size, 3), name="image")
    features = layer(image)
    features = next(iter(features.values())) if isinstance(features, dict) else features
    # Signatures often leave sizes open; heads need them.
    features = keras.layers.Reshape(tuple(outputs[0].shape[1:]), name="features")(features)
    return keras.Model(image, features, name="saved_model_backbone")


def _endpoint(loaded: object, directory: str, image_size: int) -> str:
    """The name of the signature to call; refuses one that does not take batches of such images."""
    signatures = getattr(loaded, "signatures", {})
    if _SIGNATURE not in signatures:
        if callable(loaded):
            return "__call__"
        raise BackboneError(
            f"{directory}: a signature {_SIGNATURE} is expected, or a model that can be called. Its signatures: "
            f"{sorted(signatures) or 'none'}"
        )
    specs = list(signatures[_SIGNATURE].structured_input_signature[1].values())
    wanted = (None, image_size, image_size, 3)
    fits = len(specs) == 1 and specs[0].dtype == tf.float32 and specs[0].shape.is_compatible_with(wanted)
    if not fits or (specs[0].shape.rank and specs[0].shape[0] is not None):
        found = ", ".join(f"{spec.dtype.name} {_shape(spec.shape)}" for spec in specs) or "nothing"
        raise BackboneError(
            f"{directory}: its signature {_SIGNATURE} takes {found}; one float32 {_shape(wanted)} is expected: "
            "batches of any size, of images of backbone.image_size"
        )
    return _SIGNATURE


def from_keras_model(path: str, layer: str, image_size: int) -> keras.Model:
    """Makes a backbone of a Keras model file, cut behind one of its layers.

    Args:
      path: a `.keras` file of a functional or sequential model, which may contain such models as layers.
      layer: name of the layer whose output is the features, see `layer_cut.cut`.
      image_size: height and width of the input, pixels.

    Returns:
      a flat functional model from float32 [batch, image_size, image_size, 3] to the layer's output, float32.

    Raises:
      BackboneError: if it can't be loaded, isn't such a model, has no such layer, takes other images, or gives
        something else than features.
    """
    model = keras_file.load(path)
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, image_size, image_size, 3))
    if not layer_cut.is_graph(model):
        raise BackboneError(
            f"{path}: a functional or sequential model is expected; the layers of others can't be known. Export it "
            "with model.export(folder), and set backbone.saved_model to that folder. "
            f"Received: {type(model).__name__}"
        )
    if len(model.inputs) != 1:
        raise BackboneError(
            f"{path}: one input is expected, images. Received: {[_shape(tensor.shape) for tensor in model.inputs]}"
        )
    shape = tuple(model.inputs[0].shape)
    wanted = (None, image_size, image_size, 3)
    if len(shape) != 4 or any(have not in (None, want) for have, want in zip(shape, wanted, strict=True)):
        raise BackboneError(
            f"{path}: takes {shape}, not images of {image_size}x{image_size}x3"
            + ("; set backbone.image_size" if shape[-1:] in ((3,), (None,)) and len(shape) == 4 else "")
        )
    # Heads need to know the features' size, so the input has one, also if the model takes images of any size.
    image = keras.Input(wanted[1:], name="image")
    try:
        return _with_float_features(layer_cut.cut(model, layer, image), layer)
    except BackboneError as error:
        raise BackboneError(f"{path}: {error}") from None
    except Exception as error:  # a layer may refuse images of this size with an error of any type
        raise BackboneError(
            f"{path}: can't be used on images of {image_size}x{image_size} ({shortened(error)})"
        ) from None


def _with_float_features(backbone: keras.Model, layer: str) -> keras.Model:
    """The backbone, with its features as float32; models that were trained in mixed precision give float16."""
    features = backbone.output
    if len(features.shape) not in (2, 4) or not keras.backend.is_float_dtype(features.dtype):
        raise BackboneError(
            f"the layer {layer!r} gives {features.dtype} {_shape(features.shape)}; floats [batch, features] or [batch, "
            "height, width, channels] are expected, so choose another layer"
        )
    if features.dtype == "float32":
        return backbone
    return keras.Model(backbone.input, keras.layers.Identity(dtype="float32")(features), name=backbone.name)


def _shape(shape: object) -> str:
    return "[" + ", ".join("any" if side is None else str(side) for side in shape) + "]"  # type: ignore[attr-defined]
