"""The signature `class_names`, as those call it who have a served model before them, of whatever age."""

from __future__ import annotations

from typing import Any

SIGNATURE = "class_names"


def read(model: Any) -> list[str]:
    """The class names that a served model answers with, by index.

    Args:
      model: as tf.saved_model.load gives it. Models of Regraft 0.4 and before take no input and give string [classes];
        later ones take string [batch] and give string [batch, classes].

    Raises:
      KeyError: if it has no such signature.
    """
    import tensorflow as tf  # takes seconds, which nobody shall pay who only needs the name

    signature = model.signatures[SIGNATURE]
    inputs = {name: tf.zeros([1], spec.dtype) for name, spec in signature.structured_input_signature[1].items()}
    names = signature(**inputs)[SIGNATURE].numpy()
    return [name.decode("utf-8") for name in (names[0] if names.ndim == 2 else names).tolist()]
