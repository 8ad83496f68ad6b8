"""The section `training`: the two-phase fit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from config.section import Section, check_names_differ, normalize_class_name

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
    if not (value is None or value == "balanced" or weights):
        raise ValueError("balanced, or a number above 0 for each class name, is allowed")
    if isinstance(value, dict):
        check_names_differ(value)
        return {normalize_class_name(name): weight for name, weight in value.items()}
    return value


def _replicas(value: Any) -> int | str:
    if not (value == "auto" or (_is_number(value, int) and value >= 1)):
        raise ValueError("auto, or a whole number from 1, is allowed")
    return value


# Option to the field, and the value of it, that the option needs.
_OWNERS = {
    "weight_decay": ("optimizer", "adamw"),
    "momentum": ("optimizer", "sgd"),
    "warmup_epochs": ("schedule", "cosine"),
}


class PhaseConfig(Section):
    """What both phases of training have in common."""

    epochs: int = Field(10, ge=1)
    """Maximum number of passes over the training split; 1 or more; default 10."""
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)
    """Above 0; default 1e-3."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """`adam` (default), `adamw` (with weight_decay) or `sgd` (with momentum). Each phase starts a new one."""
    weight_decay: float = Field(0.004, ge=0, allow_inf_nan=False)
    """adamw: decoupled weight decay; 0 or more; default 0.004."""
    momentum: float = Field(0.9, ge=0, lt=1, allow_inf_nan=False)
    """sgd: momentum; 0 to below 1; default 0.9."""
    clip_norm: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Gradients are scaled down to this global norm; above 0; default: they are not."""
    schedule: Literal["constant", "cosine"] = "constant"
    """`constant` (default), or `cosine`: linear warm-up, then down to 0 along a cosine over the phase's epochs."""
    warmup_epochs: int = Field(0, ge=0)
    """cosine: epochs of warm-up, fewer than the phase's epochs; default 0."""
    patience: int = Field(3, ge=1)
    """The phase stops after this many epochs without a lower loss on eval. It ends with its best weights in any case.
    1 or more; default 3."""

    def unused_fields(self) -> dict[str, str]:
        """Options of other optimizers and schedules."""
        return {
            option: f"needs {field} {wanted}. Received: {field}={getattr(self, field)!r}"
            for option, (field, wanted) in _OWNERS.items()
            if getattr(self, field) != wanted
        }

    @pydantic.model_validator(mode="after")
    def _warmup_ends_before_the_phase(self) -> PhaseConfig:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs must be fewer than epochs. Received: {self.warmup_epochs} of {self.epochs}"
            )
        return self


class HeadPhaseConfig(PhaseConfig):
    """Phase 1: the head trains, the backbone is frozen."""


class FineTuneConfig(PhaseConfig):
    """Phase 2: the backbone's top layers train too, except their BatchNorm.

    If it does not lower the loss on eval, it is rolled back.
    """

    learning_rate: float = Field(1e-5, gt=0, allow_inf_nan=False)
    """Above 0; default 1e-5."""
    layers: Annotated[Layers, pydantic.PlainValidator(_layers)] = 20
    """Which layers of the backbone to unfreeze: a number of layers counted from its output (BatchNorm layers count, but
    stay frozen), a fraction between 0 and 1 of all layers, the name of the lowest one, or `all`; default 20."""


class LossConfig(Section):
    """The cross-entropy and its variants."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False)
    """Share of each label that is spread over all classes; 0 to below 1; default 0."""
    focal_gamma: float | None = Field(None, ge=0, allow_inf_nan=False)
    """Focal loss with this gamma, which gives less weight to examples that are right already (2 is usual); default:
    plain cross-entropy."""
    class_weights: Annotated[str | dict[str, float] | None, pydantic.PlainValidator(_class_weights)] = None
    """`balanced` (inverse to the class's share), or a weight above 0 for each class name, 1 for those not named;
    default: none. Weights count in training, not in the loss on eval."""


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
    replicas: Annotated[int | str, pydantic.PlainValidator(_replicas)] = "auto"
    """Number of devices that share each batch: `auto` (default) is all GPUs, or one CPU if there is none."""
    head: HeadPhaseConfig = HeadPhaseConfig()
    """Phase 1."""
    fine_tune: FineTuneConfig | None = FineTuneConfig()
    """Phase 2; `null` skips it."""

    @property
    def layers_to_fine_tune(self) -> Layers | None:
        """`fine_tune.layers`; None if nothing of the backbone is fine-tuned."""
        return self.fine_tune.layers if self.fine_tune else None
