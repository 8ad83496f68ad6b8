"""benchmarks/exports.py, and export_speed.py on what the former's functions convert."""

from pathlib import Path

import benchmarking
import keras
import numpy as np
import pytest

from benchmarks import export_speed, exports
from components.version_files import EXPORTS
from config.export import LITERT, LITERT_INT8, ONNX
from modules.exporting import export_files
from modules.exporting.description import Description

_SIZE = 16


@pytest.mark.slow
def test_each_format_of_a_backbone_has_a_row():
    lines = benchmarking.run("benchmarks.exports", "MobileNet").splitlines()
    rows = {kind: cells for _, kind, *cells in (line.strip("| ").split(" | ") for line in lines[2:])}
    assert list(rows) == [LITERT, LITERT_INT8, ONNX]
    sizes = {kind: float(cells[0]) for kind, cells in rows.items()}
    assert 3 * sizes[LITERT_INT8] < sizes[LITERT] < 1.1 * sizes[ONNX]
    for kind in (LITERT, ONNX):
        _, difference, same, _ = rows[kind]
        assert float(difference) < 1e-4 and same == "100.0%"
    assert float(rows[LITERT_INT8][1]) > 1e-4, "8 bits answer differently"


@pytest.fixture
def version(tmp_path) -> Path:
    """A version with one export, of a network of two layers."""
    image = keras.Input((_SIZE, _SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, strides=2)(image))
    exports._save(keras.Model(image, keras.layers.Dense(3, activation="softmax")(pooled)), str(tmp_path))
    description = Description(["a", "b", "c"], _SIZE, "resize", "bilinear", 10**6)
    pixels = np.zeros((1, _SIZE, _SIZE, 3), np.float32)
    folder = tmp_path / EXPORTS
    folder.mkdir(parents=True)
    convert = exports._converters(str(tmp_path), "tf", pixels, description)[LITERT]
    (folder / export_files.FILES[LITERT]).write_bytes(convert())
    export_files.write_index(folder, [LITERT], description.as_json())
    return tmp_path


def test_speeds_are_those_of_the_saved_model_and_of_each_export(run_main, version, monkeypatch):
    monkeypatch.setattr(export_speed.tf.config.threading, "set_intra_op_parallelism_threads", lambda count: None)
    monkeypatch.setattr(export_speed.tf.config.threading, "set_inter_op_parallelism_threads", lambda count: None)
    _, _, *rows = (
        line.strip("| ").split(" | ") for line in run_main(export_speed.main, version, "--rounds", 3).splitlines()
    )
    assert [row[0] for row in rows] == ["SavedModel", LITERT]
    assert all(float(ms) > 0 for _, ms, _, _ in rows)
    assert rows[0][2:] == ["1.00", "1.00 to 1.00"]
    lowest, highest = map(float, rows[1][3].split(" to "))
    assert 0 < lowest <= float(rows[1][2]) <= highest
