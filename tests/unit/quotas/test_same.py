"""Arrays of one value that are lent out."""

from __future__ import annotations

import numpy as np
import pytest

from reranker.quotas.same import Same


@pytest.mark.parametrize("value", [np.bool_(True), np.int32(-1), np.int32(0), np.int32(1)])
def test_they_hold_the_value_and_cannot_be_written(value: np.generic) -> None:
    same = Same(value)
    for count in (0, 1, 1024, 1025, 5000, 3):
        array = same(count)
        assert array.tolist() == [value.item()] * count
        assert array.dtype == value.dtype
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
        assert same.lent(array)
        assert not same.lent(array.copy())
        own = array.copy()
        own[:] = 0
