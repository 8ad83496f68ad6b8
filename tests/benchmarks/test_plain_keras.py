import keras
import numpy as np
import pytest

from benchmarks import plain_keras
from benchmarks.training import CASES
from config.backbone import BackboneConfig
from modules.backbones import builders, freezing
from modules.data.normalization import PREPROCESSING


def test_both_sides_have_the_same_genuine_weights_and_preprocessing():
    section = {**CASES["mobilenetv2-conv-20"].backbone, "image_size": 32}
    backbone, preprocess = plain_keras.build_backbone(section)
    config = BackboneConfig.model_validate(section)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    expected = builders.load(config)(PREPROCESSING[str(config.preprocessing)](pixels))
    assert np.array_equal(backbone(preprocess(pixels)), expected)
    random = keras.applications.MobileNetV2((32, 32, 3), include_top=False, weights=None)
    spread = [np.std(model.get_layer("Conv1").get_weights()[0]) for model in (backbone, random)]
    assert spread[0] > 2 * spread[1], "the weights are not random"


@pytest.mark.parametrize("freeze", [True, False])
def test_phase_2_trains_what_the_pipeline_trains_if_depthwise_kernels_are_frozen(small, freeze):
    backbone, _ = plain_keras.build_backbone(small)
    freezing.unfreeze_top(backbone, 6)
    in_pipeline = [variable.path for variable in backbone.trainable_variables]
    backbone.trainable = False  # as phase 1 left it
    plain_keras._unfreeze_top(backbone, 6, freeze)
    in_script = [variable.path for variable in backbone.trainable_variables]
    assert in_pipeline and set(in_pipeline) <= set(in_script)
    assert any("depthwise" in path for path in in_script) is not freeze
    assert freeze is (in_pipeline == in_script)
