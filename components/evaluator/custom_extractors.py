"""The function that TFX's Evaluator calls by its name for TFMA's extractors.

https://www.tensorflow.org/tfx/api_docs/python/tfx/v1/components/Evaluator calls it `custom_extractors`. TFX reloads the
module, so it must not hold anything.
"""

from __future__ import annotations

import functools
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.api import types as tfma_types
from tensorflow_model_analysis.extractors import extractor, unbatch_extractor

from components.evaluator import prediction_writer
from modules.serving import loaded


def extractors(
    eval_shared_model: Any, eval_config: tfma.EvalConfig, tensor_adapter_config: Any
) -> list[extractor.Extractor]:
    """TFMA's own extractors, and one that writes the predictions while they are still in batches.

    Args:
      eval_shared_model: the candidate, or the candidate and the baseline.
      eval_config: TFMA's configuration, with the names of both models.
      tensor_adapter_config: how features become tensors; passed on.
    """
    own = tfma.default_extractors(
        eval_shared_model=_loaded_once(eval_shared_model),
        eval_config=eval_config,
        tensor_adapter_config=tensor_adapter_config,
    )
    batches_end = [one.stage_name for one in own].index(unbatch_extractor.UNBATCH_EXTRACTOR_STAGE_NAME)
    write = extractor.Extractor("WritePredictions", prediction_writer.WritePredictions(eval_config))
    return [*own[:batches_end], write, *own[batches_end:]]


def _loaded_once(shared: Any) -> Any:
    """The same model or models, in memory once per process: Evaluator has asked each for its class names already."""
    if isinstance(shared, list):
        return [_loaded_once(one) for one in shared]
    construct = functools.partial(loaded.load, shared.model_path)
    return shared._replace(model_loader=tfma_types.ModelLoader(tags=shared.model_loader.tags, construct_fn=construct))


PATH = f"{__name__}.{extractors.__name__}"  # what TFX imports
