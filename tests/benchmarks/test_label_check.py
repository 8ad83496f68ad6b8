import benchmarking
import numpy as np

from benchmarks import label_check
from config.backbone import BackboneConfig


def test_planted_errors_are_as_many_as_asked_for_and_spread_over_the_other_classes():
    labels = np.arange(3000) % 5
    planted, is_wrong = label_check.plant(labels, 0.1, seed=1)
    assert is_wrong.sum() == 300
    assert ((planted != labels) == is_wrong).all()
    steps = (planted - labels)[is_wrong] % 5
    assert np.bincount(steps, minlength=5)[0] == 0 and np.bincount(steps)[1:].min() > 50
    assert set(planted) == set(range(5))


def test_a_seed_always_plants_the_same_errors():
    labels = np.arange(100) % 3
    one, other, third = (label_check.plant(labels, 0.2, seed)[0] for seed in (1, 1, 2))
    assert (one == other).all() and (one != third).any()


def test_each_method_has_a_row_of_shares(run_main, photos, small, tmp_path, monkeypatch):
    monkeypatch.setattr(label_check, "BackboneConfig", lambda image_size: BackboneConfig.model_validate(small))
    arguments = (photos, "--seeds", 1, "--share", 0.1, "--image-size", 32, "--features", tmp_path / "features.npz")
    output = run_main(label_check.main, *arguments)
    assert "60 images, 3 classes" in output
    table = benchmarking.rows(output)
    assert {"LabelCheck", "one pass", "last block only", "cleanlab, both"} <= set(table)
    for planted, found, right, in_clean, seconds in list(table.values())[2:]:
        assert planted == "6" and 0 <= int(in_clean) <= 60 and float(seconds) >= 0
        assert all(0 <= float(share.strip("%")) <= 100 for share in (found, right))
    found = {name: float(row[1].strip("%")) for name, row in list(table.items())[2:]}
    assert max(found.values()) > 50, found
    again = benchmarking.rows(run_main(label_check.main, *arguments, "--without-cleanlab"))
    assert [row[:4] for row in again.values()] == [row[:4] for name, row in table.items() if "cleanlab" not in name]
