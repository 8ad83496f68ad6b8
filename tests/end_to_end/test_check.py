"""`regraft check`: the configuration and the data, without a training."""

import json
import re
import shutil

import pytest
from drawing import colour_tree

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = colour_tree(tmp_path_factory.mktemp("checked") / "photos", per_class=30)
    shutil.copy(root / "cyan" / "0.png", root / "cyan" / "copy.png")
    (root / "cyan" / "notes.png").write_text("no image")
    return root


def test_a_check_counts_the_images_and_leaves_the_rest_to_a_run(workspace, photos, regraft, tmp_path):
    gate = {"min_test_examples": 1, "on_missing_class": "warn", "min_accuracy": 0.0}
    config = workspace.configure(photos, name="checked", gate=gate, data={"splits": {"train": 1, "eval": 1, "test": 1}})
    checked = workspace.run(config, "--json", str(tmp_path / "found.json"), command="check")
    assert checked.exit_code == 0, checked.output
    lines = checked.output.splitlines()
    stages = [line.split()[0] for line in lines if re.match(r"[A-Z]\w+ +(\d|cached)", line)]
    assert stages == ["ImageExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator"]
    assert "92 images: 90 used, 1 quarantined (not-an-image 1), 1 duplicates" in checked.output
    assert re.search(r"^  cyan +33.3% +\d+ +\d+ +\d+ *$", checked.output, re.MULTILINE)
    assert re.search(
        r"^\d+ test images: the lowest accuracy that passes, .*, would have the bounds ", checked.output, re.MULTILINE
    )
    assert re.search(
        r"^warning: brightness alone tells a class from all others: (cyan|magenta|yellow) with 100% \(balanced ",
        checked.output,
        re.MULTILINE,
    )
    warnings = sum(line.startswith("warning: ") for line in lines)
    counted = {0: "no warnings", 1: "1 warning"}.get(warnings, f"{warnings} warnings")
    assert lines[-1] == f"no errors, {counted}; nothing was trained; to train: regraft run {config}"
    assert (checked.summary, checked.versions) == (None, [])

    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == {"data", "warnings"}
    run = workspace.run(config)
    assert run.exit_code == 0, run.output
    assert found["data"] == run.summary["data"]
    of_data = run.summary["warnings"][: len(found["warnings"])]  # those of the model follow
    assert found["warnings"] == of_data
    first_stages = dict(list(run.cached.items())[:4])
    assert first_stages == dict.fromkeys(stages, True), "the run takes what was checked from the cache"
    listed = regraft("history", run.folder).output
    assert len(re.findall(r"^ +\d+ +\d{4}-", listed, re.MULTILINE)) == 1, "a check is no run"


def test_a_check_has_the_exit_codes_of_a_run(workspace, photos, tmp_path):
    strict = workspace.configure(photos, name="strict-check", data={"max_bad_fraction": 0.0})
    (tmp_path / "found.json").write_text("of an earlier check")
    checked = workspace.run(strict, "--json", str(tmp_path / "found.json"), command="check")
    assert checked.exit_code == 2 and not (tmp_path / "found.json").exists()
    assert "1 of 92 files" in checked.output and "max_bad_fraction" in checked.output
    wrong = workspace.configure(photos, name="wrong-check", training={"fine_tune": {"layers": "nope"}})
    checked = workspace.run(wrong, command="check")
    assert checked.exit_code == 2 and "training.fine_tune.layers" in checked.output
    assert "ImageExampleGen" not in checked.output
