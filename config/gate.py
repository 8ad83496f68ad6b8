"""The section `gate`: what a candidate must show on the test split before it is pushed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from config import image_facts
from config.errors import BadInputError
from config.gate_exports import ExportsGate
from config.section import ClassName, Section, Share, check_names_differ, normalize_class_name
from config.stress import StressConfig

JudgedBy = Literal["value", "lower", "upper"]
A_NUMBER, BY_CLASS = "a number", "by class"  # tags, which are no part of a field's path
ByClass = Annotated[
    Annotated[Share, pydantic.Tag(A_NUMBER)]
    | Annotated[dict[ClassName, Share], pydantic.BeforeValidator(check_names_differ), pydantic.Tag(BY_CLASS)],
    pydantic.Discriminator(lambda value: BY_CLASS if isinstance(value, dict) else A_NUMBER),
]


class Judge(Section):
    """Which number is compared with a bound: the one measured on the test images (`value`), or a confidence bound of it
    at the gate's confidence. With `lower` the candidate must prove itself; with `upper` it is refused only if chance
    cannot explain the shortfall. Of `false_rejects`, where less is better, it is the other way around.
    """

    accuracy: JudgedBy = "value"
    """For `min_accuracy`, also of slices; `value` (default), `lower` or `upper`."""
    recall: JudgedBy = "value"
    """For `min_recall`; `value` (default), `lower` or `upper`."""
    regression: JudgedBy = "upper"
    """For `max_regression` and `max_recall_regression`, also of slices, and for the bounds of `stress`: the paired
    difference between candidate and baseline on the same images; `value`, `lower` or `upper` (default)."""
    false_rejects: JudgedBy = "value"
    """For `max_false_rejects`; `value` (default), `lower` or `upper`. Here `upper` means that the candidate must prove
    itself, and `lower` that it is refused only if chance cannot explain the excess."""


_FEATURES = (image_facts.LABEL, image_facts.FORMAT, *image_facts.BANDS, image_facts.CAMERA)
_MAY_BE_EMPTY = (image_facts.CAMERA, image_facts.COLUMN)


def _check_feature(name: str) -> str:
    if name in _FEATURES or (name.startswith(image_facts.COLUMN) and name != image_facts.COLUMN):
        return name
    raise ValueError(f"{', '.join(_FEATURES)} or {image_facts.COLUMN}<name> is expected")


SliceValue = Annotated[str, pydantic.AfterValidator(normalize_class_name)]


class Slice(Section):
    """Bounds for a part of the test split. A slice without a test image refuses the candidate."""

    feature: Annotated[str, pydantic.AfterValidator(_check_feature)]
    """The feature that makes the slice: `image/label` (the class), `image/format` (of the file: JPEG, PNG, GIF, BMP,
    AVIF, DDS, HEIF, ICO, JPEG2000, PCX, PPM, SGI, TGA, TIFF or WEBP), `image/camera` (make and model by EXIF),
    `column/<name>` (a column of the manifest that `data.slice_columns` names), or a band: `image/size_band` (the
    shorter side in pixels: `1-63`, `64-127`, `128-255`, `256-511`, `512-1023` or `1024-`), `image/brightness_band`
    (mean luma from 0 to 1: `very dark` below 0.15, `dark` below 0.3, `medium` below 0.5, `bright` below 0.7, or `very
    bright`), `image/sharpness_band` (variance of the Laplacian of the grey levels, of the picture reduced to a shorter
    side of 128 to 255 pixels: `very blurred` below 30, `blurred` below 100, `medium` below 500, `sharp` below 2000, or
    `very sharp`) or `image/aspect_band` (`square`: the longer side is at most 5/4 of the shorter one; `wide` or `tall`:
    at most twice; `very wide` or `very tall`)."""
    value: SliceValue | None = None
    """The feature's value in the slice, as text; `""`: images without a camera, or with an empty column; default: one
    slice for each value in the test split."""
    min_accuracy: Share | None = None
    """Lowest accuracy; 0 to 1; default: no bound."""
    max_regression: Share | None = None
    """How far the accuracy may be below production's; 0 to 1; default: no bound."""
    min_examples: int = Field(1, ge=1)
    """Fewest test images; 1 or more; default 1."""

    @pydantic.model_validator(mode="after")
    def _has_such_a_value(self) -> Slice:
        formats = (*image_facts.FORMATS, *image_facts.TRANSCODED_FORMATS)
        allowed = {image_facts.FORMAT: formats, **image_facts.BANDS}.get(self.feature)
        if self.value == "" and not self.feature.startswith(_MAY_BE_EMPTY):
            raise ValueError(f"value: {self.feature} is never empty")
        if allowed and self.value is not None and self.value not in allowed:
            raise ValueError(
                f"value: of {self.feature} one of {', '.join(allowed)} is allowed. Received: {self.value!r}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _has_a_bound(self) -> Slice:
        if self.min_accuracy is None and self.max_regression is None and self.min_examples == 1:
            raise ValueError("one of min_accuracy, max_regression and min_examples is needed. Found: none")
        return self


class GateConfig(Section):
    """What a candidate must show on the test split before it is pushed."""

    min_accuracy: Share = 0.95
    """Lowest accuracy that is blessed; 0 to 1; default 0.95."""
    max_regression: Share = 0.01
    """How far the accuracy may be below that of the model in production, if there is one; 0 to 1; default 0.01."""
    min_recall: ByClass | None = None
    """Lowest share of a class's images that must be recognised: one number for every class, or a number for each class
    name; 0 to 1; default: no bound."""
    max_recall_regression: ByClass | None = None
    """How far a class's recall may be below production's: one number, or a number for each class name; 0 to 1; default:
    no bound."""
    max_calibration_error: Share | None = None
    """Largest expected calibration error: how far the served scores may be from how often they are right; 0 to 1;
    default: no bound."""
    max_false_rejects: Share | None = None
    """Largest share of the test images for which the model may answer that they are unlike its training images
    (`in_scope` is false); 0 to 1; default: no bound. A candidate without that output (`novelty: null`) is refused."""
    min_test_examples: int = Field(20, ge=1)
    """Fewest test images that a verdict may be based on; 1 or more; default 20. With 20
    images, one mistake lowers the accuracy by 5 percentage points."""
    on_missing_class: Literal["refuse", "warn"] = "refuse"
    """What happens if a class has no test image: `refuse` (default; ImageExampleGen already stops the run) or
    `warn`."""
    allow_new_classes: bool = False
    """Whether the candidate may know classes that production does not know. A class that production knows may never be
    missing. Default: no."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Confidence of every bound, one-sided; above 0.5, below 1; default 0.95."""
    judge: Judge = Judge()
    """Whether measured values or their confidence bounds are judged."""
    slices: list[Slice] = []
    """Bounds for parts of the test split; default: none."""
    find_bad_slices: bool = True
    """Whether Evaluator looks for parts of the test split in which the candidate is clearly worse: bands of brightness,
    sharpness, size and aspect ratio, formats, cameras, values of `data.slice_columns`, and groups of similar images.
    They are warnings, and refuse nothing. Default: yes."""
    stress: StressConfig | None = None
    must_beat_probe: bool = False
    """Whether the candidate is refused if a linear probe (logistic regression on the backbone's pooled features, which
    LabelCheck keeps) recognises more of the test images than it, beyond chance; else the run only warns. Needs
    `label_check`. Default: no."""
    exports: ExportsGate = ExportsGate()

    def check_classes(self, classes: Sequence[str]) -> None:
        """Refuses bounds for classes that do not exist.

        Args:
          classes: names of the classes that exist.

        Raises:
          BadInputError: with the field.
        """
        named = {
            f"gate.{field}": list(bounds)
            for field in ("min_recall", "max_recall_regression")
            if isinstance(bounds := getattr(self, field), dict)
        }
        for number, part in enumerate(self.slices):
            if part.feature == image_facts.LABEL and part.value is not None:
                named[f"gate.slices.{number}.value"] = [part.value]
        for field, names in named.items():
            for name in names:
                if name not in classes:
                    raise BadInputError(f"{field}: the classes are {', '.join(classes)}. Received: {name!r}")

    def recall_bound(self, name: str) -> float:
        """The bound on a class's recall; `min_accuracy` where the section has none for it."""
        if isinstance(self.min_recall, dict):
            return self.min_recall.get(name, self.min_accuracy)
        return self.min_accuracy if self.min_recall is None else self.min_recall
