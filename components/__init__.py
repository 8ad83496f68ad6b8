"""The stages that TFX doesn't have, or not as Regraft needs them: one folder a component."""

import modules  # noqa: F401  settles which Keras the process uses, before anything imports TensorFlow
