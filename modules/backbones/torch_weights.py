"""Reads a PyTorch weight file without PyTorch. It allows nothing but plain tensors in the file.

Only the legacy serialisation (PyTorch < 1.6, not a zip file) is read, which is what older weight packages carry:
four pickles (magic number, protocol version, system information, state dict), a fifth with the storage keys, then for
each key its element count (int64, little-endian) and its raw elements. The layout is `_legacy_load` in
https://github.com/pytorch/pytorch/blob/main/torch/serialization.py.
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from config.errors import BadInputError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001

_STORAGE_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


class TorchWeightsError(BadInputError):
    """The file is not a legacy PyTorch weight file, is damaged, or asks for more than tensors."""


def load(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the state dict of a legacy PyTorch weight file.

    Args:
      path: the file; its content is not trusted.

    Returns:
      parameter name to array, shapes and dtypes as PyTorch stored them.

    Raises:
      TorchWeightsError: if the file is anything else than a state dict of tensors, or is cut short.
      OSError: if the file can't be read.
    """
    with open(path, "rb") as file:
        try:
            return _load(file)
        except TorchWeightsError as error:
            raise TorchWeightsError(f"{path}: {error}") from None
        # A damaged pickle can fail in any of these ways; all mean the same to the caller.
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise TorchWeightsError(f"{path}: damaged, or not a PyTorch weight file ({error})") from None


def _load(file: BinaryIO) -> dict[str, np.ndarray]:
    if file.read(2) == b"PK":
        raise TorchWeightsError("this is PyTorch's zip serialisation; only the legacy one (PyTorch < 1.6) is read")
    file.seek(0)
    storages: dict[str, _Storage] = {}
    if _TensorUnpickler(file, storages).load() != _MAGIC_NUMBER:
        raise TorchWeightsError("not a legacy PyTorch weight file: the magic number is missing")
    if (version := _TensorUnpickler(file, storages).load()) != _PROTOCOL_VERSION:
        raise TorchWeightsError(f"protocol version {_PROTOCOL_VERSION} is read. Received: {version!r}")
    _TensorUnpickler(file, storages).load()  # endianness and type sizes of the writer: little-endian everywhere
    state = _TensorUnpickler(file, storages).load()
    for key in _TensorUnpickler(file, storages).load():
        storages[key].read(file)
    if not isinstance(state, dict) or not all(isinstance(tensor, _Tensor) for tensor in state.values()):
        raise TorchWeightsError("the file holds something else than a dict of tensors")
    return {str(name): tensor.array() for name, tensor in state.items()}


class _Storage:
    """A flat run of elements, filled after the pickles have been read."""

    def __init__(self, dtype: np.dtype, size: int):
        self.dtype, self.size = dtype, size
        self.elements: np.ndarray | None = None

    def read(self, file: BinaryIO) -> None:
        count = int.from_bytes(file.read(8), "little", signed=True)
        if count != self.size:
            raise TorchWeightsError(f"a storage of {self.size} elements was announced, {count} are there")
        raw = file.read(count * self.dtype.itemsize)
        if len(raw) != count * self.dtype.itemsize:
            raise TorchWeightsError("the file is cut short")
        self.elements = np.frombuffer(raw, self.dtype)


class _Tensor:
    """A strided view into a storage: what torch._utils._rebuild_tensor_v2 describes."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any):
        self._storage, self._offset, self._shape, self._strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        if self._storage.elements is None:
            raise TorchWeightsError("a tensor refers to a storage that the file lacks")
        last = self._offset + sum((n - 1) * s for n, s in zip(self._shape, self._strides, strict=True))
        empty = 0 in self._shape
        if self._offset < 0 or min((*self._shape, *self._strides, 0)) < 0 or (not empty and last >= self._storage.size):
            raise TorchWeightsError("a tensor reaches outside its storage")
        item = self._storage.dtype.itemsize
        view = np.lib.stride_tricks.as_strided(
            self._storage.elements[self._offset :], self._shape, [s * item for s in self._strides], writeable=False
        )
        return view.copy()


class _TensorUnpickler(pickle.Unpickler):
    """Builds ordered dicts, tensors and storages; refuses every other class or function a pickle names."""

    def __init__(self, file: BinaryIO, storages: dict[str, _Storage]):
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        raise TorchWeightsError(
            f"refused to load {module}.{name}: a weight file needs only OrderedDict, tensors and their storages"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, size, view = pid
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            raise TorchWeightsError(f"refused a persistent object that is not a plain storage: {pid!r}")
        return self._storages.setdefault(key, _Storage(dtype, size))
