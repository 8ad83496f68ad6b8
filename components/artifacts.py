"""Artifact types that TFX lacks."""

from tfx.types import artifact


class IngestReport(artifact.Artifact):
    """What happened to each image file. components/image_example_gen/report.py describes its files."""

    TYPE_NAME = "regraft.IngestReport"  # Kubeflow Pipelines requires a dot in the name of a custom type


class ImageFeatures(artifact.Artifact):
    """One vector per image of every split. components/label_check/image_features.py describes its files."""

    TYPE_NAME = "regraft.ImageFeatures"


class LabelFindings(artifact.Artifact):
    """Labels that may be wrong. components/label_check/results.py describes its files."""

    TYPE_NAME = "regraft.LabelFindings"


class ModelExports(artifact.Artifact):
    """A model in formats for devices. modules/exporting/export_files.py describes its files."""

    TYPE_NAME = "regraft.ModelExports"
