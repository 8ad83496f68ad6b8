import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from config import loading
from config.errors import BadInputError
from config.run import RunConfig
from config.section import normalize_class_name, section_of

ROOT = Path(loading.__file__).parents[1]
MINIMAL = "name: fruit\ndata: {path: photos}\n"


def load(tmp_path: Path, text: str) -> RunConfig:
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    return loading.load(tmp_path / "run.yaml")


def fault(tmp_path: Path, text: str) -> str:
    with pytest.raises(BadInputError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "run.yaml"))
    return str(caught.value)


def test_name_and_data_are_enough(tmp_path):
    loaded = load(tmp_path, MINIMAL)
    assert loaded.data.splits.model_dump() == {"train": 8, "eval": 1, "test": 1}
    backbone = loaded.backbone
    assert (backbone.name, backbone.image_size, backbone.weights) == ("EfficientNetLite0", 160, "bundled")
    assert (backbone.preprocessing, backbone.interpolation, backbone.aspect) == ("lite", "bicubic", "resize")
    assert loaded.training.fine_tune.layers == 0.45
    assert loaded.gate.min_accuracy == 0.95
    assert loaded.push.directory is None


def test_the_default_weights_are_the_chosen_backbones(tmp_path):
    assert load(tmp_path, MINIMAL + "backbone: {name: MobileNetV2}").backbone.weights == "bundled"
    assert load(tmp_path, MINIMAL + "backbone: {image_size: 96}").backbone.weights == "bundled"


def test_the_default_preprocessing_is_what_the_chosen_weights_were_trained_with(tmp_path):
    (tmp_path / "model.json").touch()
    for fields, expected in (
        ("name: MobileNetV2", "torch"),
        ("name: MobileNetV2, weights: bundled", "torch"),
        ("name: MobileNetV2, weights: imagenet", "tf"),
        ("name: MobileNetV2, weights: none", "tf"),
        ("name: MobileNetV2, weights: model.json", "tf"),
        ("name: MobileNetV2, weights: bundled, preprocessing: unit", "unit"),
        ("weights: bundled", "lite"),
        ("name: MobileNetV2, weights: null, preprocessing: null", "torch"),
    ):
        assert load(tmp_path, MINIMAL + f"backbone: {{{fields}}}").backbone.preprocessing == expected, fields


def test_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    (tmp_path / "net.h5").touch()
    (tmp_path / "facts.pbtxt").write_text('feature { name: "image/label" type: BYTES }')
    text = (
        "name: fruit\ndata: {path: ../photos, schema: facts.pbtxt}\npush: {directory: served}\n"
        "backbone: {name: MobileNetV2, weights: net.h5}"
    )
    loaded = load(tmp_path, text)
    assert loaded.data.path == str(tmp_path.parent / "photos")
    assert loaded.data.schema_ == str(tmp_path / "facts.pbtxt")
    assert loaded.push.directory == str(tmp_path / "served")
    assert loaded.backbone.weights == str(tmp_path / "net.h5")


def test_a_number_may_be_written_as_people_write_it(tmp_path):
    loaded = load(tmp_path, MINIMAL + "training: {head: {learning_rate: 1e-4}}\ngate: {min_accuracy: 1}")
    assert loaded.training.head.learning_rate == 1e-4
    assert loaded.gate.min_accuracy == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: fruit", "data: is required"),
        (
            MINIMAL + "gates: {}",
            "gates: no such field; the file has name, quality, data, backbone, head, training, augmentation, "
            "trunk_features, novelty, label_check, tuner, export, gate, serving_check, push",
        ),
        (MINIMAL + "gate: {min_acuracy: 1}", "gate.min_acuracy: no such field; gate has min_accuracy, max_regression"),
        (
            MINIMAL + "gate: {min_accuracy: 95}",
            "gate.min_accuracy: input should be less than or equal to 1. Received: 95",
        ),
        (MINIMAL + "gate: {min_accuracy: .nan}", "gate.min_accuracy: input should be a finite number. Received: nan"),
        (MINIMAL + "gate: {min_recall: {red: 2}}", "gate.min_recall.red: input should be less than or equal to 1. Rec"),
        (MINIMAL + "gate: {min_recall: high}", "gate.min_recall: input should be a valid number. Received: 'high'"),
        (
            MINIMAL + "gate: {judge: {recall: low}}",
            "gate.judge.recall: input should be 'value', 'lower' or 'upper'. Rec",
        ),
        (
            MINIMAL + "gate: {slices: [{feature: image/format}]}",
            "gate.slices.0: one of min_accuracy, max_regression and min_examples is needed. Found: none",
        ),
        (
            MINIMAL + "gate: {slices: [{feature: column/farm, min_accuracy: 0.9}]}",
            "gate.slices.0.feature: the column 'farm' is not kept with the images; add it to data.slice_columns",
        ),
        (
            MINIMAL + "gate: {slices: [{feature: image/colour, min_accuracy: 0.9}]}",
            "gate.slices.0.feature: image/label, image/format, image/size_band, image/brightness_band, image/sharpness",
        ),
        (
            MINIMAL + "gate: {slices: [{feature: image/brightness_band, value: night, min_accuracy: 0.9}]}",
            "gate.slices.0.value: of image/brightness_band one of very dark, dark, medium, bright, very bright is allo",
        ),
        (
            MINIMAL + "gate: {slices: [{feature: image/format, min_recall: 1}]}",
            "gate.slices.0.min_recall: no such field; slices has feature, value, min_accuracy, max_regr",
        ),
        (MINIMAL + "push: {keep: 1}", "push.keep: input should be greater than or equal to 2. Received: 1"),
        (MINIMAL + "gate: high", "gate: a mapping of fields is expected. Received: 'high'"),
        (MINIMAL + "training: {seed: true}", "training.seed: input should be a valid integer. Received: True"),
        (
            MINIMAL + "training: {head: {epochs: '3'}}",
            "training.head.epochs: auto, or a whole number from 1, is allowed. Received: '3'",
        ),
        (
            MINIMAL + "training: {fine_tune: {layers: 0}}",
            "training.fine_tune.layers: a whole number from 1, a fraction",
        ),
        (
            "name: fruit\ndata: {path: p, schema: gone.pbtxt}",
            "data.schema: a Schema in text format is expected ([Errno 2]",
        ),
        ("name: fruit\ndata: {path: p, schema: run.yaml}", 'has no field named "name"'),
        (MINIMAL + "head: {filters: []}", "head.filters: list should have at least 1 item"),
        (
            MINIMAL + "head: {filters: [8, 0]}",
            "head.filters.1: input should be greater than or equal to 1. Received: 0",
        ),
        (
            MINIMAL + "head: {kind: dens}",
            "head.kind: input should be 'dense', 'hidden', 'conv', 'custom' or 'logistic'. Received: 'dens'",
        ),
        (
            MINIMAL + "backbone: {name: VGG}",
            "ConvNeXtLarge, ConvNeXtXLarge; did you mean 'VGG19'? Received: 'VGG'",
        ),
        (
            MINIMAL + "backbone: {image_size: 8}",
            "backbone.image_size: EfficientNetLite0 takes images of 32 pixels or more",
        ),
        (MINIMAL + "backbone: {weights: imagenet}", "backbone.weights: weights of EfficientNetLite0 are bundled, none"),
        (MINIMAL + "backbone: {weights: gone.pth}", "there is no such file. Received: '"),
        (
            MINIMAL + "head: {kind: dense, filters: [3]}",
            "head: filters is an option of kind conv. Received: kind='dense'",
        ),
        (MINIMAL + "head: {kind: custom}", "head: kind custom needs function"),
        (MINIMAL + "training: {head: {momentum: 0.9}}", "training.head: momentum needs optimizer sgd. Received: "),
        (
            MINIMAL + "training: {head: {schedule: constant, warmup: 0.1}}",
            "training.head: warmup needs schedule cosine. Received: schedule='constant'",
        ),
        (
            MINIMAL + "training: {fine_tune: {layers: 1.5}}",
            "a fraction above 0 and below 1, the name of a layer, or all",
        ),
        (MINIMAL + "training: {fine_tune: {layers: true}}", "is allowed. Received: True"),
        (MINIMAL + "push: {directory: ''}", "push.directory: string should have at least 1 character"),
        (
            MINIMAL + "push: {directory: run.yaml/models}",
            "run.yaml; a folder that can be written to is expected. Received: 'run.yaml/models'",
        ),
        (
            "name: fruit\ndata: {path: p, splits: {train: 80, eval: 10}}",
            "data.splits: all three of train, eval and test",
        ),
        (MINIMAL + "training: {head: {epoch: 1}}", "training.head.epoch: no such field; head has "),
        (MINIMAL + "trunk_features: {views: 2}", "views: 2 views need augmentation of single images. Found: none"),
        (
            MINIMAL + "augmentation: {flip: horizontal, cutmix: 0.5}\ntrunk_features: {views: 2}",
            "views: 2 views need augmentation of single images. Found: augmentation.cutmix, which mixes images",
        ),
        (
            MINIMAL + "augmentation: {hue: 0.1}\ntrunk_features: {views: 3, mode: pixels}",
            "views: 1 is allowed with mode pixels. Received: 3",
        ),
        (
            MINIMAL + "augmentation: {hue: 0.1}\ntrunk_features: {mode: cached}",
            "cached needs views above 1 for augmented images, or mode pixels. Found: augmentation.hue and one",
        ),
        (MINIMAL + "trunk_features: {views: 0}", "trunk_features.views"),
        (MINIMAL + "training: {head: {learning_rate: 1e-3x}}", "training.head.learning_rate: "),
        (MINIMAL + "training: {replicas: 0}", "training.replicas: auto, or a whole number from 1, is allowed"),
        (
            MINIMAL + "training: {loss: {class_weights: {red: -1}}}",
            "training.loss.class_weights: auto, balanced, or a number",
        ),
        (
            MINIMAL + "head: {output: sigmoid}\naugmentation: {mixup: 0.2}",
            "augmentation.mixup: mixes labels of classes",
        ),
        (MINIMAL + "backbone: {name: VGG16, keras_model: a.keras}", "backbone.keras_model: an existing .keras file"),
        (
            MINIMAL + "push: {directory: 'models[1]'}",
            "push.directory: TensorFlow and TF Serving take the character '['",
        ),
        (
            MINIMAL + "backbone: {saved_model: 'a*'}",
            "backbone.saved_model: TensorFlow and TF Serving take the character",
        ),
        (MINIMAL + "backbone: {saved_model: .}", "backbone.saved_model: a folder with a saved_model.pb is expected"),
        (MINIMAL + "gate: {min_acuracy: 0.9}", "did you mean 'min_accuracy'? Received: 0.9"),
        (
            MINIMAL + "push: {directory: 's3://models/served'}",
            "push.directory: s3://models/served: pushed versions",
        ),
        (MINIMAL + "push: {directory: photos/models}", "push.directory: a folder apart from data.path is expected"),
        ("", "the file is empty; a mapping of sections (name, data, …) is expected"),
        (MINIMAL + "---\nname: other", "a second document begins here; one is allowed"),
        (
            MINIMAL + "backbone: {name: VGG16, layer: x}",
            "layer names a layer of keras_model, so both or neither are needed",
        ),
        (MINIMAL + "backbone: {preprocessing: bgr}", "backbone.preprocessing: input should be 'raw', 'unit', 'tf'"),
        ("name: My_Fruit\ndata: {path: p}", "name: lower-case letters, digits and '-' are allowed"),
        ("name: fruit\ndata: {path: ''}", "data.path: string should have at least 1 character"),
        ("name: fruit\nname: veg\ndata: {path: p}", "line 2, column 1: key 'name' is given twice"),
        ("name: [fruit", "line 1, column "),
        ("- fruit", "a mapping of sections"),
        ("", "a mapping of sections"),
    ],
)
def test_a_fault_is_named_with_its_field_what_was_given_and_what_is_allowed(tmp_path, text, message):
    assert message in fault(tmp_path, text)


def test_all_faults_are_named_at_once(tmp_path):
    told = fault(tmp_path, "name: fruit\ndata: {path: p, max_bad_fraction: 2}\nhead: {dropout: 1}\nx: 1")
    assert [line.split(":")[0].strip() for line in told.splitlines()[1:]] == [
        "data.max_bad_fraction",
        "head.dropout",
        "x",
    ]


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"gone\.yaml: there is no such"):
        loading.load(tmp_path / "gone.yaml")
    with pytest.raises(BadInputError, match="cannot be read"):
        loading.load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match=r"binary\.yaml"):
        loading.load(tmp_path / "binary.yaml")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "data", "path", "splits", "train", "gate", "head", "filters"]), inner
        )
    ),
    max_leaves=12,
)


@given(TREES)
def test_whatever_a_file_says_it_is_loaded_or_refused_in_words(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    try:
        assert loading.load(path).name == tree["name"]
    except BadInputError as error:
        assert str(path) in str(error)


def test_a_word_that_begins_like_a_number_is_a_word(tmp_path):
    assert load(tmp_path, "name: 1e5-fruit\ndata: {path: 2e3_photos}\n").name == "1e5-fruit"
    assert load(tmp_path, MINIMAL + "training: {head: {learning_rate: 2e-3}}").training.head.learning_rate == 2e-3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: no\ndata: {path: p}", ['name: YAML reads no as false; for text, put it in quotes: "no"']),
        ("name: 2024-01-01\ndata: {path: p}", ["name: YAML reads 2024-01-01 as a date; for text, put it in quotes"]),
        ("name: 12:30\ndata: {path: p}", ["name: YAML reads 12:30 as the number 750; for text, put it in quotes"]),
        ("name:\ndata: {path: p}", ["name: text is expected, but there is no value; write one"]),
        ("name: fruit\ndata: {path: ~}", ["data.path: YAML reads ~ as no value; for text, put it in quotes"]),
        (
            "name: fruit\ndata: {path: p, classes: [yes, Off]}",
            [
                'data.classes.0: YAML reads yes as true; for text, put it in quotes: "yes"',
                'data.classes.1: YAML reads Off as false; for text, put it in quotes: "Off"',
            ],
        ),
        (
            "name: fruit\ndata: {path: p, classes: [001, 1e5, 0x1F, 2.0]}",
            [
                'data.classes.0: YAML reads 001 as the number 1; for text, put it in quotes: "001"',
                'data.classes.1: YAML reads 1e5 as the number 100000.0; for text, put it in quotes: "1e5"',
                'data.classes.2: YAML reads 0x1F as the number 31; for text, put it in quotes: "0x1F"',
                'data.classes.3: YAML reads 2.0 as the number 2.0; for text, put it in quotes: "2.0"',
            ],
        ),
        (
            "name: fruit\ndata: {path: p, classes: [null, 2024-13-45]}",
            [
                "data.classes.0: YAML reads null as no value; for text, put it in quotes",
                "data.classes.1: YAML reads 2024-13-45 as a date; for text, put it in quotes",
            ],
        ),
        (
            "name: fruit\ndata: {path: p, source: manifest, fields: {label: yes}}",
            ["data.fields.label: YAML reads yes as true; for text, put it in quotes"],
        ),
        (
            MINIMAL + "training: {loss: {class_weights: {yes: 1, 002: 2}}}",
            [
                "training.loss.class_weights.yes: the key is no text: YAML reads yes as true; for text, put",
                "training.loss.class_weights.002: the key is no text: YAML reads 002 as the number 2; for text, put",
            ],
        ),
        (
            MINIMAL + "gate: {min_recall: {yes: 0.9, true: 0.9}, max_recall_regression: {1: 0.1}}",
            [
                "gate.min_recall.yes: the key is no text: YAML reads yes as true; for text, put it in quotes",
                "gate.min_recall.true: the key is no text: YAML reads true as true; for text, put it in quotes",
                "gate.max_recall_regression.1: the key is no text: YAML reads 1 as the number 1; for text, put",
            ],
        ),
        (
            MINIMAL + "gate: {slices: [{feature: image/label, value: no, min_accuracy: 0.9}]}",
            ["gate.slices.0.value: YAML reads no as false; for text, put it in quotes"],
        ),
        (
            MINIMAL + "training: {head: {epochs: 010}, seed: 1:30}",
            [
                "training.head.epochs: YAML reads 010 as the number 8; ",
                "training.seed: YAML reads 1:30 as the number 90; ",
            ],
        ),
        (
            MINIMAL + "head: {kind: off}",
            [
                "head.kind: input should be 'dense', 'hidden', 'conv', 'custom' or 'logistic'. "
                "Received: off, which YAML reads as"
            ],
        ),
        (
            MINIMAL + "gate: {min_recall: {'1': 0.9, '1.0': 0.8}}",
            ["gate.min_recall: '1' and '1.0' are the same class; name it once"],
        ),
        (
            MINIMAL + "training: {loss: {class_weights: {' a': 1, a: 2}}}",
            ["training.loss.class_weights: ' a' and 'a' are the same class; name it once"],
        ),
        (
            "name: fruit\ndata: {path: p, classes: ['nan', ' ']}",
            [
                "data.classes.0: programs write this for a missing number, so no class can have this name. Rec",
                "data.classes.1: a name is expected. Received: ' '",
            ],
        ),
    ],
)
def test_what_yaml_reads_otherwise_than_people_is_named_as_it_is_written(tmp_path, text, told):
    lines = [line.strip() for line in fault(tmp_path, text).splitlines()[1:]]
    assert len(lines) == len(told)
    for expected in told:
        assert any(line.startswith(expected) for line in lines), lines


def test_quoted_names_are_text_and_numbers_have_one_form(tmp_path):
    text = "name: fruit\ndata: {path: p, classes: ['yes', \"001\", '1.0', ' x ']}\n"
    loaded = load(tmp_path, text + "gate: {min_recall: {'1': 0.9, 'yes': 0.8}}")
    assert loaded.data.classes == ["yes", "001", "1", "x"]
    assert loaded.gate.min_recall == {"1": 0.9, "yes": 0.8}


@settings(deadline=None)
@given(
    st.sampled_from(["yes", "no", "1", "007", "1e3", "2024-01-01", "null", "1:30", "x", "~", "1.0"])
    | st.text("01e.:-yn")
)
def test_a_class_name_is_the_text_that_was_written_or_a_fault(tmp_path_factory, name):
    """Whatever YAML makes of it, nobody gets a class of another name."""
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    path.write_text(f"name: fruit\ndata:\n  path: p\n  classes:\n  - {name}\n  - other\n")
    try:
        assert loading.load(path).data.classes[0] == normalize_class_name(name)
    except BadInputError as error:
        assert str(path) in str(error)


def test_merged_and_repeated_parts_are_read(tmp_path):
    text = "name: fruit\ndata: {path: p}\ntraining: {head: &phase {epochs: 5}, fine_tune: {<<: *phase, patience: 2}}"
    fine_tune = load(tmp_path, text).training.fine_tune
    assert (fine_tune.epochs, fine_tune.patience) == (5, 2)


def test_every_field_is_documented():
    sections = [RunConfig]
    for section in sections:
        for name, field in section.model_fields.items():
            nested = section_of(field.annotation)
            sections += [nested] if nested else []
            assert nested or field.description, f"{section.__name__}.{name}"
    assert len(sections) > 20


def test_a_configuration_is_checked_without_loading_tensorflow(tmp_path):
    """A typo must not cost twenty seconds."""
    (tmp_path / "run.yaml").write_text(MINIMAL)
    program = "import sys; from config import loading; loading.load(sys.argv[1]); print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "run.yaml")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_the_example_on_the_page_says_the_defaults(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "configuration.md").read_text(), re.DOTALL)
    assert load(tmp_path, example) == load(tmp_path, "name: fruit\ndata: {path: photos/fruit}")


def test_the_demos_configuration_is_valid():
    loaded = loading.load(ROOT / "data" / "traffic_lights.yaml")
    assert loaded.name == "traffic-lights"


@pytest.mark.parametrize(
    ("sections", "because"),
    [
        ("", ""),
        ("trunk_features: {mode: pixels}", "trunk_features.mode is pixels"),
        ("augmentation: {flip: vertical}", "augmentation (flip) is on, and trunk_features.views is 1"),
        ("augmentation: {flip: vertical}\ntrunk_features: {views: 4}", ""),
    ],
)
def test_why_training_reads_pixels(tmp_path, sections, because):
    (tmp_path / "run.yaml").write_text(MINIMAL + sections)
    assert loading.load(tmp_path / "run.yaml").reason_for_pixels == because


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ("min_recall: {pair: 0.9}", r"gate\.min_recall: the classes are apple, pear\. Received: 'pair'"),
        ("max_recall_regression: {apple: 0.1, plum: 0.1}", r"gate\.max_recall_regression: .* Received: 'plum'"),
        ("slices: [{feature: image/label, value: Pear, min_accuracy: 0.9}]", r"gate\.slices\.0\.value: .* 'Pear'"),
    ],
)
def test_bounds_for_a_class_that_there_is_not_are_refused(tmp_path, gate, told):
    found = load(tmp_path, MINIMAL + f"gate: {{{gate}}}").gate
    with pytest.raises(BadInputError, match=told):
        found.check_classes(["apple", "pear"])


def test_bounds_for_the_classes_that_there_are_stand(tmp_path):
    gate = "min_recall: {pear: 0.9}, slices: [{feature: image/label, value: apple, min_accuracy: 0.9}]"
    load(tmp_path, MINIMAL + f"gate: {{{gate}}}").gate.check_classes(["apple", "pear"])


@pytest.mark.parametrize(("feature", "value"), [("image/format", "jpeg"), ("image/size_band", "60-70")])
def test_a_slice_that_can_not_be_is_refused(tmp_path, feature, value):
    with pytest.raises(BadInputError, match=rf"value: of {feature} one of .* is allowed\. Received: '{value}'"):
        load(tmp_path, MINIMAL + f"gate: {{slices: [{{feature: {feature}, value: {value}, min_accuracy: 0.9}}]}}")
