import re

import benchmarking
import pytest

from benchmarks import slices


@pytest.mark.parametrize("what", ["search", "sizes", "shortcuts"])
def test_each_simulation_has_a_row_of_rates(run_main, monkeypatch, what):
    lines = run_main(slices.main, what, "--simulations", 1, "--images", 200).splitlines()
    columns = {line.count("|") for line in lines}
    assert len(columns) == 1, "all rows have the same columns"
    assert len(lines) - 2 == {"search": 3, "sizes": 2, "shortcuts": 6}[what]
    rates = [int(rate) for line in lines[2:] for rate in re.findall(r"(\d+)% ", line)]
    assert rates and set(rates) <= set(range(101))
    assert "nan" not in "".join(lines)


def test_pairs_are_told_apart_by_facts_of_real_images(run_main, photos):
    table = benchmarking.rows(run_main(slices.main, "pairs", photos, photos))
    named = {fact for fact, *_ in list(table.values())[2:]}
    assert named <= {"brightness", "sharpness", "the size", "the aspect ratio"} and "brightness" in named
