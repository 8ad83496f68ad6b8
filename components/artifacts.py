"""Artifact types that TFX lacks."""

from tfx.types import artifact


class IngestReport(artifact.Artifact):
    """What happened to each image file. components/image_example_gen/report.py describes its files."""

    TYPE_NAME = "regraft.IngestReport"  # Kubeflow Pipelines requires a dot in the name of a custom type
