"""Which devices train, and in what precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from config.errors import BadInputError


class DevicesError(BadInputError):
    """There are fewer devices than asked for."""


def strategy(replicas: int | str) -> tf.distribute.Strategy:
    """One device, or a mirror of the model on several of the best kind that the machine has.

    Raises:
      DevicesError: if there are fewer than asked for.
    """
    devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    if replicas == "auto":
        replicas = max(1, len(devices))
    elif len(devices) < int(replicas):
        devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    if int(replicas) == 1:
        return tf.distribute.get_strategy()
    if len(devices) < int(replicas):
        raise DevicesError(f"training.replicas: {replicas} devices are needed; TensorFlow sees {devices}")
    return tf.distribute.MirroredStrategy(devices[: int(replicas)])


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Sets Keras's dtype policy, and restores it: the policy is global, and other stages share the process."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
