"""The signatures of a served model. It contains the transform graph, the classifier and the class names.

| signature         | takes                                    | gives                                               |
|-------------------|------------------------------------------|-----------------------------------------------------|
| `serving_default` | `examples`: string [batch], serialized   | the answers below                                   |
| `serve_images`    | `images`: string [batch], encoded images | the answers below                                   |
| `class_names`     | `unused`: string [batch], anything       | `class_names`: string [batch, classes], by index    |
| `true_labels`     | `examples`: string [batch], serialized   | `label`: int64 [batch], index of the true class, -1 |
| `explain`         | `images`: string [batch], encoded images | `label` and `score` as below, and what follows      |

Answers: `probabilities` float32 [batch, classes], `label` string [batch], `score` float32 [batch], the probability of
`label`. `true_labels` is for the Evaluator: it looks labels up without decoding the images a second time.

A model that was trained with the section `novelty` answers besides with `novelty`, float32 [batch] in [0, 1], see
novelty.py, and `in_scope`, bool [batch]: whether `novelty` is at most novelty_threshold.THRESHOLD.

`explain` gives besides `heat_maps`, float32 [batch, rows, columns] in [0, 1], the places that speak for `label`, see
heat_maps.py; and `pixels`, uint8 [batch, height, width, 3], RGB, what they are the places of: the image as the model
sees it. A model without a feature map has no `explain`.

The function `classify`, which is no signature, takes images as Transform gives them, float32 [batch, height, width, 3],
and gives probabilities, float32 [batch, classes]. Export makes the files for devices from it.

TF Serving's REST API refuses a signature without inputs, and its batching one whose outputs have not as many rows as
its inputs. So every signature has an input, and every input and output has the batch as its first dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from modules.data import features
from modules.serving import EXPLAIN, class_names
from modules.serving.novelty_threshold import THRESHOLD

if TYPE_CHECKING:
    from modules.serving.heat_maps import HeatMaps

SERVING_DEFAULT = "serving_default"
SERVE_IMAGES = "serve_images"
CLASS_NAMES = class_names.SIGNATURE
TRUE_LABELS = "true_labels"
CLASSIFY = "classify"
OF_A_CANDIDATE = (SERVING_DEFAULT, CLASS_NAMES, TRUE_LABELS)  # those that Evaluator calls

EXAMPLES, IMAGES, UNUSED = "examples", "images", "unused"
PROBABILITIES = "probabilities"
LABEL = "label"
SCORE = "score"
NOVELTY = "novelty"
IN_SCOPE = "in_scope"
HEAT_MAPS = "heat_maps"
PIXELS = "pixels"


def export(
    classifier: keras.Model,
    transform_output: tft.TFTransformOutput,
    classes: Sequence[str],
    directory: str,
    heat_maps: HeatMaps | None = None,
) -> None:
    """Writes a SavedModel with the signatures above.

    Args:
      classifier: preprocessed images, float32 [batch, image_size, image_size, 3], to probabilities [batch, classes];
        or to these and the novelty, float32 [batch], as novelty.attached makes it.
      transform_output: the graph that the classifier was trained behind.
      classes: class names by index.
      directory: of the SavedModel; it is made if it is missing.
      heat_maps: as heat_maps.of makes it of the same classifier, for `explain`; None for no such signature.
    """
    module = _ServedModel(classifier, transform_output, classes)
    signatures = {
        SERVING_DEFAULT: module.serve_examples,
        SERVE_IMAGES: module.serve_images,
        CLASS_NAMES: module.names,
        TRUE_LABELS: module.true_labels,
    }
    if heat_maps is not None:
        signatures[EXPLAIN] = module.explain_with(heat_maps)
    tf.saved_model.save(module, directory, signatures=signatures)


class _ServedModel(tf.Module):
    """Traces each function once, also that of the classifier, which two signatures share."""

    def __init__(self, classifier: keras.Model, transform_output: tft.TFTransformOutput, classes: Sequence[str]):
        super().__init__()
        self._transform = transform_output.transform_features_layer()  # tracked, so that it is saved with the model
        self._class_names = list(classes)
        # As keras.export.ExportArchive does: variables are saved, not every layer that holds them. A SavedModel inside
        # may hold tables and the like too.
        self._variables = [variable.value for variable in classifier.variables]
        self._saved_models = [
            layer for layer in classifier._flatten_layers() if isinstance(layer, keras.layers.TFSMLayer)
        ]
        pixels = tf.TensorSpec([None, *classifier.input.shape[1:]], tf.float32)
        names = (PROBABILITIES, NOVELTY)[: len(classifier.outputs)]
        self.classify = tf.function(
            lambda image: dict(zip(names, tf.nest.flatten(classifier(image, training=False)), strict=True)),
            input_signature=[pixels],
            autograph=False,
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, EXAMPLES)], autograph=False)
    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {features.ENCODED: tf.io.FixedLenFeature([], tf.string)}
        return self._answer(tf.io.parse_example(examples, spec)[features.ENCODED])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, IMAGES)], autograph=False)
    def serve_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._answer(images)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, UNUSED)], autograph=False)
    def names(self, unused: tf.Tensor) -> dict[str, tf.Tensor]:
        return {CLASS_NAMES: tf.tile(tf.constant([self._class_names]), [tf.size(unused), 1])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, EXAMPLES)], autograph=False)
    def true_labels(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        # The transform graph gives the same numbers, but holds the decoders too: TF Serving would prepare them.
        spec = {features.LABEL: tf.io.FixedLenFeature([], tf.string)}
        labels = tf.io.parse_example(examples, spec)[features.LABEL]
        same = tf.equal(labels[:, tf.newaxis], self._class_names)
        index = tf.argmax(same, axis=-1, output_type=tf.int64)
        return {LABEL: tf.where(tf.reduce_any(same, axis=-1), index, features.NO_CLASS)}

    def explain_with(self, heat_maps: HeatMaps) -> Any:
        """The function of the signature `explain`."""

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, IMAGES)], autograph=False)
        def explain(images: tf.Tensor) -> dict[str, tf.Tensor]:
            transformed = self._transformed(images)
            image, pixels = (transformed[name] for name in (features.TRANSFORMED_IMAGE, features.TRANSFORMED_PIXELS))
            probabilities = self.classify(image)[PROBABILITIES]
            return {
                HEAT_MAPS: heat_maps(image, tf.argmax(probabilities, axis=-1)),
                PIXELS: tf.saturate_cast(tf.round(pixels), tf.uint8),
                **self._best(probabilities),
            }

        return explain

    def _answer(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        answers: dict[str, tf.Tensor] = self.classify(self._transformed(encoded)[features.TRANSFORMED_IMAGE])
        if NOVELTY in answers:
            answers[IN_SCOPE] = answers[NOVELTY] <= THRESHOLD  # a NaN is not in scope
        return {**answers, **self._best(answers[PROBABILITIES])}

    def _transformed(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed: dict[str, tf.Tensor] = self._transform({features.ENCODED: encoded[:, tf.newaxis]})
        return transformed

    def _best(self, probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            LABEL: tf.gather(tf.constant(self._class_names), tf.argmax(probabilities, axis=-1)),
            SCORE: tf.reduce_max(probabilities, axis=-1),
        }
