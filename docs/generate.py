"""Writes the pages that are tables of what the code says: `make docs`. A test fails if one is stale."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path

import yaml

from modules import backbones, heads
from pipeline.config import Config
from pipeline.section import Section, section_of

if typing.TYPE_CHECKING:
    import keras

FOLDER = Path(__file__).parent


def configuration() -> str:
    """The page on the configuration: every field, in the order of pipeline/config.py."""
    lines = [
        "# Configuration",
        "",
        "One YAML file describes a run. This page is made from `pipeline/config.py` by `make docs`.",
        "",
        "Unknown fields, a field given twice, wrong types and values out of range are refused before any stage starts,",
        "with the field's path, what was given and what is allowed. Relative paths are relative to the file.",
        "",
        "```yaml",
        _example(),
        "```",
    ]
    for path, section in _sections("", Config):
        lines += ["", f"## {path or 'The file'}", ""]
        if path:
            lines += [_text(section.__doc__), ""]
        lines += ["| field | meaning |", "|---|---|"]
        for name, field in section.model_fields.items():
            nested = section_of(field.annotation)
            meaning = _text(field.description or (nested.__doc__ if nested else ""))
            if nested:
                meaning += f" See [{_join(path, name)}](#{_join(path, name).replace('.', '')})."
            lines.append(f"| `{field.alias or name}` | {meaning}{_values(field.annotation, meaning)} |")
    return "\n".join(lines) + "\n"


def _values(annotation: object, meaning: str) -> str:
    """The values that a field may take, where its meaning doesn't name them all."""
    parts = [annotation, *typing.get_args(annotation)]
    values = [value for part in parts if typing.get_origin(part) is typing.Literal for value in typing.get_args(part)]
    unnamed = [value for value in values if f"`{value}`" not in meaning]
    return f" One of {', '.join(f'`{value}`' for value in values)}." if unnamed else ""


def backbones_page() -> str:
    """The page on the backbones: the table of modules/backbones.py, each row built once to measure it."""
    import keras

    lines = []
    for row in backbones.BACKBONES.values():
        lines.append(backbone_line(row, backbones.build(row.name, SIZE, backbones.NONE)))
        keras.backend.clear_session()
    return backbones_text(lines)


def backbone_line(row: backbones.Backbone, model: keras.Model) -> str:
    """One line of the table; `model` is the backbone, built for images of SIZE."""
    shape = "×".join(map(str, model.output_shape[1:]))
    weights = ", ".join([*row.weights, *(f"`{suffix}` file" for suffix in row.weight_files)])
    return (
        f"| {row.name} | {row.image_size} | {row.min_image_size} | {model.count_params():,} | {shape} | "
        f"{row.preprocessing} | {row.interpolation} | {weights} |"
    )


def backbones_text(table: list[str]) -> str:
    """The page around the table's lines."""
    lines = [
        "# Backbones",
        "",
        "Every row is one value of `backbone.name`. This page is made from `modules/backbones.py` by `make docs`: parameters",
        f"and feature maps are those of the backbone as built, without its classification top, at {SIZE} pixels.",
        "",
        "| name | native size | smallest | parameters | feature map | preprocessing | interpolation | weights |",
        "|---|---|---|---|---|---|---|---|",
        *table,
    ]
    return "\n".join(lines) + _BACKBONES_TEXT


def heads_page() -> str:
    """The page on the heads: the table of modules/heads.py, measured on a feature map of EfficientNetLite0."""
    lines = [
        "# Heads",
        "",
        "Every row is one value of `head.kind`. This page is made from `modules/heads.py` by `make docs`. Parameters are those",
        f"on the {'×'.join(map(str, _FEATURES))} feature map of EfficientNetLite0 at 160 pixels, for 3 classes and the",
        "default options.",
        "",
        "| kind | what it is for | when it is too much | parameters | its own options |",
        "|---|---|---|---|---|",
    ]
    for kind, row in heads.HEADS.items():
        parameters = "yours"
        if kind != "custom":
            model = heads.build(heads.HeadOptions(kind=kind), _FEATURES, 3, seed=0)
            parameters = f"{model.count_params():,}"
        options = ", ".join(f"`{option}`" for option in row.options) or "none"
        lines.append(f"| `{kind}` | {row.purpose} | {row.too_much} | {parameters} | {options} |")
    return "\n".join(lines) + _HEADS_TEXT


SIZE = 160
_FEATURES = (5, 5, 1280)

_BACKBONES_TEXT = """

- **Native size** is what the ImageNet weights were trained at; any size from the smallest on works, and 160 is the
  default: faster, and a little less accurate.
- **Preprocessing** turns RGB pixels in [0, 255] into what the weights were trained on: `raw` leaves them (the model's own
  first layers scale them), `tf` is [-1, 1], `torch` is [0, 1] less ImageNet's mean by its deviation, `caffe` is BGR less
  ImageNet's mean, `lite` is (x - 127) / 128. It is part of the transform graph, in training and in serving; tests hold each
  row's against the library's own `preprocess_input`.
- **Interpolation**: bicubic where the authors' own preprocessing is (EfficientNet, EfficientNet-Lite, ConvNeXt), bilinear
  otherwise. Images that shrink are antialiased. Authors mostly crop the centre of the image; the default here is to stretch
  it (`backbone.aspect: resize`), since what tells classes apart may lie at the edge. `crop` and `pad` are the alternatives.
- **Weights**: `imagenet` is downloaded and cached by Keras at first use and needs a network then. `bundled` comes with
  the installation. `none` is random, always the same. A file may be `.weights.h5`, `.keras` or `.h5`, saved with or without the
  classification top; what doesn't fit is named layer by layer, and nothing is left at random.

## A SavedModel feature extractor

```yaml
backbone: {saved_model: extractors/my_net, image_size: 224, preprocessing: unit}
training: {fine_tune: null}
```

Any SavedModel that takes float32 images and answers with one float tensor, [batch, features] or [batch, height, width,
channels], through `serving_default` or by being called: what TF Hub publishes and KerasHub exports. One that answers with
vectors takes the heads `dense`, `hidden` and `custom`. It is never trained itself.

## A Keras model file

```yaml
backbone: {keras_model: my_net.keras, layer: block5_out, image_size: 224, preprocessing: tf}
```

The model is cut behind the named layer. Phase 2 can train its top layers like any backbone's.
"""

_HEADS_TEXT = """

All kinds end in a dense layer over the classes. `pooling` (average, max, or the generalised mean `gem`), `dropout`, `l2`,
`initializer` and `output` go with every kind; see [configuration.md](configuration.md).

A head whose parameters outnumber the training images by more than 5,000 to one draws a warning with both numbers and the
smaller heads on offer. A conv head on a backbone that yields vectors, or on a feature map smaller than its kernel, is
refused.

A custom head is a function of your own, importable where the pipeline runs:

```python
# my_package/heads.py
from keras import layers


def attention(features):  # a Keras tensor [batch, height, width, channels]
    weights = layers.Softmax(axis=(1, 2))(layers.Conv2D(1, 1)(features))
    return layers.GlobalAveragePooling2D()(features * weights)
```

```yaml
head: {kind: custom, function: my_package.heads.attention}
```
"""

PAGES = {"configuration.md": configuration, "backbones.md": backbones_page, "heads.md": heads_page}


def _example() -> str:
    defaults = Config.model_validate({"name": "fruit", "data": {"path": "photos/fruit"}})
    return yaml.safe_dump(defaults.model_dump(by_alias=True), sort_keys=False, default_flow_style=None).strip()


def _sections(path: str, section: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    yield path, section
    for name, field in section.model_fields.items():
        if nested := section_of(field.annotation):
            yield from _sections(_join(path, name), nested)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _text(docstring: str | None) -> str:
    return " ".join((docstring or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    for page, make in PAGES.items():
        (FOLDER / page).write_text(make(), encoding="utf-8")
