"""The model card of a pushed version: what it is, how good it is, and what limits the figures.

The sections follow Mitchell et al., https://doi.org/10.1145/3287560.3287596. `model_card.json` has the form of Google's
Model Card Toolkit, schema 0.0.2
(https://github.com/tensorflow/model-card-toolkit/tree/main/model_card_toolkit/schema), whose sections may have further
fields; `model_card.md` is the same for a person.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.evaluator.verdict import ClassFigures, Verdict
from components.image_example_gen.report import Counts
from components.pusher import markdown
from components.version_files import CARD, CARD_JSON
from config import search_space
from config.run import RunConfig
from modules.serving import signatures
from modules.tuning import values

_SCHEMA_VERSION = "0.0.2"
_TEMPLATE = "model_card.md.j2"
_OF_A_PHASE = ("phase", "eval_loss", "rolled_back", "reason")


@dataclass(frozen=True)
class Facts:
    """What is known of a candidate before it is pushed.

    Attributes:
      config: of the run.
      counts: of the images.
      warnings: what a reader of the accuracy ought to know, in sentences.
      training: as modules/training/history.py has it.
      verdict: the gate's.
      serving_check: `refusals` and `measured`, see components/serving_check/findings.py.
      exports: what exports.for_card gives: format to facts; none without the stage Export.
    """

    config: RunConfig
    counts: Counts
    warnings: Sequence[str]
    training: Mapping[str, Any]
    verdict: Verdict
    serving_check: Mapping[str, Any]
    exports: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        return self.counts.classes


def files(facts: Facts, manifest: Mapping[str, Any]) -> dict[Path, str]:
    """The files of the card.

    Args:
      facts: about the model.
      manifest: of the version, complete.

    Returns:
      path below the version's folder to content.
    """
    card = as_json(facts, manifest)
    return {CARD: as_markdown(card), CARD_JSON: json.dumps(card, indent=2) + "\n"}


def as_json(facts: Facts, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `model_card.json`; the arguments are those of `files`."""
    origin = ("fingerprint", "pushed_at", "package_version", "git_revision", "parent")
    return {
        "schema_version": _SCHEMA_VERSION,
        "model_details": {
            "name": facts.config.name,
            "overview": f"This model classifies images. It knows {len(facts.classes)} classes, which are listed below.",
            "version": {
                "name": str(manifest["version"]),
                "date": manifest["pushed_at"][: len("2000-01-31")],
                "diff": _difference(facts.verdict),
            },
            "origin": {name: manifest[name] for name in origin},
            "blessed_anyway": manifest.get("blessed_anyway"),
        },
        "model_parameters": {
            "model_architecture": _architecture(facts),
            "data": list(_data(facts)),
            "input_format": (
                f"encoded images (signature {signatures.SERVE_IMAGES}), or tf.Examples that hold them "
                f"({signatures.SERVING_DEFAULT})"
            ),
            "output_format": (
                f"{signatures.PROBABILITIES}: one per class; {signatures.LABEL}: the most probable class; "
                f"{signatures.SCORE}: its probability"
            ),
            "classes": facts.classes,
            "counts": dataclasses.asdict(facts.counts),
            "training": _training(facts.training),
        },
        "quantitative_analysis": {
            "performance_metrics": list(_metrics(facts)),
            "test": _test(facts),
            "gate": _gate(facts.verdict),
            "serving_check": dict(facts.serving_check),
            "exports": {name: dict(one) for name, one in facts.exports.items()},
        },
        "considerations": {"limitations": [{"description": sentence} for sentence in _limitations(facts, manifest)]},
    }


def as_markdown(card: Mapping[str, Any]) -> str:
    """The content of `model_card.md`, from that of `model_card.json`."""
    details, parameters, analysis = (
        card[section] for section in ("model_details", "model_parameters", "quantitative_analysis")
    )
    return markdown.render(
        _TEMPLATE,
        card=card,
        origin=details["origin"],
        override=details["blessed_anyway"],
        classes=parameters["classes"],
        data=parameters["counts"],
        training=parameters["training"],
        test=analysis["test"],
        gate=analysis["gate"],
        serving=analysis["serving_check"]["measured"],
        exports=analysis["exports"],
    )


def _difference(verdict: Verdict) -> str:
    if verdict.change is None:
        return "There was no version in production to compare it with."
    return f"accuracy {verdict.change.value:+.2%} against version {verdict.baseline}, on the same test images"


def _architecture(facts: Facts) -> str:
    """The names of files are left out: they may tell more about a machine than a reader should know."""
    config, tuned = facts.config, facts.training["tuned"]
    classifier = search_space.applied(config.classifier, tuned) if tuned else config.classifier
    backbone = classifier.backbone
    name = backbone.name or ("a SavedModel" if backbone.saved_model else f"layer {backbone.layer} of a Keras model")
    size = backbone.image_size
    return f"backbone: {name}; head: {classifier.head.kind}; images of {size} × {size} pixels"


def _data(facts: Facts) -> Iterator[dict[str, Any]]:
    for split, counts in facts.counts.splits.items():
        yield {"name": split, "description": f"{sum(counts.values())} images of {len(counts)} classes"}


def _training(history: Mapping[str, Any]) -> dict[str, Any]:
    phases = [
        {**{name: record[name] for name in _OF_A_PHASE}, "epochs": len(record["epochs"])}
        for record in history["phases"]
    ]
    return {"tuned": history["tuned"], "tuned_in_words": values.described(history["tuned"]), "phases": phases}


def _metrics(facts: Facts) -> Iterator[dict[str, Any]]:
    """The form of the Model Card Toolkit: one figure each; those that do not exist are left out."""
    verdict = facts.verdict
    if verdict.accuracy is not None:
        low, high = verdict.accuracy_bounds
        interval = {"lower_bound": low, "upper_bound": high}
        yield {"type": "accuracy", "value": verdict.accuracy, "confidence_interval": interval}
    for name, figures in _per_class(facts).items():
        for figure in ("recall", "precision"):
            if figures[figure] is not None:
                yield {"type": figure, "value": figures[figure], "slice": name}


def _test(facts: Facts) -> dict[str, Any]:
    verdict = facts.verdict
    return {
        "examples": verdict.examples,
        "accuracy": verdict.accuracy,
        "accuracy_bounds": list(verdict.accuracy_bounds),
        "per_class": _per_class(facts),
    }


def _per_class(facts: Facts) -> dict[str, dict[str, Any]]:
    nothing = ClassFigures(None, None, 0)
    return {name: dataclasses.asdict(facts.verdict.per_class.get(name, nothing)) for name in facts.classes}


def _gate(verdict: Verdict) -> dict[str, Any]:
    return {
        "blessed": verdict.blessed,
        "confidence": verdict.confidence,
        "baseline": verdict.baseline,
        "change": dataclasses.asdict(verdict.change) if verdict.change else None,
        "checks": [{**dataclasses.asdict(check), "title": check.title} for check in verdict.checks],
        "stress": dataclasses.asdict(verdict.stress) if verdict.stress else None,
        "probe": dataclasses.asdict(verdict.probe) if verdict.probe else None,
    }


def _limitations(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[str]:
    if override := manifest.get("blessed_anyway"):
        yield f"The model failed these checks, and was pushed all the same: {', '.join(override['failed'])}."
    yield (
        "The figures hold for images like those of the split test. Nothing was measured on images of other kinds, or "
        "of other things than these classes: the model names one of its classes there too, and whether its novelty "
        "finds such images was not measured."
    )
    yield from facts.warnings
    if facts.verdict.probe and facts.verdict.probe.is_better:
        yield f"{facts.verdict.probe.warning[:1].upper()}{facts.verdict.probe.warning[1:]}."
    yield (
        "Regraft does not know what the model is used for, or whom its mistakes concern. Whoever serves it has to "
        "judge that."
    )
