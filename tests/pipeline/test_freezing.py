"""What a search found becomes part of the configuration file."""

import io
import json

import pytest

from config import loading
from config.errors import BadInputError, ExitCode
from pipeline import freezing

TEXT = """\
# which fruit?
name: fruit
data: {path: photos}  # mine
head:
  kind: conv  # best so far
  filters: [8]
training:
  seed: 3
  fine_tune: {layers: 20, epochs: 7}  # the top
tuner:
  trials: 5
  search:
    head.kind: [dense, conv]
    training.head.learning_rate: [1.0e-5, 1.0e-3]
    training.fine_tune.layers: [0, 20]
gate: {min_accuracy: 0.9}
"""
TUNED = {"head.kind": "dense", "training.head.learning_rate": 1e-5, "training.fine_tune.layers": 20}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "photos").mkdir()
    config, best = tmp_path / "fruit.yaml", tmp_path / "best_hyperparameters.txt"
    config.write_text(TEXT, encoding="utf-8")
    best.write_text(json.dumps({"space": [], "values": TUNED}), encoding="utf-8")
    return config, best


def freeze(files, dry_run=False) -> str:
    terminal = io.StringIO()
    assert freezing.freeze(str(files[0]), "no workspace", str(files[1]), dry_run, terminal) == ExitCode.OK
    return terminal.getvalue()


def test_the_file_has_the_values_and_keeps_everything_else(files):
    before = loading.load(files[0])
    shown = freeze(files)
    after = loading.load(files[0])
    assert after.tuner is None
    assert (after.head.kind, after.training.head.learning_rate) == ("dense", 1e-5)
    assert after.training.fine_tune == before.training.fine_tune
    assert (after.gate, after.data, after.training.seed) == (before.gate, before.data, 3)
    text = files[0].read_text(encoding="utf-8")
    for kept in ("# which fruit?", "data: {path: photos}  # mine", "# best so far", "# the top"):
        assert kept in text
    assert "filters" not in text and "tuner: null" in text
    assert "-  filters: [8]" in shown and "+  kind: dense" in shown
    assert [path.name for path in files[0].parent.iterdir() if path.name.startswith(".")] == []


def test_no_layers_become_no_phase_2(files):
    files[1].write_text(json.dumps({"values": {"training.fine_tune.layers": 0, "head.kind": "conv"}}))
    freeze(files)
    frozen = loading.load(files[0])
    assert frozen.training.fine_tune is None and frozen.head.filters == [8]


def test_a_dry_run_writes_nothing(files):
    assert "+tuner: null" in freeze(files, dry_run=True)
    assert files[0].read_text(encoding="utf-8") == TEXT


def test_a_frozen_file_cannot_be_frozen_again(files):
    freeze(files)
    with pytest.raises(BadInputError, match="tuner: is not set"):
        freeze(files)


def test_values_of_another_search_are_refused(files):
    files[1].write_text(json.dumps({"values": {**TUNED, "head.dropout": 0.1}}))
    with pytest.raises(BadInputError, match=r"tuned head.dropout, which the configuration does not search; run again"):
        freeze(files)
    assert files[0].read_text(encoding="utf-8") == TEXT


def test_a_pipeline_without_a_search_is_refused(files, tmp_path):
    with pytest.raises(BadInputError, match="no run of this pipeline has a stage Tuner"):
        freezing.freeze(str(files[0]), str(tmp_path / "workspace"), None, False, io.StringIO())


def test_a_file_that_would_mean_something_else_is_left_as_it_is(files, monkeypatch):
    monkeypatch.setattr(freezing.yaml_editing, "edited", lambda text, changes: TEXT.replace("0.9", "0.8"))
    with pytest.raises(BadInputError, match="set these by hand"):
        freeze(files)
    assert files[0].read_text(encoding="utf-8") == TEXT
    assert sorted(path.name for path in files[0].parent.iterdir()) == sorted(
        ["photos", "fruit.yaml", "best_hyperparameters.txt"]
    )
