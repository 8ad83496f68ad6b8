"""The section `gate`, beside the other sections."""

import pytest

from config import loading
from config.errors import BadInputError


def load(folder, text):
    (folder / "photos").mkdir()
    (folder / "run.yaml").write_text(f"name: fruit\ndata: {{path: photos}}\n{text}\n")
    return loading.load(str(folder / "run.yaml"))


def test_a_probe_must_be_computed_to_be_beaten(tmp_path):
    with pytest.raises(
        BadInputError, match=r"gate\.must_beat_probe: LabelCheck computes the features of the probe; rem"
    ):
        load(tmp_path, "label_check: null\ngate: {must_beat_probe: true}")


def test_a_stress_test_is_off_and_compares_with_production_when_it_is_on(tmp_path):
    config = load(tmp_path, "gate: {stress: {}, must_beat_probe: true}")
    assert (config.gate.stress.images, config.gate.stress.max_regression) == (160, 0.05)
    assert type(config.gate)().stress is None


@pytest.mark.parametrize("text", ["{severity: 6}", "{severity: 0}", "{images: 19}", "{max_fall: 1.1}", "{fall: 0.1}"])
def test_a_stress_test_that_cannot_be_is_refused_with_its_field(tmp_path, text):
    with pytest.raises(BadInputError, match=r"gate\.stress\.(severity|images|max_fall|fall): "):
        load(tmp_path, f"gate: {{stress: {text}}}")
