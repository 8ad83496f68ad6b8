import collections
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from modules.backbones import efficientnet_lite, torch_weights

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class FloatStorage:
    """Stands for torch.FloatStorage while a file is written."""


class Tensor:
    """Pickles as PyTorch pickles a tensor."""

    def __init__(self, key: str, size: int, offset: int, shape: tuple, strides: tuple):
        self.arguments = (Storage(key, size), offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return rebuild, self.arguments


class Storage:
    def __init__(self, key: str, size: int):
        self.pid = ("storage", FloatStorage, key, "cpu", size, None)


def rebuild(*_):
    raise AssertionError("only ever pickled by name")


class Pickler(pickle._Pickler):
    """Writes the two names as PyTorch's."""

    def persistent_id(self, value):
        return value.pid if isinstance(value, Storage) else None

    def save_global(self, value, name=None):
        names = {rebuild: b"ctorch._utils\n_rebuild_tensor_v2\n", FloatStorage: b"ctorch\nFloatStorage\n"}
        if value in names:
            self.write(names[value])
        else:
            super().save_global(value, name)

    dispatch = {**pickle._Pickler.dispatch, type(rebuild): save_global, type: save_global}


def write(path: Path, state: object, storages: dict[str, np.ndarray], magic: int = MAGIC) -> Path:
    with path.open("wb") as file:
        for value in (magic, PROTOCOL, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        Pickler(file, protocol=2).dump(state)
        pickle.dump(list(storages), file, protocol=2)
        for elements in storages.values():
            file.write(len(elements).to_bytes(8, "little"))
            file.write(elements.astype("<f4").tobytes())
    return path


def test_tensors_come_back_with_their_strides_and_offsets(tmp_path):
    elements = np.arange(10, dtype="f4")
    state = collections.OrderedDict(
        transposed=Tensor("0", 10, 1, (3, 2), (1, 3)),
        scalar=Tensor("0", 10, 9, (), ()),
        none=Tensor("0", 10, 0, (0,), (1,)),
    )
    loaded = torch_weights.load(write(tmp_path / "w.pth", state, {"0": elements}))
    np.testing.assert_array_equal(loaded["transposed"], [[1, 4], [2, 5], [3, 6]])
    assert loaded["scalar"] == 9
    assert loaded["none"].shape == (0,)


class Malicious:
    def __reduce__(self):
        return os.system, ("echo owned > owned.txt",)


def test_code_in_the_file_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "w.pth", {"weight": Malicious()}, {})
    with pytest.raises(torch_weights.TorchWeightsError, match=r"w\.pth: refused to load (posix|nt)\.system"):
        torch_weights.load(path)
    assert not (tmp_path / "owned.txt").exists()


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Tensor("0", 4, 0, (5,), (1,)), "outside its storage"),
        (Tensor("0", 4, -1, (2,), (1,)), "outside its storage"),
        (Tensor("0", 4, 0, (2,), (-1,)), "outside its storage"),
        (Tensor("0", 9, 0, (2,), (1,)), "9 elements was announced, 4 are there"),
    ],
)
def test_a_tensor_can_not_reach_beyond_the_file(tmp_path, tensor, message):
    path = write(tmp_path / "w.pth", {"weight": tensor}, {"0": np.zeros(4)})
    with pytest.raises(torch_weights.TorchWeightsError, match=message):
        torch_weights.load(path)


def test_other_content_than_tensors_is_refused(tmp_path):
    with pytest.raises(torch_weights.TorchWeightsError, match="something else than a dict of tensors"):
        torch_weights.load(write(tmp_path / "w.pth", {"epoch": 3}, {}))
    with pytest.raises(torch_weights.TorchWeightsError, match="magic number"):
        torch_weights.load(write(tmp_path / "w.pth", {}, {}, magic=1))
    (tmp_path / "zip.pth").write_bytes(b"PK\x03\x04rest")
    with pytest.raises(torch_weights.TorchWeightsError, match="zip serialisation"):
        torch_weights.load(tmp_path / "zip.pth")


@pytest.mark.parametrize("kept", [0, 1, 50, 5_000, 42_000, 1_000_000])
def test_a_file_cut_short_is_refused_wherever_the_cut_is(tmp_path, kept):
    whole = efficientnet_lite.bundled_weights(0).read_bytes()
    (tmp_path / "w.pth").write_bytes(whole[:kept])
    with pytest.raises(torch_weights.TorchWeightsError, match=r"w\.pth"):
        torch_weights.load(tmp_path / "w.pth")
