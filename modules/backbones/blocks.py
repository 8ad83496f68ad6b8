"""The blocks of a backbone: pooled features of all of them tell more than those of the last alone.

Evci et al., Head2Toe, https://arxiv.org/abs/2201.03529.
"""

from __future__ import annotations

import math

import keras

from modules import trunk

# Features of all blocks together, as long as each resolution has a block left: a fit takes time with their square.
MOST_FEATURES = 4096

ALL = "all"
FEATURES = "block_features"  # name of the layer that gives them
_AVERAGE = "block{}_average"  # names of the layers that pool


def pooled(backbone: keras.Model, blocks: str | None) -> keras.Model:
    """A backbone that gives the averages of feature maps as one vector.

    Args:
      backbone: functional, from images to a feature map, or to a vector, which is taken as it is.
      blocks: `all`: of the maps at the ends of its blocks, see `ends`; `last`: of its output; None: nothing is pooled.

    Returns:
      a model of the same name and input, to float32 [batch, features].
    """
    if blocks is None:
        return backbone
    chosen = ends(backbone) if blocks == ALL else [backbone.output]
    vectors = [
        keras.layers.GlobalAveragePooling2D(name=_AVERAGE.format(index))(tensor) if len(tensor.shape) == 4 else tensor
        for index, tensor in enumerate(chosen)
    ]
    joined = keras.layers.Concatenate(name=FEATURES)(vectors) if len(vectors) > 1 else vectors[0]
    return keras.Model(backbone.input, joined, name=backbone.name)


def widths(backbone: keras.Model) -> tuple[int, ...]:
    """How many features are of each block, from the input on.

    Args:
      backbone: as `pooled` gives it, with blocks.
    """
    if not any(layer.name == FEATURES for layer in backbone.layers):
        return (backbone.output.shape[-1],)
    return tuple(tensor.shape[-1] for tensor in backbone.get_layer(FEATURES).input)


def maps(backbone: keras.Model) -> list[keras.KerasTensor]:
    """All feature maps at the ends of blocks, from the input on; none if there is none.

    Args:
      backbone: from images to a feature map or a vector, or as `pooled` gives it.
    """
    names = {_AVERAGE.format(index) for index in range(len(backbone.layers))}
    pooled_maps = [layer.input for layer in backbone.layers if layer.name in names]
    if pooled_maps:
        backbone = keras.Model(backbone.input, pooled_maps[-1])
    return [tensor for tensor in _all_ends(backbone) if len(tensor.shape) == 4]


def ends(backbone: keras.Model) -> list[keras.KerasTensor]:
    """Feature maps at the ends of blocks, from the input on; the backbone's output is the last.

    A block ends where a single tensor connects what is before with what is behind. Of such tensors in a row, those
    count that are local minima of size: a bottleneck, or what is left after pooling. Gates (a tensor times a function
    of itself) do not end a row. If there are more than MOST_FEATURES channels, each resolution keeps only its last
    ends, as many as possible, but at least one. In networks whose cells take the outputs of two cells before them
    (NASNet), no single tensor connects the cells; only the stem and the last map count.
    """
    return _fewer(_all_ends(backbone))


def _all_ends(backbone: keras.Model) -> list[keras.KerasTensor]:
    rows: list[list[keras.KerasTensor]] = []
    learned = False  # pixels, scaled or not, are no features
    for node, tensor in trunk.single_tensors(backbone):
        if node is None or (rows and rows[-1][-1] is tensor):
            continue
        learned = learned or any(len(weight.shape) > 1 for weight in getattr(node.operation, "weights", ()))
        if not learned or len(tensor.shape) != 4:
            continue
        goes_on = len(node.input_tensors) == 1 or isinstance(node.operation, keras.layers.Multiply)
        if rows and goes_on and any(one is rows[-1][-1] for one in node.input_tensors):
            rows[-1].append(tensor)
        else:
            rows.append([tensor])
    found = [tensor for row in rows for tensor in _smallest(row) if tensor is not backbone.output]
    return [*found, backbone.output]


def _smallest(row: list[keras.KerasTensor]) -> list[keras.KerasTensor]:
    """Those with fewer values than the ones before and behind; of equal ones in a row, the last."""
    sizes = [math.inf, *(math.prod(tensor.shape[1:]) for tensor in row), math.inf]
    found, falls = [], True
    for index, tensor in enumerate(row, start=1):
        if sizes[index] != sizes[index - 1]:
            falls = sizes[index] < sizes[index - 1]
        if falls and sizes[index + 1] > sizes[index]:
            found.append(tensor)
    return found


def _fewer(tensors: list[keras.KerasTensor]) -> list[keras.KerasTensor]:
    """The last ones of each height and width, so many that there are at most MOST_FEATURES channels."""
    by_size: dict[tuple[int, ...], list[keras.KerasTensor]] = {}
    for tensor in tensors:
        by_size.setdefault(tuple(tensor.shape[1:-1]), []).append(tensor)
    for count in range(max(map(len, by_size.values())), 0, -1):
        kept = {id(tensor) for group in by_size.values() for tensor in group[-count:]}
        chosen = [tensor for tensor in tensors if id(tensor) in kept]
        if count == 1 or sum(tensor.shape[-1] for tensor in chosen) <= MOST_FEATURES:
            break
    return chosen
