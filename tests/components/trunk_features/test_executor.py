import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import folder_of
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from components.trunk_features import executor
from components.trunk_features.extractor import Extractor, Recipe
from config.augmentation import AugmentationConfig
from config.backbone import BackboneConfig
from config.beam import BeamConfig
from modules.data import trunk_features
from modules.data.trunk_features import Manifest

RECIPE = Recipe(backbone=BackboneConfig(image_size=96), layers=10, dtype="float32")


@pytest.fixture
def execute(tmp_path, transform_output, example_files):
    """Runs the executor on the examples; gives the folder of its output."""
    examples = standard_artifacts.Examples()
    examples.uri, examples.split_names = str(tmp_path / "examples"), '["train", "eval", "test"]'
    for split, pattern in example_files.items():
        (tmp_path / "examples" / f"Split-{split}").mkdir(parents=True)
        shutil.copy(pattern.replace("*", ".gz"), tmp_path / "examples" / f"Split-{split}" / "data.gz")
    graph = standard_artifacts.TransformGraph()
    graph.uri = folder_of(transform_output)
    output = standard_artifacts.Examples()
    output.uri = str(tmp_path / "features")

    def run(recipe: Recipe) -> Path:
        Path(output.uri).mkdir()
        context = BaseBeamExecutor.Context(beam_pipeline_args=list(BeamConfig().arguments()), tmp_dir=str(tmp_path))
        properties = {"recipe": recipe.serialized(), "splits": '["train", "eval"]'}
        executor.Executor(context).Do(
            {"examples": [examples], "transform_graph": [graph]}, {"features": [output]}, properties
        )
        assert output.split_names == '["train", "eval"]'
        return Path(output.uri)

    return run


def test_every_image_of_train_and_eval_is_kept_with_its_views(execute, transform_output, example_files, caplog):
    recipe = RECIPE.model_copy(update={"views": 2, "augmentation": AugmentationConfig(rotation=45.0), "seed": 1})
    with caplog.at_level("INFO"):
        folder = execute(recipe.model_copy(update={"runtime": "auto"}))
    assert "  the trunk runs in OpenVINO" in caplog.messages
    manifest = Manifest.read(str(folder))
    assert (manifest.mode, manifest.views, manifest.dtype) == ("cached", 2, "float32")
    assert (manifest.runtime, manifest.runtime_reason) == ("openvino", "")
    extractor = Extractor(recipe, folder_of(transform_output))
    for split, views in (("train", 2), ("eval", 1)):
        files = sorted(map(str, (folder / f"Split-{split}").iterdir()))
        (kept,) = trunk_features.decode(files, manifest, 100).as_numpy_iterator()
        serialized = list(tf.data.TFRecordDataset(tf.io.gfile.glob(example_files[split]), "GZIP").as_numpy_iterator())
        keys, labels, weights, activations = (part.numpy() for part in extractor(tf.constant(serialized), views))
        order, expected = np.argsort(kept[0]), np.argsort(keys)
        np.testing.assert_array_equal(kept[0][order], keys[expected])
        np.testing.assert_array_equal(kept[1][order], labels[expected])
        np.testing.assert_array_equal(kept[2][order], weights[expected])
        assert kept[3].shape == (len(serialized), views, *manifest.shape)
        np.testing.assert_allclose(kept[3][order], activations[expected], atol=1e-4)


def test_nothing_is_kept_where_it_does_not_pay(execute):
    folder = execute(RECIPE.model_copy(update={"layers": "all"}))
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    assert "first weights" in Manifest.read(str(folder)).reason


def test_activations_beyond_the_dtype_are_refused(execute, tmp_path):
    """Even a frozen backbone with sound weights may do that: VGG's, on pixels from 0 to 255, comes close."""
    image = keras.Input((96, 96, 3))
    large = keras.layers.Conv2D(2, 3, strides=8, kernel_initializer="ones", name="large")(image * 1e6)
    keras.Model(image, large).save(tmp_path / "large.keras")
    backbone = BackboneConfig(
        image_size=96, keras_model=str(tmp_path / "large.keras"), layer="large", preprocessing="lite"
    )
    told = r"of 18 images are too large for float16; trunk_features\.dtype float32 may hold"
    with pytest.raises(executor.TrunkFeaturesError, match=told):
        execute(Recipe(backbone=backbone, layers=None, dtype="float16"))
    assert not (tmp_path / "features" / "manifest.json").exists()
