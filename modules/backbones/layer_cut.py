"""Cuts a Keras model behind one of its layers, also where that layer is in a model inside the model.

A textbook classifier has its pretrained network as one layer. What is left is a flat model: the layers of inner models
are its own, so that fine-tuning can count them and BatchNorm stays frozen.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import keras

from config.errors import BackboneError

Path = tuple[str, ...]  # names of layers, from the outside to the inside

_SHOWN = 8  # names in a message


def cut(model: keras.Model, layer: str, image: keras.KerasTensor) -> keras.Model:
    """Cuts a model behind a layer.

    Args:
      model: functional or sequential, with one input. It shares its layers with the result, and can't be used any more,
        because layers of inner models that have the same name as another layer are renamed.
      layer: name of the layer whose output is wanted; if it is in an inner model, its name alone, or `inner/layer` if
        there are several of that name.
      image: the input of the result; the model must take it.

    Returns:
      a flat functional model from `image` to the layer's output.

    Raises:
      BackboneError: if there is no such layer, or not one; if it is used several times; or if it has several outputs.
    """
    outputs = _flatten(model, [image], _find(model, layer))
    if len(outputs) != 1:
        raise BackboneError(f"the layer {layer!r} has {len(outputs)} outputs; choose a layer with one")
    _rename(model, image)
    return keras.Model(image, outputs[0], name=f"{model.name}_to_{layer.replace('/', '_')}")


def _find(model: keras.Model, layer: str) -> Path:
    paths = list(_paths(model))
    wanted = tuple(layer.split("/"))
    found = [path for path in paths if path == wanted] or [path for path in paths if path[-len(wanted) :] == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join("/".join(path) for path in found[:_SHOWN])
        raise BackboneError(f"has several layers {layer!r}; choose one of {names}")
    last: dict[Path, list[str]] = {}
    for path in paths:
        last.setdefault(path[:-1], []).append(path[-1])
    inside = "".join(f"; those of {'/'.join(at)!r}: {', '.join(names[-_SHOWN:])}" for at, names in last.items() if at)
    raise BackboneError(f"has no layer {layer!r}; its last ones are {', '.join(last[()][-_SHOWN:])}{inside}")


def _paths(model: keras.Model) -> Iterator[Path]:
    for layer in model.layers:
        yield (layer.name,)
        if is_graph(layer):
            yield from ((layer.name, *path) for path in _paths(layer))


def is_graph(layer: object) -> bool:
    """Whether a layer is a model whose layers and their connections are known."""
    return isinstance(layer, keras.Sequential) or (isinstance(layer, keras.Model) and hasattr(layer, "operations"))


def _flatten(model: keras.Model, inputs: list[keras.KerasTensor], to: Path = ()) -> list[keras.KerasTensor]:
    """Calls the operations of a model, and those of its inner models, one by one.

    Args:
      model: functional or sequential.
      inputs: one for each of its inputs.
      to: path of the last layer; empty for the model's own outputs.

    Returns:
      the outputs of that layer.
    """
    known = {id(tensor): given for tensor, given in zip(model.inputs, inputs, strict=True)}
    graph = model._functional if isinstance(model, keras.Sequential) else model
    nodes = [node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]]
    calls = [node for node in nodes if not node.is_input]
    if to and sum(node.operation.name == to[0] for node in calls) > 1:
        raise BackboneError(f"the layer {to[0]!r} is used several times; choose a layer that is used once")
    for node in calls:
        if any(id(tensor) not in known for tensor in node.input_tensors):
            continue  # behind another layer that has not been called, because it is behind the wanted one
        is_last = bool(to) and node.operation.name == to[0]
        arguments, options = node.arguments.fill_in(known)
        if is_graph(node.operation):
            given = keras.tree.flatten(arguments[0])
            outputs = _flatten(node.operation, given, to[1:] if is_last else ())
        else:
            if "training" in inspect.signature(node.operation.call).parameters:
                options["training"] = False  # unless they are told so, augmentation layers are random
            outputs = keras.tree.flatten(node.operation(*arguments, **options))
        if is_last:
            return outputs
        known |= {id(tensor): output for tensor, output in zip(node.outputs, outputs, strict=True)}
    if to:
        raise BackboneError(f"the layer {to[0]!r} does not depend on the images; choose another")
    return [known[id(tensor)] for tensor in graph.outputs]


def _rename(model: keras.Model, image: keras.KerasTensor) -> None:
    """Gives every layer a name of its own: an inner model may have layers of the same names as the outer one."""
    taken: dict[str, object] = {image.name: image}
    for prefix, operation in _operations(model, ()):
        while taken.setdefault(operation.name, operation) is not operation:
            operation.name = "_".join((*prefix, operation.name) if prefix else (model.name, operation.name))


def _operations(model: keras.Model, prefix: Path) -> Iterator[tuple[Path, keras.Operation]]:
    graph = model._functional if isinstance(model, keras.Sequential) else model
    for operation in graph.operations:
        if is_graph(operation):
            yield from _operations(operation, (*prefix, operation.name))
        else:
            yield prefix, operation
