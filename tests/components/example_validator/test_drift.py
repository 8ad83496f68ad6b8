"""Data that differs from the data that production was trained on."""

import json
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import tfx  # noqa: F401  first: it replaces a module that TFDV 1.16 imports, on Python 3.11

# isort: split
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.example_validator import drift, drift_findings
from config.data import DriftConfig
from modules.data import features


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


PRODUCTION = statistics()
SCHEMA = tfdv.infer_schema(PRODUCTION)


def findings_of(new: statistics_pb2.DatasetFeatureStatisticsList, **bounds) -> list[drift_findings.Finding]:
    return drift.find(new, PRODUCTION, SCHEMA, DriftConfig(**bounds))


def test_more_data_of_the_same_kind_is_no_drift():
    assert findings_of(statistics(seed=1)) == []
    assert findings_of(statistics(seed=1, images=300)) == []


def test_a_fact_that_production_or_the_new_data_lacks_is_no_drift():
    """Versions of earlier releases have no statistics of sharpness."""
    frame = pd.DataFrame({features.LABEL: ["cyan", "teal"] * 500, features.SHARPNESS: np.linspace(0, 900, 1000)})
    others = {features.FORMAT: "JPEG", features.HEIGHT: 300, features.WIDTH: 400, features.BRIGHTNESS: 0.5}
    newer = tfdv.generate_statistics_from_dataframe(frame.assign(**others))
    older = tfdv.generate_statistics_from_dataframe(frame.assign(**others).drop(columns=features.SHARPNESS))
    for new, production in ((newer, older), (older, newer)):
        assert drift.find(new, production, tfdv.infer_schema(production), DriftConfig()) == []


@pytest.mark.parametrize(
    ("changed", "feature", "message"),
    [
        (
            {"shares": (0.3, 0.5, 0.2)},
            features.LABEL,
            r"class 'magenta' has (4|5)\d.\d% of the training images, (2|3)\d.\d% in production's data; .* of 10%$",
        ),
        (
            {"brightness": 0.7},
            features.BRIGHTNESS,
            r"brightness is higher: median 0\.[67]\d*, in production's data 0\.[45]\d*; the distance .* is 0\.\d\d on",
        ),
        ({"brightness": 0.3}, features.BRIGHTNESS, r"brightness is lower: median 0\.[23]"),
        (
            {"height": 600},
            features.HEIGHT,
            r"height is higher: median (59|60)\d, in production's data (29|30)\d; .*0\.15 is allowed",
        ),
        ({"formats": ("JPEG", "WEBP")}, features.FORMAT, r"new formats, which production was not trained on: 'WEBP'"),
    ],
)
def test_each_kind_of_change_has_its_sentence(changed, feature, message):
    (finding,) = findings_of(statistics(**changed, seed=2))
    assert finding.feature == feature
    assert re.match(message, finding.message)
    assert finding.action == "warn"


def test_new_and_missing_classes_are_named():
    new = statistics(classes=("cyan", "magenta", "teal"))
    assert {finding.message for finding in findings_of(new)} == {
        "new classes, which production does not know: 'teal'",
        "missing classes, which production knows: 'yellow'",
    }


def test_the_bounds_decide():
    new = statistics(brightness=0.7, shares=(0.3, 0.5, 0.2))
    assert {finding.feature for finding in findings_of(new)} == {features.LABEL, features.BRIGHTNESS}
    assert {finding.feature for finding in findings_of(new, brightness=None)} == {features.LABEL}
    assert {finding.feature for finding in findings_of(new, labels=0.3)} == {features.BRIGHTNESS}
    assert findings_of(new, labels=1.0, brightness=1.0) == []


def test_the_section_decides_what_happens():
    new = statistics(classes=("cyan", "magenta", "teal"), brightness=0.7)
    actions = {"new_classes": "stop", "missing_classes": "ignore", "beyond": "stop", "new_formats": "ignore"}
    assert {(finding.feature, finding.action) for finding in findings_of(new, **actions)} == {
        (features.LABEL, "stop"),
        (features.BRIGHTNESS, "stop"),
    }
    assert findings_of(new, **dict.fromkeys(actions, "ignore")) == []


def test_features_that_a_curated_schema_lacks_are_compared_too():
    schema = schema_pb2.Schema()
    schema.feature.add(name=features.LABEL, type=schema_pb2.BYTES)
    findings = drift.find(statistics(brightness=0.7), PRODUCTION, schema, DriftConfig())
    assert [finding.feature for finding in findings] == [features.BRIGHTNESS]


def test_findings_survive_their_file(tmp_path):
    findings = findings_of(statistics(brightness=0.7))
    (tmp_path / drift_findings.FILE).write_text(drift_findings.dumps(findings))
    assert drift_findings.read(str(tmp_path)) == findings
    assert [set(row) for row in json.loads(drift_findings.dumps(findings))] == [{"feature", "said", "action"}]
