"""Kubeflow Pipelines: compiles, runs and schedules the pipeline there, and has what its containers run."""
