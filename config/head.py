"""The section `head`: what is put on top of the backbone."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from config.section import Section

# Options that only one kind of head has.
OPTIONS: dict[str, tuple[str, ...]] = {
    "dense": (),
    "hidden": ("units",),
    "conv": ("filters", "kernel", "batch_norm"),
    "custom": ("function",),
}


class HeadConfig(Section):
    """What is put on top of the backbone; docs/heads.md says what each kind is for."""

    kind: Literal["dense", "hidden", "conv", "custom"] = "conv"
    """`dense`: pooling, dropout, the classes. `hidden`: pooling, one hidden layer, dropout, the classes. `conv`
    (default): convolution blocks, pooling, dropout, the classes. `custom`: a function of yours, then the classes."""
    pooling: Literal["average", "max", "gem"] = "average"
    """How a feature map becomes a vector: `average` (default), `max`, or `gem`, the generalised mean with a learned
    power."""
    filters: list[Annotated[int, Field(ge=1, le=4096)]] = Field([64], min_length=1, max_length=8)
    """conv: width of each convolution block, the one next to the backbone first; 1 to 8 numbers of 1 to 4096; default
    [64]."""
    kernel: int = Field(3, ge=1, le=15)
    """conv: height and width of the convolutions; 1 to 15; default 3."""
    batch_norm: bool = True
    """conv: BatchNorm after each convolution; default true."""
    units: int = Field(1024, ge=1, le=16384)
    """hidden: width of the hidden layer; 1 to 16384; default 1024."""
    function: str | None = None
    """custom: `package.module.function`. It takes the features, a Keras tensor [batch, height, width, channels] or
    [batch, features], and gives a Keras tensor [batch, units]."""
    dropout: float = Field(0.3, ge=0, lt=1, allow_inf_nan=False)
    """Fraction of the last features that is dropped in training (not in `custom`); 0 to below 1; default 0.3."""
    l2: float = Field(0.0, ge=0, allow_inf_nan=False)
    """L2 penalty on the head's kernels (in `custom`, on the last one only); 0 or more; default 0."""
    initializer: Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "truncated_normal"] = (
        "glorot_uniform"
    )
    """Initialiser of the head's kernels; default glorot_uniform. Its seed is training.seed."""
    output: Literal["softmax", "sigmoid", "logits"] = "softmax"
    """`softmax` (default), `sigmoid` (one unit, for two classes) or `logits`. Loss and metric follow it. The served
    model answers with probabilities in any case."""

    def unused_fields(self) -> dict[str, str]:
        """The options of other kinds of heads."""
        return {
            option: f"is an option of kind {kind}. Received: kind={self.kind!r}"
            for kind, options in OPTIONS.items()
            if kind != self.kind
            for option in options
        }

    @pydantic.model_validator(mode="after")
    def _custom_has_a_function(self) -> HeadConfig:
        if self.kind == "custom" and not self.function:
            raise ValueError("kind custom needs function. Received: none")
        return self

    @property
    def fixed_pooling(self) -> str | None:
        """The pooling that the head begins with, if it has no weights to train; None for any other head."""
        return self.pooling if self.kind in ("dense", "hidden") and self.pooling in ("average", "max") else None
