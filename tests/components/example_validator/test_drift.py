"""What is said of data that is not what production was trained on."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import tfx  # noqa: F401  first: TFDV 1.16 imports a module that it stands in for

# isort: split
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.example_validator import drift
from modules import features
from pipeline.data_section import Drift

BOUNDS = Drift().model_dump()


def statistics(
    shares: Sequence[float] = (0.5, 0.3, 0.2),
    classes: Sequence[str] = ("cyan", "magenta", "yellow"),
    brightness: float = 0.5,
    height: float = 300,
    formats: Sequence[str] = ("JPEG",),
    images: int = 2000,
    seed: int = 0,
) -> statistics_pb2.DatasetFeatureStatisticsList:
    random = np.random.default_rng(seed)
    columns = {
        features.LABEL: random.choice(classes, images, p=shares),
        features.FORMAT: random.choice(formats, images),
        features.HEIGHT: random.normal(height, 60, images).astype(int),
        features.WIDTH: random.normal(400, 60, images).astype(int),
        features.BRIGHTNESS: np.clip(random.normal(brightness, 0.1, images), 0, 1),
    }
    return tfdv.generate_statistics_from_dataframe(pd.DataFrame(columns))


KEPT = statistics()
SCHEMA = tfdv.infer_schema(KEPT)


def found(new: statistics_pb2.DatasetFeatureStatisticsList, **bounds) -> list[drift.Finding]:
    return drift.find(new, KEPT, SCHEMA, BOUNDS | bounds)


def test_more_of_the_same_is_no_drift():
    assert found(statistics(seed=1)) == []
    assert found(statistics(seed=1, images=300)) == []


@pytest.mark.parametrize(
    ("changed", "feature", "said"),
    [
        (
            {"shares": (0.3, 0.5, 0.2)},
            features.LABEL,
            r"class 'magenta' is (4|5)\d.\d% of the training images, was (2|3)",
        ),
        ({"brightness": 0.7}, features.BRIGHTNESS, r"brightness is higher: median 0\.70?\d?, was 0\.50?\d?; .* apart"),
        ({"brightness": 0.3}, features.BRIGHTNESS, r"brightness is lower: median 0\.[23]"),
        ({"height": 600}, features.HEIGHT, r"height is higher: median (59|60)\d, was (29|30)\d; .*0\.15 is allowed"),
        ({"formats": ("JPEG", "WEBP")}, features.FORMAT, r"formats that production was not trained on: 'WEBP'"),
    ],
)
def test_each_kind_is_said_in_words(changed, feature, said):
    (finding,) = found(statistics(**changed, seed=2))
    assert finding.feature == feature
    assert re.match(said, finding.said)
    assert finding.action == "warn"


def test_classes_that_came_or_went_are_named():
    new = statistics(classes=("cyan", "magenta", "teal"))
    said = {finding.said for finding in found(new)}
    assert said == {
        "classes that production doesn't know: 'teal'",
        "classes that production knows and the data no longer has: 'yellow'",
    }


def test_the_bounds_decide():
    new = statistics(brightness=0.7, shares=(0.3, 0.5, 0.2))
    assert {finding.feature for finding in found(new)} == {features.LABEL, features.BRIGHTNESS}
    assert {finding.feature for finding in found(new, brightness=None)} == {features.LABEL}
    assert {finding.feature for finding in found(new, labels=0.3)} == {features.BRIGHTNESS}
    assert found(new, labels=1.0, brightness=1.0) == []


def test_what_is_to_be_done_is_the_sections():
    new = statistics(classes=("cyan", "magenta", "teal"), brightness=0.7)
    actions = {"new_classes": "stop", "missing_classes": "ignore", "beyond": "stop", "new_formats": "ignore"}
    assert {(finding.feature, finding.action) for finding in found(new, **actions)} == {
        (features.LABEL, "stop"),
        (features.BRIGHTNESS, "stop"),
    }
    assert found(new, **dict.fromkeys(actions, "ignore")) == []


def test_a_curated_schema_that_says_little_hides_nothing():
    schema = schema_pb2.Schema()
    schema.feature.add(name=features.LABEL, type=schema_pb2.BYTES)
    findings = drift.find(statistics(brightness=0.7), KEPT, schema, BOUNDS)
    assert [finding.feature for finding in findings] == [features.BRIGHTNESS]


def test_findings_survive_their_file():
    findings = found(statistics(brightness=0.7))
    assert drift.loads(drift.dumps(findings)) == findings
