"""Read-only arrays of one value, lent to every request: making them anew costs more than looking at them."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


class Same(Generic[Scalar]):
    """Arrays of any length that hold `value` everywhere: cut from one that grows with the largest request."""

    def __init__(self, value: Scalar) -> None:
        self._value = value
        self._longest = self._of(1024)

    def __call__(self, count: int) -> NDArray[Scalar]:
        """`count` times the value, read-only. O(1)."""
        longest = self._longest
        if len(longest) < count:
            longest = self._longest = self._of(2 * count)
        return longest[:count]

    def lent(self, array: NDArray[np.generic]) -> bool:
        """Whether the array is one of these. O(1); False proves nothing of what it holds."""
        return array.base is self._longest

    def _of(self, count: int) -> NDArray[Scalar]:
        array: NDArray[Scalar] = np.full(count, self._value)
        array.flags.writeable = False
        return array


ALL = Same(np.bool_(True))
ZEROS = Same(np.int32(0))
ONES = Same(np.int32(1))
MINUS_ONES = Same(np.int32(-1))
