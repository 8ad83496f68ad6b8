"""The table of the trials."""

import logging

import pytest

from modules.tuning import results


@pytest.mark.parametrize(("gain", "expected"), [(0.0612, "is lower by 0.0612"), (-0.0124, "is higher by 0.0124")])
def test_the_comparison_with_the_configuration_says_in_which_direction(caplog, gain, expected):
    caplog.set_level(logging.INFO)
    compared = {"trial": 2, "gain": gain, "standard_error": 0.01}
    results.log_table({"trials": [], "compared": compared, "best": 1})
    assert f"trial 2 has a log loss that {expected} than the configuration's" in caplog.text
