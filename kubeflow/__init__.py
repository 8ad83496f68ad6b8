"""The pipeline on Kubeflow Pipelines: compiled, submitted, scheduled; and what its containers run."""
