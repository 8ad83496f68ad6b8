import math

import numpy as np
import pytest

from benchmarks import scores


def test_scores_of_a_case_counted_by_hand():
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])
    found = scores.score(labels, probabilities, [9, 1])
    assert found.accuracy == 0.5
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 0) / 2)
    assert found.weighted_accuracy == pytest.approx(0.9 * 2 / 3)
    assert found.log_loss == pytest.approx(-(math.log(0.8) + math.log(0.6) + math.log(0.3) + math.log(0.1)) / 4)
    assert found.images == 4


def test_the_calibration_error_weighs_each_bin_by_its_images():
    right = np.array([True, False, True, True])
    confidence = np.array([0.61, 0.69, 0.95, 1.0])  # of five bins, (0.6, 0.8] and (0.8, 1]
    # |1/2 - 0.65| for two images, |1 - 0.975| for two images
    assert scores.calibration_error(right, confidence, bins=5) == pytest.approx(0.5 * 0.15 + 0.5 * 0.025)


def test_a_confidence_at_the_edge_belongs_to_the_bin_below():
    right, confidence = np.array([True, False]), np.array([0.5, 0.6])
    assert scores.calibration_error(right, confidence, bins=2) == pytest.approx(0.5 * 0.5 + 0.5 * 0.6)


def test_a_certain_wrong_answer_costs_a_finite_loss():
    assert scores.score(np.array([1]), np.array([[1.0, 0.0]]), [1, 1]).log_loss == pytest.approx(16.118, abs=0.001)
