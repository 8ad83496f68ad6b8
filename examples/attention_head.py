"""A custom head: it weighs each position of the feature map, and averages the features with these weights."""

import keras
from keras import layers


def attention(features: keras.KerasTensor) -> keras.KerasTensor:
    """Turns a feature map [batch, height, width, channels] into vectors [batch, channels]."""
    weights = layers.Softmax(axis=(1, 2), name="attention_weights")(layers.Conv2D(1, 1, name="attention")(features))
    return layers.GlobalAveragePooling2D(name="attention_pool")(features * weights)
