"""The section `training`: the two-phase fit."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import Field

from config.section import Section, Share, check_names_differ, normalize_class_name

AUTO = "auto"
Layers = int | float | str
"""Which layers of the backbone are fine-tuned: see `FineTuneConfig.layers`."""


def _is_number(value: Any, kind: type | tuple[type, ...] = (int, float)) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _layers(value: Any) -> Layers:
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
    if not (value is None or value in (AUTO, "balanced") or weights):
        raise ValueError("auto, balanced, or a number above 0 for each class name, is allowed")
    if isinstance(value, dict):
        check_names_differ(value)
        return {normalize_class_name(name): weight for name, weight in value.items()}
    return value


def _count(value: Any) -> int | str:
    if not (value == AUTO or (_is_number(value, int) and value >= 1)):
        raise ValueError("auto, or a whole number from 1, is allowed")
    return value


def _flip_averaging(value: Any) -> bool | str:
    if not (value == AUTO or isinstance(value, bool)):
        raise ValueError("true, false or auto is allowed")
    return value


Count = Annotated[int | str, pydantic.PlainValidator(_count)]
"""A whole number from 1, or `auto`."""


# Option to the field, and the value of it, that the option needs.
_OWNERS = {
    "weight_decay": ("optimizer", "adamw"),
    "momentum": ("optimizer", "sgd"),
    "warmup": ("schedule", "cosine"),
}


class PhaseConfig(Section):
    """What both phases of training have in common."""

    # Epochs, times the square root of the images per class: with four times the images, half as many epochs, and twice
    # as many steps. docs/benchmarks.md has the measurements.
    _epochs_of_one: ClassVar[float]
    _fewest_epochs: ClassVar[int] = 4
    _most_epochs: ClassVar[int]

    epochs: Count = AUTO
    """Passes over the training split: 1 or more, or `auto` (default): the fewer, the more images a class has."""
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)
    """Above 0; default 1e-3. It is the highest one of the schedule."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    """`adam`, `adamw` (default, with weight_decay) or `sgd` (with momentum). Each phase starts a new one."""
    weight_decay: float = Field(0.05, ge=0, allow_inf_nan=False)
    """adamw: decoupled weight decay; 0 or more; default 0.05."""
    momentum: float = Field(0.9, ge=0, lt=1, allow_inf_nan=False)
    """sgd: momentum; 0 to below 1; default 0.9."""
    clip_norm: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Gradients are scaled down to this global norm; above 0; default: they are not."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """`constant`, or `cosine` (default): linear warm-up, then down to 0 along a cosine over the phase's epochs."""
    warmup: Share = 0.1
    """cosine: share of the phase's steps that warm up; 0 to 1; default 0.1."""
    patience: int | None = Field(None, ge=1)
    """The phase stops after this many epochs without a lower loss on eval, and ends with the weights of its best epoch;
    1 or more. Default: it runs all its epochs, and ends with its last weights, which the schedule has settled; the best
    epoch on a small eval split is often the luckiest one."""

    def epochs_for(self, images: int, classes: int) -> int:
        """The number of epochs.

        Args:
          images: of the training split.
          classes: how many there are.
        """
        if isinstance(self.epochs, int):
            return self.epochs
        epochs = round(self._epochs_of_one / math.sqrt(images / classes))
        return min(max(epochs, self._fewest_epochs), self._most_epochs)

    def unused_fields(self) -> dict[str, str]:
        """Options of other optimizers and schedules."""
        return {
            option: f"needs {field} {wanted}. Received: {field}={getattr(self, field)!r}"
            for option, (field, wanted) in _OWNERS.items()
            if getattr(self, field) != wanted
        }


class HeadPhaseConfig(PhaseConfig):
    """Phase 1: the head trains, the backbone is frozen.

    `epochs: auto` is 100 divided by the square root of the training images per class, 4 to 30.
    """

    _epochs_of_one = 100.0
    _most_epochs = 30


class FineTuneConfig(PhaseConfig):
    """Phase 2: the backbone's top layers train too, except their BatchNorm and depthwise kernels.

    If it raises the loss on eval beyond chance, it is rolled back. `epochs: auto` is 200 divided by the square root
    of the training images per class, 4 to 60.
    """

    _epochs_of_one = 200.0
    _most_epochs = 60

    learning_rate: float = Field(4e-4, gt=0, allow_inf_nan=False)
    """Above 0; default 4e-4. It is the highest one of the schedule."""
    layers: Annotated[Layers, pydantic.PlainValidator(_layers)] = 0.45
    """Which layers of the backbone to unfreeze: a fraction between 0 and 1 of all layers, counted from its output
    (BatchNorm and depthwise layers count, but stay frozen), a number of layers, the name of the lowest one, or `all`;
    default 0.45."""


class LossConfig(Section):
    """The cross-entropy and its variants."""

    label_smoothing: float = Field(0.1, ge=0, lt=1, allow_inf_nan=False)
    """Share of each label that is spread over all classes; 0 to below 1; default 0.1."""
    focal_gamma: float | None = Field(None, ge=0, allow_inf_nan=False)
    """Focal loss with this gamma, which gives less weight to examples that are right already (2 is usual); default:
    plain cross-entropy."""
    class_weights: Annotated[str | dict[str, float] | None, pydantic.PlainValidator(_class_weights)] = AUTO
    """`auto` (default): `balanced` if a class has under a fifth of the images of the largest one, else none;
    `balanced`: inverse to the class's share; a weight above 0 for each class name, 1 for those not named; or `null`:
    none. Weights count in training, not in the loss on eval."""


class TrainingConfig(Section):
    """The two-phase fit."""

    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of initialisers, dropout, shuffling and augmentation. Two runs with the same seed and data give the same
    model. Default 0."""
    batch_size: int = Field(32, ge=1)
    """Images per step, over all replicas; default 32."""
    loss: LossConfig = LossConfig()
    """What is minimised."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """`float32` (default), or mixed precision, for GPUs. Weights, the head's output and the served model stay
    float32."""
    replicas: Count = AUTO
    """Number of devices that share each batch: `auto` (default) is all GPUs, or one CPU if there is none."""
    flip_averaging: Annotated[bool | str, pydantic.PlainValidator(_flip_averaging)] = False
    """Whether the served model averages its probabilities for an image and its mirror image, which takes twice the
    time: `true`, `false` (default), or `auto`, where that lowers the loss on eval by 1 % or more."""
    calibration: Literal["auto", "none"] = "auto"
    """`auto` (default): one number fitted on eval, the temperature, divides the served model's logits, so that of the
    answers with a probability of 0.9 nine in ten are right. The most probable class stays the same. `none`: the
    probabilities stay as they were trained."""
    head: HeadPhaseConfig = HeadPhaseConfig()
    """Phase 1."""
    fine_tune: FineTuneConfig | None = FineTuneConfig()
    """Phase 2; `null` skips it."""

    @property
    def layers_to_fine_tune(self) -> Layers | None:
        """`fine_tune.layers`; None if nothing of the backbone is fine-tuned."""
        return self.fine_tune.layers if self.fine_tune else None
