"""The process that others are forked from, with TensorFlow and TFX loaded: their import takes ten seconds of a core.

multiprocessing has one such server per process of pytest. It starts with the first process of CONTEXT and serves all
of them, so it imports what any of them needs: the stages of a run on this machine, and those in emulated pods.
"""

from __future__ import annotations

import multiprocessing

PRELOADED = (
    "pipeline.stage_runner",
    "pipeline.pipeline",  # with it all executors, ours and TFX's
    "pipeline.report.page",
    "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_entrypoint_utils",
    "modules.preprocessing",
    "modules.trainer",
)

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(list(PRELOADED))
