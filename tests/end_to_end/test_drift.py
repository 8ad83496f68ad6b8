"""Data that is no longer what production was trained on."""

from pathlib import Path

import pytest
from drawing import colour_tree, encode, flat
from PIL import Image

pytestmark = pytest.mark.slow


@pytest.fixture
def night(tmp_path) -> Path:
    """The same classes and one more, at night."""
    root = colour_tree(tmp_path / "photos", per_class=40)
    for file in root.rglob("*.png"):
        Image.open(file).point(lambda value: value // 4).save(file)
    (root / "teal").mkdir()
    for index in range(40):
        (root / "teal" / f"{index}.png").write_bytes(encode(flat((0, 50, 50), (40, 40), seed=9000 + index)))
    return root


def test_data_that_changed_too_much_stops_the_run_and_says_in_what(workspace, first_run, night):
    drift = {"new_classes": "stop", "beyond": "stop"}
    run = workspace.run(workspace.configure(night, data={"drift": drift}))
    assert run.exit_code == 2
    assert (
        "ExampleValidator failed: data.drift: the images differ too much from those that production was trained on"
        in run.output
    )
    assert "new classes, which production does not know: 'teal'" in run.output
    assert "brightness is lower: median 0." in run.output
    assert "Transform" not in run.output and run.versions == first_run.versions


def test_production_keeps_what_its_data_was_like(first_run):
    version = first_run.folder / "serving" / "1" / "assets.extra"
    of_the_data = {"data_statistics.pb", "data_schema.pbtxt"}
    assert {path.name for path in version.iterdir()} == of_the_data | {
        "regraft.json",
        "tf_serving_warmup_requests",
        "model_card.md",
        "model_card.json",
    }
