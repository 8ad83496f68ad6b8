"""Configurations with a section `kubeflow`, and packages compiled from them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from kubeflow import compile as compiler
from kubeflow.package import Package

KUBEFLOW = {
    "image": "registry.example.com/regraft:1",
    "pipeline_root": "s3://bucket/regraft",
    "data_path": "/data/photos",
    "push_directory": "/data/models",
    "state_directory": "/data/state",
    "volumes": [{"claim": "photos", "mount": "/data"}],
}
SMALL: dict[str, Any] = {
    "name": "colours",
    "data": {"path": "photos"},
    "backbone": {"name": "EfficientNetLite0", "image_size": 96, "weights": "bundled"},
    "head": {"kind": "conv", "filters": [16], "dropout": 0.1},
    "training": {"batch_size": 16, "head": {"epochs": 3}, "fine_tune": {"epochs": 1, "layers": 8}},
    "gate": {"min_accuracy": 0.5, "min_test_examples": 5},
    "kubeflow": KUBEFLOW,
}


def write(folder: Path, kubeflow: dict[str, Any] | None = None, **sections: Any) -> Path:
    """Writes SMALL with other sections, and with other fields in its section `kubeflow`; None removes a field."""
    content = {**copy.deepcopy(SMALL), **sections}
    content["kubeflow"] = {key: value for key, value in {**KUBEFLOW, **(kubeflow or {})}.items() if value is not None}
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def compiled(folder: Path, kubeflow: dict[str, Any] | None = None, **sections: Any) -> Package:
    """Compiles the configuration that `write` makes, and reads the package's file."""
    output = folder / "package.yaml"
    compiler.build(compiler.load(str(write(folder, kubeflow, **sections)))).write(output)
    return Package(*yaml.safe_load_all(output.read_text(encoding="utf-8")))
