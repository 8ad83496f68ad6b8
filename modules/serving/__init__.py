"""The served model: its signatures, the answers that it is checked against, and its warm-up requests."""

from pathlib import Path

WARM_UP_FILE = Path("assets.extra", "tf_serving_warmup_requests")  # below the SavedModel; TF Serving looks for it there
# Kept here, where no TensorFlow is imported: the signature that draws heat maps, which not every model has.
EXPLAIN = "explain"
