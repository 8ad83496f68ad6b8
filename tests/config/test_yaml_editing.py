"""Values change in a YAML text; comments, order and all other values stay."""

import yaml

from config.yaml_editing import DELETED, edited

TEXT = """\
# at the top
name: fruit   # my name
data:
    path: photos
    labels: [yes, "no"]
head: {kind: conv, filters: [128, 64], dropout: 0.3}
training:
    # rates
    head: {learning_rate: 1.0e-3}
    fine_tune:
        layers: 20    # the last ones
other:
    - a
    - b: 012
"""


def test_a_value_changes_in_its_line_alone():
    changed = edited(TEXT, {("training", "fine_tune", "layers"): 10})
    assert changed == TEXT.replace("layers: 20 ", "layers: 10 ")


def test_new_sections_and_removed_fields():
    changes = {
        ("head", "kind"): "dense",
        ("head", "filters"): DELETED,
        ("head", "no_such"): DELETED,
        ("no", "such"): DELETED,
        ("training", "head", "learning_rate"): 1e-5,
        ("training", "loss", "label_smoothing"): 0.1,
        ("head", "sizes"): [1, 2],
        ("tuner",): None,
    }
    changed = edited(TEXT, changes)
    before, after = yaml.safe_load(TEXT), yaml.safe_load(changed)
    assert after["head"] == {"kind": "dense", "dropout": 0.3, "sizes": [1, 2]}
    assert after["training"] == {
        "head": {"learning_rate": 1e-5},  # a number for YAML 1.1 too
        "fine_tune": {"layers": 20},
        "loss": {"label_smoothing": 0.1},
    }
    assert (after["data"], after["other"]) == (before["data"], before["other"])
    assert after["tuner"] is None and "no" not in after
    untouched = [line for line in TEXT.splitlines() if "head:" not in line]
    assert [line for line in changed.splitlines() if line in untouched] == untouched
