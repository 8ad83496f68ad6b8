"""One typed description of a run: what a YAML file may say, what each field means, and what is refused.

Importing this module, and loading a file, takes no time: neither TFX nor TensorFlow is imported.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import Field

from components.image_example_gen.settings import Settings
from modules import backbones, features, heads
from modules.errors import BadInputError
from pipeline.beam_section import Beam
from pipeline.data_section import Data
from pipeline.kubeflow_section import Kubeflow
from pipeline.section import ClassName, Section, is_elsewhere, section_of

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DEFAULT_BACKBONE = "EfficientNetLite0"
_MAX_IMAGE_SIZE = 1024
_FIELD = re.compile(r"[a-z]\w*(\.\w+)*: ")  # that a message begins with
_PATH_FIELDS = (
    *(("data", "path"), ("data", "root"), ("data", "schema"), ("push", "directory")),
    *(("backbone", "weights"), ("backbone", "saved_model"), ("backbone", "keras_model")),
)


def _is_weights_name(value: str) -> bool:
    return Path(value).suffix == "" and os.sep not in value


class Backbone(Section):
    """The pretrained network below the head.

    A row of the table in docs/backbones.md, a SavedModel feature extractor, or a Keras model file cut at a layer.
    """

    name: str | None = None
    """A row of docs/backbones.md. Default: EfficientNetLite0, if neither `saved_model` nor `keras_model` is given."""
    saved_model: str | None = None
    """Folder of a feature extractor in SavedModel format, as TF Hub and KerasHub export them; it can't be fine-tuned.
    Relative to the configuration file. Default: none."""
    keras_model: str | None = None
    """A `.keras` model file; needs `layer`. Relative to the configuration file. Default: none."""
    layer: str | None = None
    """With `keras_model`: the layer whose output the head is grafted on."""
    image_size: int = Field(160, ge=1, le=_MAX_IMAGE_SIZE)
    """Height and width that images are resized to, pixels; at least what the backbone takes, at most 1024;
    default 160."""
    weights: str | None = None
    """`bundled` (carried by an installed package), `imagenet` (downloaded by Keras at first use), `none` (random, the
    same ones each time), or a local weight file (`.h5`, `.weights.h5`, `.keras`; `.pth` for EfficientNetLite), with or
    without its classification top, relative to the configuration file. Default: the first that the backbone offers."""
    preprocessing: Literal["raw", "unit", "tf", "torch", "caffe", "lite"] | None = None
    """What the weights were trained to take, from RGB in [0, 255]: `raw` as it is, `unit` [0, 1], `tf` [-1, 1], `torch`
    (unit less ImageNet's mean, by its deviation), `caffe` (BGR less ImageNet's mean), `lite` (x - 127) / 128. Default:
    the table's; `unit` for a SavedModel, as TF Hub has it. A Keras model file needs it."""
    aspect: Literal["resize", "crop", "pad"] = "resize"
    """How an image becomes a square: `resize` stretches it, `crop` takes the largest square at its centre, `pad` fits
    it in whole and fills up with black. Default: resize, which loses nothing of the image."""
    interpolation: Literal["bilinear", "bicubic", "nearest", "area", "lanczos3"] | None = None
    """How pixels are resized; antialiased where the image shrinks. Default: the table's, as the family was trained;
    bilinear otherwise."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _defaults(cls, section: Any) -> Any:
        if not isinstance(section, dict):
            return section
        if section.get("saved_model") is None and section.get("keras_model") is None:
            filled = {"name": DEFAULT_BACKBONE, **section}
            row = backbones.BACKBONES.get(str(filled["name"]))
            own = {"weights": row.weights[0], "preprocessing": row.preprocessing} if row else {}
            own |= {"interpolation": row.interpolation} if row else {}
        else:
            filled, own = dict(section), {"interpolation": "bilinear"}
            own |= {"preprocessing": "unit"} if section.get("keras_model") is None else {}
        return {**own, **filled}

    @pydantic.field_validator("name")
    @classmethod
    def _in_the_table(cls, name: str | None) -> str | None:
        return None if name is None else backbones.get(name).name

    @pydantic.field_validator("saved_model")
    @classmethod
    def _is_a_saved_model(cls, directory: str | None, info: pydantic.ValidationInfo) -> str | None:
        is_there = is_elsewhere(info) or directory is None or Path(directory, "saved_model.pb").is_file()
        if not is_there:
            raise ValueError("a folder with a saved_model.pb is expected")
        return directory

    @pydantic.field_validator("keras_model")
    @classmethod
    def _is_a_keras_model(cls, path: str | None, info: pydantic.ValidationInfo) -> str | None:
        is_there = path is None or (path.endswith(".keras") and (is_elsewhere(info) or Path(path).is_file()))
        if not is_there:
            raise ValueError("an existing .keras file is expected")
        return path

    @pydantic.field_validator("image_size")
    @classmethod
    def _image_size_fits(cls, image_size: int, info: pydantic.ValidationInfo) -> int:
        if info.data.get("name"):  # absent if the name itself was refused
            backbones.check_image_size(info.data["name"], image_size)
        return image_size

    @pydantic.field_validator("weights")
    @classmethod
    def _weights_exist(cls, weights: str | None, info: pydantic.ValidationInfo) -> str | None:
        named = weights is None or _is_weights_name(weights)
        if info.data.get("name") and (named or not is_elsewhere(info)):
            backbones.check_weights(info.data["name"], weights or "")
        return weights

    @pydantic.model_validator(mode="after")
    def _one_of_three(self) -> Backbone:
        given = [field for field in ("name", "saved_model", "keras_model") if getattr(self, field) is not None]
        if len(given) != 1:
            raise ValueError(f"one of name, saved_model and keras_model is allowed. Received: {' and '.join(given)}")
        if self.name is None and self.weights is not None:
            raise ValueError(f"{given[0]} brings its weights along. Received: weights={self.weights!r}")
        if (self.layer is None) != (self.keras_model is None):
            raise ValueError("layer and keras_model go together. Received: one of them")
        if self.keras_model is not None and self.preprocessing is None:
            raise ValueError("keras_model needs preprocessing: what the model was trained to take. Received: none")
        return self


class Head(Section):
    """What is grafted onto the backbone; docs/heads.md says what each kind is for."""

    kind: Literal["dense", "hidden", "conv", "custom"] = "conv"
    """`dense`: pooling, dropout, the classes. `hidden`: pooling, one hidden layer, dropout, the classes. `conv`
    (default): convolution blocks, pooling, dropout, the classes. `custom`: your own function, then the classes."""
    pooling: Literal["average", "max", "gem"] = "average"
    """How a feature map becomes a vector: `average` (default), `max`, or `gem`, the generalised mean with a learned
    power."""
    filters: list[Annotated[int, Field(ge=1, le=4096)]] = Field([128, 64], min_length=1, max_length=8)
    """conv: width of each convolution block, from the backbone on; 1 to 8 numbers of 1 to 4096; default [128, 64]."""
    kernel: int = Field(3, ge=1, le=15)
    """conv: height and width of the convolutions; 1 to 15; default 3."""
    batch_norm: bool = True
    """conv: BatchNorm after each convolution; default true."""
    units: int = Field(1024, ge=1, le=16384)
    """hidden: width of the hidden layer; 1 to 16384; default 1024."""
    function: str | None = None
    """custom: `package.module.function` that takes the features, a Keras tensor [batch, height, width, channels] or
    [batch, features], and gives a Keras tensor [batch, units]."""
    dropout: float = Field(0.3, ge=0, lt=1, allow_inf_nan=False)
    """Fraction of the last features dropped while training (not in `custom`); 0 to below 1; default 0.3."""
    l2: float = Field(0.0, ge=0, allow_inf_nan=False)
    """L2 penalty on the head's kernels (in `custom`, on the last one only); 0 or more; default 0."""
    initializer: Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "truncated_normal"] = (
        "glorot_uniform"
    )
    """Of the head's kernels; default glorot_uniform. The seed is training.seed."""
    output: Literal["softmax", "sigmoid", "logits"] = "softmax"
    """`softmax` (default), `sigmoid` (one unit, for two classes) or `logits`. Loss and metric follow it; the served
    model answers with probabilities in any case."""

    @pydantic.model_validator(mode="after")
    def _options_of_this_kind(self) -> Head:
        owners = {option: kind for kind, row in heads.HEADS.items() for option in row.options}
        for option in self.model_fields_set:
            if owners.get(option, self.kind) != self.kind:
                raise ValueError(f"{option} is an option of kind {owners[option]}. Received: kind={self.kind!r}")
        if self.kind == "custom" and not self.function:
            raise ValueError("kind custom needs function. Received: none")
        return self


def _is_number(value: Any, kind: type | tuple[type, ...] = (int, float)) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _unfreezable(value: Any) -> int | float | str:
    whole, fraction = _is_number(value, int) and value >= 1, _is_number(value, float) and 0 < value < 1
    if not (whole or fraction or (isinstance(value, str) and value)):
        raise ValueError(
            "a whole number from 1, a fraction above 0 and below 1, the name of a layer, or all is allowed"
        )
    return value


def _class_weights(value: Any) -> str | dict[str, float] | None:
    weights = isinstance(value, dict) and all(
        isinstance(name, str) and _is_number(weight) and 0 < weight < float("inf") for name, weight in value.items()
    )
    if not (value is None or value == "balanced" or weights):
        raise ValueError("balanced, or a number above 0 by class name, is allowed")
    if isinstance(value, dict):
        return {unicodedata.normalize("NFC", name): weight for name, weight in value.items()}
    return value


def _replicas(value: Any) -> int | str:
    if not (value == "auto" or (_is_number(value, int) and value >= 1)):
        raise ValueError("auto, or a whole number from 1, is allowed")
    return value


class Phase(Section):
    """What both phases of training have in common."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """`adam` (default), `adamw` (with weight_decay) or `sgd` (with momentum); started afresh in each phase."""
    weight_decay: float = Field(0.004, ge=0, allow_inf_nan=False)
    """adamw: decoupled weight decay; 0 or more; default 0.004."""
    momentum: float = Field(0.9, ge=0, lt=1, allow_inf_nan=False)
    """sgd: momentum; 0 to below 1; default 0.9."""
    clip_norm: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Gradients are scaled down to this global norm; above 0; default: not."""
    schedule: Literal["constant", "cosine"] = "constant"
    """`constant` (default), or `cosine`: linear warm-up, then down to 0 along a cosine over the phase's epochs."""
    warmup_epochs: int = Field(0, ge=0)
    """cosine: epochs of warm-up, fewer than the phase's; default 0."""
    patience: int = Field(3, ge=1)
    """The phase stops after this many epochs without a lower loss on eval; it ends with its best weights in any case.
    1 or more; default 3."""

    @pydantic.model_validator(mode="after")
    def _options_agree(self) -> Phase:
        for option, field, wanted in (
            ("weight_decay", "optimizer", "adamw"),
            ("momentum", "optimizer", "sgd"),
            ("warmup_epochs", "schedule", "cosine"),
        ):
            if option in self.model_fields_set and getattr(self, field) != wanted:
                raise ValueError(f"{option} needs {field} {wanted}. Received: {field}={getattr(self, field)!r}")
        epochs = getattr(self, "epochs", None)
        if epochs is not None and self.warmup_epochs >= epochs:
            raise ValueError(f"warmup_epochs must be fewer than epochs. Received: {self.warmup_epochs} of {epochs}")
        return self


class HeadPhase(Phase):
    """Phase 1: the head trains, the backbone is frozen."""

    epochs: int = Field(10, ge=1)
    """At most this many passes over the training split; default 10."""
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)
    """Above 0; default 1e-3."""


class FineTunePhase(Phase):
    """Phase 2: the backbone's top layers train too, except their BatchNorm.

    If it doesn't lower the loss on eval, it is rolled back.
    """

    epochs: int = Field(10, ge=1)
    """At most this many further passes; default 10."""
    learning_rate: float = Field(1e-5, gt=0, allow_inf_nan=False)
    """Above 0; default 1e-5."""
    layers: Annotated[int | float | str, pydantic.PlainValidator(_unfreezable)] = 20
    """Which of the backbone's layers to unfreeze: a number of layers from its output backwards (BatchNorm layers are
    counted, but stay frozen), a fraction between 0 and 1 of all, the name of the lowest one, or `all`; default 20."""


class Loss(Section):
    """The cross-entropy and its variants."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False)
    """Share of each label that is spread over all classes; 0 to below 1; default 0."""
    focal_gamma: float | None = Field(None, ge=0, allow_inf_nan=False)
    """Focal loss with this gamma, which weighs down what is right already (2 is usual); default: plain
    cross-entropy."""
    class_weights: Annotated[str | dict[str, float] | None, pydantic.PlainValidator(_class_weights)] = None
    """`balanced` (inverse to the class's share), or a weight above 0 by class name, 1 for those not named; default:
    none. They count in training, not in the loss on eval."""


class Training(Section):
    """The two-phase fit."""

    seed: int = Field(0, ge=0, lt=2**31)
    """Of initialisers, dropout, shuffling and augmentation: two runs with the same seed on the same data agree;
    default 0."""
    batch_size: int = Field(32, ge=1)
    """Images a step, over all replicas; default 32."""
    loss: Loss = Loss()
    """What is minimised."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """`float32` (default), or mixed precision, for GPUs: weights, the head's output and the served model stay
    float32."""
    replicas: Annotated[int | str, pydantic.PlainValidator(_replicas)] = "auto"
    """Devices that share each batch: `auto` (default) is all GPUs, or else one CPU."""
    head: HeadPhase = HeadPhase()
    """Phase 1."""
    fine_tune: FineTunePhase | None = FineTunePhase()
    """Phase 2; `null` skips it."""


class Augmentation(Section):
    """Random changes of the training images, made anew each epoch, never in evaluation or serving; all off by default.

    What they do to your images is drawn in `augmentation.png` beside TensorBoard's logs.
    """

    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None
    """Mirror images; default: none."""
    rotation: float = Field(0.0, ge=0, le=180, allow_inf_nan=False)
    """Turn by up to so many degrees either way; 0 to 180; default 0."""
    crop: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False)
    """Zoom in, so that up to this share of each side is cut away; 0 to below 1; default 0."""
    translation: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False)
    """Shift by up to this share of each side; 0 to below 1; default 0."""
    brightness: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Add up to this share of the range of values, either way; 0 to 1; default 0."""
    contrast: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Stretch or shrink the distance to the mean by up to this share; 0 to 1; default 0."""
    saturation: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Towards grey or away from it by up to this much; 0 to 1; default 0."""
    hue: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Turn the colour circle by up to this much; 0 to 1; default 0."""
    rand_augment: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Strength of RandAugment, two random operations an image; 0 (off, default) to 1."""
    mixup: float = Field(0.0, ge=0, le=10, allow_inf_nan=False)
    """Alpha of MixUp, which blends two images and their labels; 0 (off, default) to 10; 0.2 is usual."""
    cutmix: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """CutMix pastes a patch of one image into another and shares the label by area; up to this strength: 0 (off,
    default) to 1."""

    def active(self) -> list[str]:
        """Names of the changes that are switched on."""
        return [name for name in type(self).model_fields if getattr(self, name)]


class TrunkFeatures(Section):
    """The activations of the backbone's trunk, the part that nothing trains: computed once an image, and kept.

    An epoch then costs only what is behind them, and so does the next run with another head or learning rate.
    """

    mode: Literal["auto", "cached", "pixels"] = "auto"
    """`cached`: training reads kept activations, or the run is refused; `pixels`: every epoch runs the whole backbone
    on images; `auto` (default): pixels where they are augmented without views, where fine-tuning leaves no trunk, or
    where an image's activations are more values than its pixels; cached otherwise."""
    views: int = Field(1, ge=1, le=100)
    """Variants kept of each training image, the first as it is and the others augmented; each epoch draws one. Above 1
    it needs `augmentation` (without mixup and cutmix, which mix images); 1 to 100; default 1."""
    dtype: Literal["float16", "float32"] = "float16"
    """What activations are kept as: `float16` (default) or `float32`."""
    memory_gib: float = Field(2.0, gt=0, allow_inf_nan=False)
    """GiB that training may hold activations in; more are read from disk as they are needed; above 0; default 2."""


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
JudgedBy = Literal["value", "lower", "upper"]
_NUMBER, _BY_CLASS = "a number", "by class"
ByClass = Annotated[
    Annotated[Share, pydantic.Tag(_NUMBER)] | Annotated[dict[ClassName, Share], pydantic.Tag(_BY_CLASS)],
    pydantic.Discriminator(lambda value: _BY_CLASS if isinstance(value, dict) else _NUMBER),
]


class Judge(Section):
    """What is held against a bound: what was measured on the test images (`value`), or what is true of all images like
    them, at the gate's confidence: at the least (`lower`: a candidate must prove itself) or at the most (`upper`: it is
    refused only if chance can't explain the shortfall).
    """

    accuracy: JudgedBy = "value"
    """For `min_accuracy`, a slice's too; `value` (default), `lower` or `upper`."""
    recall: JudgedBy = "value"
    """For `min_recall`; `value` (default), `lower` or `upper`."""
    regression: JudgedBy = "upper"
    """For `max_regression` and `max_recall_regression`, a slice's too: of the paired difference between candidate and
    baseline on the same images; `value`, `lower` or `upper` (default)."""


class Slice(Section):
    """Bounds for a part of the test split. A slice without a test image refuses the candidate."""

    feature: Literal["image/label", "image/format", "image/size_band"]
    """What makes the part: `image/label` (the class), `image/format` (JPEG, PNG, GIF, BMP) or `image/size_band` (the
    shorter side in pixels: `1-63`, `64-127`, `128-255`, `256-511`, `512-1023` or `1024-`)."""
    value: ClassName | None = Field(None, min_length=1)
    """Which part; default: each one that the test split has."""
    min_accuracy: Share | None = None
    """Lowest accuracy; 0 to 1; default: none is asked for."""
    max_regression: Share | None = None
    """How far the accuracy may lie below production's; 0 to 1; default: not asked."""
    min_examples: int = Field(1, ge=1)
    """Fewest test images; 1 or more; default 1."""

    @pydantic.model_validator(mode="after")
    def _has_such_a_part(self) -> Slice:
        formats = (*features.FORMATS, *features.TRANSCODED_FORMATS)
        closed = {features.FORMAT: formats, features.SIZE_BAND: features.SIZE_BANDS}.get(self.feature)
        if closed and self.value is not None and self.value not in closed:
            allowed = ", ".join(closed)
            raise ValueError(f"value: of {self.feature} one of {allowed} is allowed. Received: {self.value!r}")
        return self

    @pydantic.model_validator(mode="after")
    def _asks_for_something(self) -> Slice:
        if self.min_accuracy is None and self.max_regression is None and self.min_examples == 1:
            raise ValueError("one of min_accuracy, max_regression and min_examples is wanted. Found: none")
        return self


class Gate(Section):
    """What a candidate must show on the test split before it is pushed."""

    min_accuracy: Share = 0.95
    """Lowest accuracy that is blessed; 0 to 1; default 0.95."""
    max_regression: Share = 0.01
    """How far the accuracy may lie below that of the model in production, if there is one; 0 to 1; default 0.01."""
    min_recall: ByClass | None = None
    """Lowest share of a class's images that must be recognised: one number for every class, or numbers by class name;
    0 to 1; default: none is asked for."""
    max_recall_regression: ByClass | None = None
    """How far a class's recall may lie below production's: one number, or numbers by class name; 0 to 1; default: not
    asked."""
    max_calibration_error: Share | None = None
    """Largest expected calibration error: how far the served scores may lie from how often they are right; 0 to 1;
    default: not asked."""
    min_test_examples: int = Field(20, ge=1)
    """Fewest test images that a verdict may rest on; 1 or more; default 20, where one mistake is 5 points."""
    on_missing_class: Literal["refuse", "warn"] = "refuse"
    """What a class without a test image does: `refuse` (default; ImageExampleGen stops at it already) or `warn`."""
    allow_new_classes: bool = False
    """Whether the candidate may know classes that production doesn't; one that production knows may never be missing.
    Default: no."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Of every confidence bound, one-sided; above 0.5, below 1; default 0.95."""
    judge: Judge = Judge()
    """Whether the values measured or their confidence bounds are judged."""
    slices: list[Slice] = []
    """Bounds for parts of the test split; default: none."""

    def check_classes(self, classes: Sequence[str]) -> None:
        """Refuses bounds for classes that there are none of.

        Args:
          classes: names of those that there are.

        Raises:
          BadInputError: with the field.
        """
        named = {
            f"gate.{field}": list(bounds)
            for field in ("min_recall", "max_recall_regression")
            if isinstance(bounds := getattr(self, field), dict)
        }
        for number, part in enumerate(self.slices):
            if part.feature == features.LABEL and part.value is not None:
                named[f"gate.slices.{number}.value"] = [part.value]
        for field, names in named.items():
            for name in names:
                if name not in classes:
                    raise BadInputError(f"{field}: the classes are {', '.join(classes)}. Received: {name!r}")


class ServingCheck(Section):
    """What a candidate must show when it is loaded as a server would, in a fresh process without this project's code.

    It is asked about up to 32 images of eval through every signature.
    """

    tolerance: float = Field(1e-3, gt=0, le=0.1)
    """How far a served probability may differ from what the model in Trainer's memory answered; above 0 to 0.1;
    default 0.001, for rounding."""
    max_load_seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Longest time to load; seconds, above 0; default: not asked."""
    max_p50_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Longest median time to answer one image on this machine; milliseconds, above 0; default: not asked."""
    max_p99_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """The same for 99 of 100 requests; milliseconds, above 0; default: not asked."""
    min_images_per_second: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Fewest images a second in batches of 32; above 0; default: not asked."""
    max_peak_gib: float | None = Field(8.0, gt=0, allow_inf_nan=False)
    """Most memory that the serving process may come to hold; GiB, above 0; default 8; null: not asked."""
    tf_serving: str | None = Field(None, min_length=1)
    """Tag of the Docker image `tensorflow/serving`, such as 2.19.0: TFX's InfraValidator starts it with the candidate,
    too, and asks it about 8 images of eval. Needs Docker. Default: none."""


class Push(Section):
    """Where a blessed model goes."""

    directory: str | None = Field(None, min_length=1)
    """Folder that gets one numbered subfolder a version, as TF Serving reads it; relative to the configuration file.
    Default: `serving` in the run's own folder."""
    keep: int | None = Field(None, ge=2)
    """How many versions stay there, the newest; 2 or more, so that there is one to go back to; default: all."""

    @pydantic.field_validator("directory")
    @classmethod
    def _can_be_written(cls, directory: str | None, info: pydantic.ValidationInfo) -> str | None:
        if directory is not None and not is_elsewhere(info):
            existing = next(path for path in (Path(directory), *Path(directory).parents) if path.exists())
            if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
                raise ValueError(f"a folder that can be written to is expected; {existing} is none")
        return directory


class Config(Section):
    """A run. Every section but `name` and `data` may be left out."""

    name: str
    """The pipeline's name: lower-case letters, digits and `-`, at most 63 (also a legal Kubernetes name)."""
    data: Data
    backbone: Backbone = Backbone()
    head: Head = Head()
    training: Training = Training()
    augmentation: Augmentation = Augmentation()
    trunk_features: TrunkFeatures = TrunkFeatures()
    gate: Gate = Gate()
    serving_check: ServingCheck = ServingCheck()
    push: Push = Push()
    beam: Beam = Beam()
    kubeflow: Kubeflow | None = None

    @pydantic.field_validator("name")
    @classmethod
    def _legal_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("lower-case letters, digits and '-' are allowed, 1 to 63 of them, not '-' at either end")
        return name

    def ingestion(self) -> Settings:
        """What ImageExampleGen is told beside the path."""
        return Settings.of(self.data.model_dump(), untested_classes=self.gate.on_missing_class == "warn")

    def trains_on_pixels_because(self) -> str:
        """Why the pipeline has no stage TrunkFeatures; empty if it has."""
        if self.trunk_features.mode == "pixels":
            return "trunk_features.mode is pixels"
        if self.trunk_features.views == 1 and self.augmentation.active():
            return f"augmentation ({', '.join(self.augmentation.active())}) is on, and trunk_features.views is 1"
        return ""

    @pydantic.model_validator(mode="after")
    def _views_agree(self) -> Config:
        mode, views, active = self.trunk_features.mode, self.trunk_features.views, self.augmentation.active()
        if views > 1:
            mixing = [name for name in active if name in ("mixup", "cutmix")]
            if mode == "pixels":
                raise ValueError(f"trunk_features.views: 1 is allowed with mode pixels. Received: {views}")
            if not active or mixing:
                found = f"augmentation.{mixing[0]}, which mixes images" if mixing else "none"
                raise ValueError(
                    f"trunk_features.views: {views} views need augmentation of single images. Found: {found}"
                )
        if mode == "cached" and views == 1 and active:
            raise ValueError(
                "trunk_features.mode: cached needs views above 1 for augmented images, or else mode pixels. Found: "
                f"augmentation.{active[0]} and one view"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _parts_agree(self) -> Config:
        if self.backbone.saved_model is not None and self.training.fine_tune is not None:
            raise ValueError(
                "training.fine_tune: a SavedModel feature extractor can't be fine-tuned; null is allowed. Received: "
                f"{self.training.fine_tune.layers} layers"
            )
        for mixing in ("mixup", "cutmix"):
            if self.head.output == "sigmoid" and getattr(self.augmentation, mixing):
                raise ValueError(
                    f"augmentation.{mixing}: mixes labels of classes; head.output softmax or logits is allowed "
                    "with it. Received: head.output='sigmoid'"
                )
        return self


def load(path: str | Path, elsewhere: bool = False) -> Config:
    """Reads a configuration file.

    Relative paths in it are taken as relative to the file and come back absolute.

    Args:
      path: a YAML file.
      elsewhere: whether the run will be on another machine. Then files that it names aren't looked at, and their paths
        must be absolute; `data.path` and `push.directory` don't count, the section `kubeflow` has its own.

    Raises:
      BadInputError: if the file can't be read, is no YAML, or says what it may not; one line a fault, with the field's
        path, what was given and what is allowed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        where = "" if Path(path).is_absolute() else f" in {Path.cwd()}"
        raise BadInputError(f"{path}: there is no such configuration file{where}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: can't be read: {error}") from None
    try:
        content = yaml.load(text, _Loader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise BadInputError(f"{path}: {_yaml_fault(error)}") from None
    if not isinstance(content, dict):
        raise BadInputError(f"{path}: a mapping of sections (name, data, …) is expected. Received: {content!r}")
    try:
        if elsewhere:
            return Config.model_validate(_without_paths_of_here(content), context={"elsewhere": True})
        return Config.model_validate(_absolute_paths(content, Path(path).resolve().parent))
    except pydantic.ValidationError as error:
        faults = "\n".join(dict.fromkeys(f"  {_fault(detail)}" for detail in error.errors()))
        raise BadInputError(f"{path}:\n{faults}") from None


class _Loader(yaml.SafeLoader):
    """YAML as its users expect it: 1e-3 is a number, and a key given twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = []
        for key, _ in node.value:
            name = self.construct_object(key, deep)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} is given twice", key.start_mark)
            seen.append(name)
        return super().construct_mapping(node, deep)


# YAML 1.2's floats; PyYAML follows YAML 1.1, which wants a dot and a sign in the exponent: 1.0e-3.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _yaml_fault(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else f"no valid YAML: {problem}"


def _absolute_paths(content: dict[str, Any], base: Path) -> dict[str, Any]:
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in content.items()}
    for section, field in _PATH_FIELDS:
        fields = result.get(section)
        value = fields.get(field) if isinstance(fields, dict) else None
        elsewhere = isinstance(value, str) and "://" in value
        if isinstance(value, str) and value and not elsewhere and not (field == "weights" and _is_weights_name(value)):
            result[section][field] = os.path.normpath(base / Path(value).expanduser())
    return result


def _without_paths_of_here(content: dict[str, Any]) -> dict[str, Any]:
    """The content, if no path in it means this machine but the two that the section `kubeflow` replaces."""
    for section, field in _PATH_FIELDS:
        fields = content.get(section)
        value = fields.get(field) if isinstance(fields, dict) else None
        if (section, field) in (("data", "path"), ("push", "directory")) or not isinstance(value, str):
            continue
        if not (Path(value).is_absolute() or "://" in value or (field == "weights" and _is_weights_name(value))):
            raise BadInputError(
                f"{section}.{field}: an absolute path in the container is expected. Received: {value!r}"
            )
    return content


def _fault(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"] if part not in (_NUMBER, _BY_CLASS))
    if detail["type"] == "missing":
        return f"{where}: is required"
    if detail["type"] == "extra_forbidden":
        return f"{where}: no such field; {_allowed_fields(detail['loc'])}. Received: {detail['input']!r}"
    if detail["type"] == "model_type":
        return f"{where}: a mapping of fields is expected. Received: {detail['input']!r}"
    message = detail["msg"].removeprefix("Value error, ")
    if not where:  # what is about several sections names its fields
        return message
    if isinstance(detail["input"], dict):  # between fields, which the message names
        return f"{where}.{message}" if _FIELD.match(message) else f"{where}: {message}"
    if "Received: " in message:  # our own tables' messages name the value already
        return f"{where}: {message}"
    return f"{where}: {message[:1].lower()}{message[1:]}. Received: {detail['input']!r}"


def _allowed_fields(location: tuple[str | int, ...]) -> str:
    section: type[Section] = Config
    for name in location[:-1]:
        if name not in section.model_fields:  # which one of a list or mapping
            continue
        nested = section_of(section.model_fields[str(name)].annotation)
        if nested is None:
            break
        section = nested
    names = [field.alias or name for name, field in section.model_fields.items()]
    sections = [str(name) for name in location[:-1] if not isinstance(name, int)]
    return f"{sections[-1] if sections else 'the file'} has {', '.join(names)}"
