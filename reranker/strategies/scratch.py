"""Large arrays that one selection fills and the next one fills again.

Memory fresh from the system costs a page fault every 4 KiB, more than the work on it. A strategy therefore borrows a
`Scratch` for as long as it lives; what was borrowed holds whatever the last one left, and nothing that outlives the
strategy may look into it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

_KEPT_BYTES = 256 * 2**20  # of all scratches together; what huge requests took beyond it is given back
_ALIGNMENT = 64

Made = TypeVar("Made")
_Key: TypeAlias = tuple[str, type[np.generic]]


class Scratch:
    """Named arrays, each in a buffer that grows with the largest request so far."""

    __slots__ = ("_arrays", "_buffers", "_latest", "size")

    def __init__(self) -> None:
        self._buffers: dict[_Key, NDArray[np.uint8]] = {}
        self._arrays: dict[_Key, NDArray[Any]] = {}
        self._latest: tuple[Hashable, Any] = (None, None)
        self.size = 0
        """Bytes of all buffers."""

    def together(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` makes of this scratch alone, remembered by its `key` until an array changes its shape."""
        if self._latest[0] != key:
            made = make()
            self._latest = key, made
        known: Made = self._latest[1]
        return known

    def singles(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Uninitialised float32, on the border of a cache line."""
        return self._array(name, np.float32, shape)

    def doubles(self, name: str, *shape: int) -> NDArray[np.float64]:
        """Uninitialised float64, likewise."""
        return self._array(name, np.float64, shape)

    def numbers(self, name: str, *shape: int) -> NDArray[np.int32]:
        """Uninitialised int32, likewise."""
        return self._array(name, np.int32, shape)

    def shorts(self, name: str, *shape: int) -> NDArray[np.uint16]:
        """Uninitialised uint16, likewise."""
        return self._array(name, np.uint16, shape)

    def _array(self, name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
        known = self._arrays.get((name, dtype))
        if known is None or known.shape != shape:
            flat = self._bytes((name, dtype), math.prod(shape) * np.dtype(dtype).itemsize)
            known = self._arrays[name, dtype] = flat.view(dtype).reshape(shape)
            self._latest = (None, None)
        return known

    def _bytes(self, key: _Key, size: int) -> NDArray[np.uint8]:
        known = self._buffers.get(key)
        if known is None or len(known) < size:
            self.size += size - (0 if known is None else len(known))
            raw = np.empty(size + _ALIGNMENT, np.uint8)
            start = -raw.ctypes.data % _ALIGNMENT
            known = self._buffers[key] = raw[start : start + size]
        return known[:size]


_free: list[Scratch] = []


def borrow() -> Scratch:
    """One that nobody else has; lists are safe to share between threads, one operation at a time."""
    try:
        return _free.pop()
    except IndexError:
        return Scratch()


def give_back(scratch: Scratch) -> None:
    """Let the next selection have it."""
    if scratch.size + sum([other.size for other in _free]) <= _KEPT_BYTES:
        _free.append(scratch)
