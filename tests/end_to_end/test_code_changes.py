"""The code of a stage is part of its cache key: changed code is never answered with an old result."""

import shutil
from pathlib import Path

import layers_model
import pytest

from components import code_digest
from config import loading, stages

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sources(tmp_path) -> Path:
    """A copy of the project's code."""
    for package in code_digest.PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def change(sources: Path, file: str) -> None:
    with (sources / file).open("a") as code:
        code.write("\nCHANGED = True\n")


def not_cached(run) -> set[str]:
    return {stage for stage, cached in run.cached.items() if not cached}


def test_a_changed_metric_evaluates_again_and_nothing_before(workspace, colours, first_run, sources):
    change(sources, "components/evaluator/metrics.py")
    run = workspace.run(workspace.configure(colours), sources=sources)
    assert run.exit_code == 0, run.output
    assert "Evaluator" in not_cached(run)
    # What is in production is BaselineModel's input as well, and other tests change it.
    before = list(run.cached)[: list(run.cached).index("BaselineModel")]
    assert "Trainer" in before and all(run.cached[stage] for stage in before)


def test_a_changed_head_trains_again_on_the_same_kept_activations(workspace, colours, first_run, sources):
    change(sources, "modules/heads.py")
    # The gate refuses the new model: the model that the other tests find in production stays there.
    refusing = workspace.configure(colours, gate={"min_test_examples": 1000})
    run = workspace.run(refusing, sources=sources)
    assert run.exit_code == 3, run.output
    assert {"Trainer", "Evaluator", "ServingCheck", "Pusher"} <= not_cached(run)
    assert run.cached["Transform"] and run.cached["TrunkFeatures"]


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("components/image_example_gen/split_assignment.py", {"ImageExampleGen"}),
        ("modules/data/decoding.py", {"ImageExampleGen", "Transform", "Evaluator"}),
        ("modules/trunk.py", {"TrunkFeatures", "LabelCheck", "Trainer"}),
        ("components/serving_directory.py", {"ExampleValidator", "BaselineModel", "Pusher"}),
        ("pipeline/summary.py", set()),
    ],
)
def test_only_stages_that_can_reach_a_file_have_another_key(colours, workspace, sources, monkeypatch, file, changed):
    """What follows a stage with another key runs again as well, unless the stage writes the same files again."""
    config = loading.load(workspace.configure(colours))
    before = keys(config, workspace.path / "root")
    change(sources, file)
    monkeypatch.setattr(code_digest, "ROOT", sources)
    after = keys(config, workspace.path / "root")
    assert {stage for stage in before if before[stage] != after[stage]} == changed


def test_a_shard_of_a_tensorflow_js_model_is_part_of_the_keys_of_the_stages_that_load_it(colours, workspace, tmp_path):
    spec = {"name": "layer/kernel", "shape": [4], "dtype": "uint8"}
    path = layers_model.write_parts(tmp_path, [spec], b"1234", {}, shard_bytes=2)
    backbone = {"name": "MobileNetV2", "image_size": 96, "weights": str(path)}
    config = loading.load(workspace.configure(colours, backbone=backbone))
    before = keys(config, workspace.path / "root")
    (tmp_path / "group1-shard2of2.bin").write_bytes(b"35")
    after = keys(config, workspace.path / "root")
    assert {stage for stage in before if before[stage] != after[stage]} == {"TrunkFeatures", "LabelCheck", "Trainer"}


def keys(config, root: Path) -> dict[str, dict]:
    """Stage to the parameters that are part of its cache key."""
    from pipeline import pipeline

    built = pipeline.create_pipeline(config, str(root), str(root / "serving"))
    found = {
        stage.id: {name: str(value) for name, value in stage.exec_properties.items()} for stage in built.components
    }
    assert set(found) < set(stages.STAGES)
    return found
