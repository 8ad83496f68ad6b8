"""The sections `export` and `gate.exports`."""

import pytest

from config.export import ExportConfig
from config.run import RunConfig

RUN = {"name": "fruit", "data": {"path": "photos"}}


def test_a_list_of_formats_is_short_for_the_section():
    found = RunConfig.model_validate({**RUN, "export": ["litert", "onnx"]}).export
    assert found == ExportConfig(formats=["litert", "onnx"], calibration_images=200)
    assert ExportConfig.parse(found.serialized()) == found


def test_without_the_section_nothing_is_exported():
    assert RunConfig.model_validate(RUN).export is None


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ([], "at least 1 item"),
        (["tflite"], "'litert', 'litert-int8' or 'onnx'"),
        (["onnx", "onnx"], "each format is allowed once"),
        ({"formats": ["onnx"], "calibration_images": 0}, "greater than or equal to 1"),
    ],
)
def test_formats_that_there_are_not_are_refused(section, message):
    with pytest.raises(ValueError, match=message):
        RunConfig.model_validate({**RUN, "export": section})


def test_a_bound_may_be_one_number_or_one_for_each_format_that_is_made():
    def bounds(**fields):
        run = {**RUN, "export": ["litert", "litert-int8"], "gate": {"exports": fields}}
        return RunConfig.model_validate(run).gate.exports

    assert [bounds(max_bytes=9).bytes_of(name) for name in ("litert", "litert-int8")] == [9, 9]
    by_format = bounds(max_bytes={"litert-int8": 4_500_000}, max_p50_ms={"litert": 5.0})
    assert (by_format.bytes_of("litert"), by_format.bytes_of("litert-int8")) == (None, 4_500_000)
    assert (by_format.p50_ms_of("litert"), by_format.p50_ms_of("litert-int8")) == (5.0, None)
    with pytest.raises(ValueError, match=r"gate\.exports\.max_bytes: names onnx, which export\.formats does not have"):
        bounds(max_bytes={"onnx": 9})
