import pytest

from benchmarks import harness, input_pipeline


def sides_of(output: str) -> dict[tuple[str, str], list[float]]:
    _, _, *rows = (line.strip("| ").split(" | ") for line in output.splitlines())
    return {(count, side): [float(value.replace(",", "")) for value in values] for count, side, *values in rows}


@pytest.mark.slow
def test_images_are_read_by_both_sides(run_main, photos, monkeypatch):
    monkeypatch.setattr(harness, "PHOTOS", photos)
    found = sides_of(run_main(input_pipeline.main, "images", "--images", 40, "--rounds", 1))
    assert list(found) == [("40", "Regraft"), ("40", "rival")]
    assert all(value > 0 for values in found.values() for value in values)
    assert found["40", "rival"][2] == 1


def test_features_are_read_by_both_sides_from_memory_and_from_a_file(run_main, monkeypatch):
    monkeypatch.setattr(input_pipeline, "_MOST_READ", 64)
    for options in ((), ("--mapped",)):
        arguments = ("features", "--rows", 40, 100, "--rounds", 1, *options)
        found = sides_of(run_main(input_pipeline.main, *arguments))
        assert list(found) == [(rows, side) for rows in ("40", "100") for side in ("Regraft", "rival")]
        assert all(value > 0 for values in found.values() for value in values)
