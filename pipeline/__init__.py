"""The pipeline: its configuration, its chain of stages, its local runner, and what it tells a person."""

import modules  # noqa: F401  settles which Keras the process uses, before anything imports TensorFlow
