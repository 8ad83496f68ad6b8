"""The parameters of the stage, its cache key, and the span that it reads."""

from __future__ import annotations

from types import SimpleNamespace

from drawing import colour_tree
from tfx.components.example_gen import utils
from tfx.proto import example_gen_pb2

from components import code_digest, state_driver
from components.image_example_gen.component import ImageExampleGen
from components.image_example_gen.driver import Driver
from components.image_example_gen.sources import spans
from config.data import IngestionConfig, Splits


def test_the_configuration_reaches_the_stage_unchanged():
    config = IngestionConfig(classes=["tea", "milk"], splits=Splits(train=7, eval=2, test=1), stratified=True)
    stage = ImageExampleGen("/photos", config, allow_untested_classes=True)
    assert IngestionConfig.parse(stage.exec_properties["ingestion"]) == config
    assert (stage.exec_properties["data_path"], stage.exec_properties["allow_untested_classes"]) == ("/photos", 1)


def test_the_code_of_the_stage_is_part_of_its_cache_key():
    stage = ImageExampleGen("/photos", IngestionConfig(), allow_untested_classes=False)
    package = "components.image_example_gen"
    assert stage.exec_properties["code_digest"] == code_digest.of(f"{package}.executor", f"{package}.driver")
    reachable = code_digest.reachable([f"{package}.executor", f"{package}.driver"])
    assert {f"{package}.splitting", f"{package}.sources.manifest", "modules.data.decoding"} <= set(reachable)


def test_the_state_of_the_data_is_part_of_its_cache_key(tmp_path):
    root = colour_tree(tmp_path / "photos", 2)
    properties = {"data_path": str(root), "ingestion": IngestionConfig().serialized()}

    def state() -> str:
        output = Driver(metadata_handle=None).run(SimpleNamespace(exec_properties=properties))
        return output.exec_properties[state_driver.STATE].string_value

    before = state()
    assert state() == before
    next(root.rglob("*.png")).unlink()
    assert state() != before


def test_tfx_would_choose_the_same_span(tmp_path):
    """See spans.py for why TFX's own code is not used."""
    for path in ("span-1/v1", "span-10/v2", "span-10/v12", "span-9/v99"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "data").touch()
    split = example_gen_pb2.Input.Split(name="s", pattern="span-{SPAN}/v{VERSION}/*")
    _, span, version = utils.calculate_splits_fingerprint_span_and_version(str(tmp_path), [split])
    ours = spans.resolve(f"{tmp_path}/span-{{SPAN}}/v{{VERSION}}", None)
    assert (ours.span, ours.version) == (span, version) == (10, 12)
