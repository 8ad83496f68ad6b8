"""The pipeline: its stages, the local runner, the summary of a run, past runs and versions."""

import modules  # noqa: F401  settles which Keras the process uses, before anything imports TensorFlow
