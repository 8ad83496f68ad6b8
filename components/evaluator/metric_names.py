"""The names of the gate's metrics, in TFMA's files, in `verdict.json` and in `summary.json`."""

from __future__ import annotations

import enum

from config.gate import JudgedBy


class Metric(enum.StrEnum):
    """A metric of a candidate on a slice of the test split."""

    # TFMA's own metrics.
    ACCURACY = "accuracy"  # of a class's slice it is the recall
    EXAMPLE_COUNT = "example_count"  # number of images
    CONFUSION = "confusion"  # the confusion matrix

    # Measures of one model, see metrics.MEASURES.
    ACCURACY_LOWER = "accuracy_lower"  # Wilson's lower confidence bound of the accuracy
    ACCURACY_UPPER = "accuracy_upper"  # its upper bound
    CALIBRATION_ERROR = "calibration_error"  # expected calibration error, 0 to 1
    VALID = "valid"  # share of images whose probabilities are all numbers from 0 to 1
    SPREAD = "spread"  # largest difference of a class's probability between two images; 0: the answer never changes
    FALSE_REJECTS = "false_rejects"  # share of images that the model calls unlike its training images, 0 to 1
    FALSE_REJECTS_LOWER = "false_rejects_lower"  # Wilson's lower confidence bound of that share
    FALSE_REJECTS_UPPER = "false_rejects_upper"  # its upper bound
    RAREST_CLASS_EXAMPLES = "rarest_class_examples"  # images of the class with the fewest, of all that the model knows

    # Comparisons of the candidate with the baseline on the same images, see metrics.COMPARISONS.
    ACCURACY_CHANGE = "accuracy_change"  # accuracy of the candidate minus accuracy of the baseline
    ACCURACY_CHANGE_LOWER = "accuracy_change_lower"  # Tango's lower confidence bound of the change
    ACCURACY_CHANGE_UPPER = "accuracy_change_upper"  # its upper bound
    ACCURACY_CHANGE_PROBABILITY = "accuracy_change_probability"  # McNemar's two-sided p-value
    LARGEST_DIFFERENCE = "largest_difference"  # of the logarithm of a probability, over all classes and images
    DISAGREEMENT = "disagreement"  # share of images that exactly one of the two models classifies correctly

    # The stress test, see stress/judgement.py. TFMA does not measure it.
    STRESS_FALL = "stress_fall"  # accuracy of the candidate on the same images without a corruption minus with it
    STRESS_CHANGE = "stress_change"  # accuracy of the candidate under a corruption minus that of the baseline

    # The linear probe, see linear_probe.py. TFMA does not measure it.
    PROBE_DIFFERENCE = "probe_difference"  # accuracy of the candidate minus that of the probe

    # Of an export, beside the SavedModel on the same images; see export_checks.py. TFMA does not measure them.
    AGREEMENT = "agreement"  # share of images to which both answer the same class
    EXPORT_ACCURACY_CHANGE = "export_accuracy_change"  # accuracy of the export minus accuracy of the SavedModel
    PROBABILITY_DIFFERENCE = "probability_difference"  # largest difference of a probability
    FILE_BYTES = "file_bytes"  # size of the file
    P50_MS = "p50_ms"  # median time of one image in one thread, milliseconds

    def judged_by(self, judged: JudgedBy) -> Metric:
        """The metric itself, or the metric that is its confidence bound."""
        return self if judged == "value" else Metric(f"{self}_{judged}")

    def unjudged(self) -> tuple[Metric, JudgedBy]:
        """The inverse of `judged_by`."""
        for metric in (Metric.ACCURACY, Metric.ACCURACY_CHANGE, Metric.FALSE_REJECTS):
            for judged in _BOUNDS:
                if self == metric.judged_by(judged):
                    return metric, judged
        return self, "value"


_BOUNDS: tuple[JudgedBy, ...] = ("lower", "upper")
