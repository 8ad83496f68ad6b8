"""The table of slices: bands in their order, and not dozens of rows."""

from components.evaluator.figures import SliceFigures
from config import image_facts
from pipeline.report import slices


def figures(name: str, accuracy: float = 0.9) -> SliceFigures:
    return SliceFigures(name, 10, accuracy, (0.8, 1.0), None, None)


def test_bands_are_in_their_order_and_features_have_plain_names():
    names = sorted(f"{image_facts.BRIGHTNESS_BAND}={band}" for band in image_facts.BRIGHTNESS_BANDS)
    table = slices.table(map(figures, ["overall", "column/farm=", "column/farm=north", *names]))
    assert [(row.feature, row.value) for row in table.rows] == [
        ("", ""),
        ("column farm", ""),
        ("column farm", "north"),
        *(("brightness", band) for band in ("very dark", "dark", "medium", "bright", "very bright")),
    ]
    assert table.left_out == {}


def test_of_many_cameras_those_with_the_lowest_accuracy_are_shown():
    cameras = [figures(f"{image_facts.CAMERA}=camera {number:02}", number / 100) for number in range(30)]
    table = slices.table([figures("overall"), *reversed(cameras)])
    assert table.left_out == {"camera": 10}
    assert [row.value for row in table.rows[1:]] == [f"camera {number:02}" for number in reversed(range(20))]
