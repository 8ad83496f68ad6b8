"""What sections promise: they travel as text, and come back the same."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.augmentation import AugmentationConfig
from config.backbone import BackboneConfig
from config.backbone_table import BACKBONES
from config.beam import BeamConfig
from config.classifier import ClassifierConfig
from config.data import DataConfig, IngestionConfig
from config.gate import GateConfig
from config.head import OPTIONS, HeadConfig
from config.kubeflow import KubeflowConfig
from config.run import RunConfig
from config.section import Origin, Section, is_uri
from config.serving import PushConfig, ServingCheckConfig
from config.training import FineTuneConfig, HeadPhaseConfig, LossConfig, TrainingConfig
from config.trunk_features import TrunkFeaturesConfig

SHARE = st.floats(0, 1, exclude_max=True)
POSITIVE = st.floats(1e-9, 1e9)
NAME = st.text(min_size=1, max_size=5)
CLASS = st.text("abcé犬☃", min_size=1, max_size=5)  # with one spelling each


def some(required: dict | None = None, **optional: st.SearchStrategy) -> st.SearchStrategy[dict]:
    """A mapping with the required fields and any of the others."""
    return st.fixed_dictionaries(required or {}, optional=optional)


OWN_OPTIONS = {
    "dense": {},
    "hidden": {"units": st.integers(1, 16384)},
    "conv": {
        "filters": st.lists(st.integers(1, 4096), min_size=1, max_size=8),
        "kernel": st.integers(1, 15),
        "batch_norm": st.booleans(),
    },
}
HEADS = st.one_of(
    some(
        {"kind": st.just(kind)},
        **options,
        pooling=st.sampled_from(["average", "max", "gem"]),
        dropout=SHARE,
        l2=st.floats(0, 10),
        output=st.sampled_from(["softmax", "logits"]),
    )
    for kind, options in OWN_OPTIONS.items()
)


def phases(**more: st.SearchStrategy) -> st.SearchStrategy[dict]:
    common = {
        "learning_rate": POSITIVE,
        "clip_norm": st.none() | POSITIVE,
        "patience": st.none() | st.integers(1, 9),
        **more,
    }
    optimizers = st.one_of(
        some({"optimizer": st.just("adam")}),
        some({"optimizer": st.just("adamw")}, weight_decay=SHARE),
        some({"optimizer": st.just("sgd")}, momentum=SHARE),
    )
    schedules = st.one_of(
        some({"schedule": st.just("constant")}, epochs=st.integers(1, 99)),
        some({"schedule": st.just("cosine"), "epochs": st.just("auto") | st.integers(1, 99)}, warmup=SHARE),
    )
    return st.builds(lambda *parts: {**parts[0], **parts[1], **parts[2]}, some(**common), optimizers, schedules)


LAYERS = st.integers(1, 500) | st.floats(0.01, 0.99) | st.text(min_size=1, max_size=9)
TRAINING = some(
    seed=st.integers(0, 2**31 - 1),
    batch_size=st.integers(1, 4096),
    loss=some(
        label_smoothing=SHARE,
        focal_gamma=st.none() | st.floats(0, 9),
        class_weights=st.none() | st.sampled_from(["auto", "balanced"]) | st.dictionaries(CLASS, POSITIVE, max_size=3),
    ),
    flip_averaging=st.just("auto") | st.booleans(),
    calibration=st.sampled_from(["auto", "none"]),
    replicas=st.just("auto") | st.integers(1, 8),
    head=phases(),
    fine_tune=st.none() | phases(layers=LAYERS),
)
BACKBONE = st.one_of(
    some({"name": st.sampled_from(sorted(BACKBONES))}, image_size=st.integers(75, 1024)),
    some({"saved_model": NAME}, preprocessing=st.sampled_from(["raw", "tf"])),
    some({"keras_model": st.just("net.keras"), "layer": NAME, "preprocessing": st.just("unit")}),
)
AUGMENTATION = some(flip=st.none() | st.just("horizontal"), rotation=st.floats(0, 180), mixup=st.floats(0, 10))
SPLITS = some({name: st.integers(1, 99) for name in ("train", "eval", "test")})
INGESTION = some(
    splits=SPLITS,
    classes=st.none() | st.lists(st.text("abcé", min_size=1), min_size=2, max_size=5, unique=True),
    span=st.none() | st.integers(0, 9),
    max_bad_fraction=SHARE,
)
GATE = some(
    min_accuracy=SHARE,
    min_recall=st.none() | SHARE | st.dictionaries(CLASS, SHARE, max_size=3),
    judge=some(accuracy=st.sampled_from(["value", "lower"])),
    slices=st.lists(some({"feature": st.just("image/label"), "min_accuracy": SHARE}, value=CLASS), max_size=2),
)
BEAM = st.one_of(
    some({"runner": st.just("local")}, workers=st.none() | st.integers(1, 1024)),
    some({"runner": st.just("flink"), "job_endpoint": st.just("flink:8099"), "worker_pool": st.just("localhost:5")}),
    some({"runner": st.just("spark"), "job_endpoint": st.just("spark:8099"), "worker_command": st.just("/bin/w")}),
)
KUBEFLOW = some(
    {
        "image": st.just("registry.example/regraft:1"),
        "data_path": st.just("gs://bucket/photos"),
        "push_directory": st.just("/models/served"),
        "volumes": st.just([{"claim": "models", "mount": "/models"}]),
    },
    stages=some(Trainer=some(cpu=st.integers(1, 64) | st.just("500m"), gpu=st.integers(0, 2))),
    schedule=some({"cron": st.just("0 3 * * MON")}, start=st.just("2026-12-01T03:00:00Z")),
)

FIELDS: dict[type[Section], st.SearchStrategy[dict]] = {
    HeadConfig: HEADS,
    HeadPhaseConfig: phases(),
    FineTuneConfig: phases(layers=LAYERS),
    TrainingConfig: TRAINING,
    BackboneConfig: BACKBONE,
    AugmentationConfig: AUGMENTATION,
    IngestionConfig: INGESTION,
    DataConfig: st.builds(lambda fields: {"path": "photos", **fields}, INGESTION),
    GateConfig: GATE,
    BeamConfig: BEAM,
    KubeflowConfig: KUBEFLOW,
    ClassifierConfig: some(head=HEADS, training=TRAINING, trunk_features=some(dtype=st.just("float32"))),
    RunConfig: some(
        {"name": st.just("fruit"), "data": st.builds(lambda fields: {"path": "photos", **fields}, INGESTION)},
        head=HEADS,
        training=TRAINING,
        gate=GATE,
        beam=BEAM,
        kubeflow=st.none() | KUBEFLOW,
    ),
}
KINDS = st.sampled_from(sorted(FIELDS, key=lambda kind: kind.__name__))
SECTIONS = KINDS.flatmap(lambda kind: st.tuples(st.just(kind), FIELDS[kind]))


def turned_round(value: object) -> object:
    """The same content with the keys of every mapping in the reverse order."""
    if isinstance(value, dict):
        return {key: turned_round(inner) for key, inner in reversed(value.items())}
    return [turned_round(inner) for inner in value] if isinstance(value, list) else value


@given(SECTIONS)
def test_a_section_parses_back_to_an_equal_one(kind_and_fields):
    kind, fields = kind_and_fields
    section = kind.model_validate(fields)
    assert kind.parse(section.serialized()) == section
    assert kind.parse(section.serialized()).serialized() == section.serialized()


@given(SECTIONS)
def test_equal_sections_give_equal_text_in_whatever_order_their_fields_come(kind_and_fields):
    kind, fields = kind_and_fields
    assert kind.model_validate(turned_round(fields)).serialized() == kind.model_validate(fields).serialized()


@given(SECTIONS)
def test_a_dump_can_be_loaded_again(kind_and_fields):
    kind, fields = kind_and_fields
    section = kind.model_validate(fields)
    assert kind.model_validate(section.model_dump(by_alias=True)) == section


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_defaults_can_be_loaded_again(kind):
    head = {"kind": kind, **({"function": "my.head"} if kind == "custom" else {})}
    training = {"fine_tune": None} if kind == "logistic" else {}
    loaded = RunConfig.model_validate({"name": "fruit", "data": {"path": "photos"}, "head": head, "training": training})
    assert RunConfig.model_validate(loaded.model_dump(by_alias=True)) == loaded


def test_what_is_said_and_what_is_the_default_give_the_same_text():
    assert HeadConfig(kind="dense", dropout=0.3).serialized() == HeadConfig(kind="dense").serialized()
    assert BackboneConfig().serialized() == BackboneConfig(name="EfficientNetLite0", weights="bundled").serialized()
    assert HeadConfig(kind="dense").serialized() != HeadConfig(kind="hidden").serialized()
    assert RunConfig.model_validate({"name": "a", "data": {"path": "p"}}).serialized() != (
        RunConfig.model_validate({"name": "a", "data": {"path": "q"}}).serialized()
    )


@pytest.mark.parametrize(
    ("section", "absent", "present"),
    [
        (HeadConfig(kind="dense"), {"filters", "kernel", "batch_norm", "units", "function"}, {"pooling"}),
        (HeadConfig(kind="conv"), {"units", "function"}, {"filters", "kernel", "batch_norm"}),
        (HeadConfig(kind="hidden"), {"filters", "kernel", "batch_norm", "function"}, {"units"}),
        (HeadConfig(kind="custom", function="my.head"), {"filters", "units"}, {"function"}),
        (HeadPhaseConfig(optimizer="adam"), {"weight_decay", "momentum"}, {"learning_rate", "warmup"}),
        (HeadPhaseConfig(schedule="constant"), {"momentum", "warmup"}, {"weight_decay"}),
        (FineTuneConfig(optimizer="sgd", schedule="cosine"), {"weight_decay"}, {"momentum", "warmup"}),
        (BeamConfig(), {"job_endpoint", "artifact_endpoint", "worker_command", "worker_pool"}, {"workers"}),
    ],
)
def test_fields_that_mean_nothing_are_left_out(section, absent, present):
    for dump in (section.model_dump(), json.loads(section.serialized())):
        assert not absent & set(dump)
        assert present <= set(dump)


def test_fields_that_mean_nothing_are_left_out_of_sections_inside_others():
    dump = RunConfig.model_validate({"name": "fruit", "data": {"path": "p"}, "head": {"kind": "dense"}}).model_dump()
    assert "filters" not in dump["head"] and "momentum" not in dump["training"]["head"]


@pytest.mark.parametrize("kind", [LossConfig, TrunkFeaturesConfig, ServingCheckConfig, PushConfig])
def test_nothing_else_is_left_out(kind):
    assert set(kind().model_dump()) == set(kind.model_fields)


def test_a_section_never_changes():
    with pytest.raises(ValueError, match="frozen"):
        HeadConfig().dropout = 0.5


def test_fields_come_in_the_order_for_a_person():
    assert list(RunConfig.ordered_fields())[:11] == [
        *("name", "quality", "data", "backbone", "head", "training", "augmentation", "trunk_features", "novelty"),
        *("label_check", "tuner"),
    ]
    assert set(RunConfig.ordered_fields()) == set(RunConfig.model_fields)
    shared = [name for name in HeadPhaseConfig.ordered_fields() if name != "learning_rate"]
    assert list(FineTuneConfig.ordered_fields()) == ["learning_rate", "layers", *shared], "its own fields come first"


# Paths.


def backbone_of(folder: Path | None, remote: bool = False, **fields: str) -> BackboneConfig:
    context = Origin(folder, remote) if folder else None
    return BackboneConfig.model_validate(fields, context=context)


def test_a_path_is_relative_to_the_file_here(tmp_path):
    (tmp_path / "net.keras").touch()
    given_path = {"keras_model": "./sub/../net.keras", "layer": "top", "preprocessing": "unit"}
    assert backbone_of(tmp_path, **given_path).keras_model == str(tmp_path / "net.keras")
    absolute = {**given_path, "keras_model": str(tmp_path / "net.keras")}
    assert backbone_of(Path("/somewhere"), **absolute).keras_model == absolute["keras_model"]


def test_the_home_folder_may_be_meant(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    data = DataConfig.model_validate({"path": "~/photos"}, context=Origin(Path("/somewhere")))
    assert data.path == str(tmp_path / "photos")


def test_a_uri_stays_as_it_is(tmp_path):
    for remote in (False, True):
        data = DataConfig.model_validate(
            {"path": "gs://bucket/photos", "source": "manifest", "root": "s3://bucket/root"},
            context=Origin(tmp_path, remote),
        )
        assert (data.path, data.root) == ("gs://bucket/photos", "s3://bucket/root")
    assert is_uri("gs://bucket") and not is_uri("/gs/bucket")


@pytest.mark.parametrize("path", ["net.keras", "./net.keras", "../net.keras", "~/net.keras"])
def test_a_path_for_other_machines_must_be_absolute(tmp_path, path):
    with pytest.raises(ValueError, match=r"keras_model\n.*an absolute path in the container is expected"):
        backbone_of(tmp_path, remote=True, keras_model=path, layer="top", preprocessing="unit")


def test_a_file_on_other_machines_is_not_looked_for(tmp_path):
    remote = backbone_of(tmp_path, remote=True, keras_model="/models/net.keras", layer="top", preprocessing="unit")
    assert remote.keras_model == "/models/net.keras"
    weights = backbone_of(tmp_path, remote=True, name="MobileNetV2", weights="/models/net.h5")
    assert weights.weights == "/models/net.h5"
    with pytest.raises(ValueError, match="an absolute path in the container is expected"):
        backbone_of(tmp_path, remote=True, name="MobileNetV2", weights="models/net.h5")
    for field, value in {"keras_model": "/models/net.keras", "saved_model": "/models"}.items():
        more = {"layer": "top", "preprocessing": "unit"} if field == "keras_model" else {}
        with pytest.raises(ValueError, match="is expected"):
            backbone_of(tmp_path, **{field: value}, **more)


def test_the_name_of_weights_is_no_path(tmp_path):
    for remote in (False, True):
        assert backbone_of(tmp_path, remote, name="MobileNetV2", weights="none").weights == "none"


def test_a_path_of_this_machine_alone_is_left_as_it_is_for_other_machines(tmp_path):
    for remote, expected in ((False, str(tmp_path / "photos")), (True, "photos")):
        origin = Origin(tmp_path, remote)
        assert DataConfig.model_validate({"path": "photos"}, context=origin).path == expected
        assert PushConfig.model_validate({"directory": "photos"}, context=origin).directory == expected


@pytest.mark.parametrize("path", ["net.keras", "/models/net.keras", "gs://bucket/net.keras"])
def test_a_path_is_untouched_and_not_looked_for_while_a_section_travels(path):
    section = backbone_of(None, keras_model=path, layer="top", preprocessing="unit")
    assert section.keras_model == path
    assert BackboneConfig.parse(section.serialized()) == section
    assert DataConfig(path="photos").path == "photos"
