import re

import pytest

from benchmarks import ingest


@pytest.mark.slow
def test_each_side_has_its_speed_and_memory(run_main, forked):
    sides = ("tf.data", "ImportExampleGen", "one worker")
    output = run_main(ingest.main, "--images", 10, "--rounds", 1, "--sides", *sides)
    head, *rows = output.splitlines()
    assert re.fullmatch(r"10 images, [1-9]\d* kB each, 1 rounds", head)
    assert len(rows) == len(sides)
    for side, row in zip(sides, rows, strict=True):
        speed, ratio, peak = map(float, re.search(r"(\d+) images/s, +([\d.]+) times.*peak ([\d.]+) GiB", row).groups())
        assert row.strip().startswith(side)
        assert speed > 0 and ratio > 0 and peak > 0.1
    assert " 1.00 times as long as tf.data" in rows[0]
