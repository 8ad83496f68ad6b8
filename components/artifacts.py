"""Artifact types that TFX doesn't have."""

from tfx.types import artifact


class IngestReport(artifact.Artifact):
    """What became of every file: the files that image_example_gen/report.py describes."""

    TYPE_NAME = "regraft.IngestReport"  # Kubeflow Pipelines wants a dot in the name of a custom type
