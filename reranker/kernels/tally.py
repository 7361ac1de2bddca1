"""What a finished slate holds of each bounded row, and where its bounds first fail."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, i32, i64, kernel, read_only, scratch


@kernel(
    types.void(
        read_only(i32, 1), read_only(i32, 1), read_only(boolean, 1), read_only(i32, 2), read_only(i32, 2), i64,
        scratch(i32, 2), scratch(i32, 2),
    ),
    borrows=True,
)  # fmt: skip
def tally(
    start: NDArray[np.int32],
    rows: NDArray[np.int32],
    is_fixed: NDArray[np.bool_],
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    no_cap: int,
    floors: NDArray[np.int32],
    caps: NDArray[np.int32],
) -> None:
    """Write, by row, (deficit, first failing prefix, required, achieved, count on the slate) of its floor and its cap.

    The item of slot p (from 0) has `rows[start[p]:start[p + 1]]`; a fixed one never counts for a floor. `lower` and
    `upper` are (rows, slots + 1); required and achieved are those of the first failing prefix, or of the last bounded
    one. O(rows x slots).
    """
    slots = len(start) - 1
    for row in range(len(lower)):
        for c in range(5):
            floors[row, c] = caps[row, c] = 0
    for prefix in range(1, slots + 1):
        for at in range(start[prefix - 1], start[prefix]):
            caps[rows[at], 4] += 1
            if not is_fixed[prefix - 1]:
                floors[rows[at], 4] += 1
        for row in range(len(lower)):
            earned, count = floors[row, 4], caps[row, 4]
            lacking, over = lower[row, prefix] - earned, count - upper[row, prefix]
            if floors[row, 1] == 0:
                floors[row, 2], floors[row, 3] = lower[row, prefix], earned
                if lacking > 0:
                    floors[row, 1] = prefix
            if caps[row, 1] == 0 and upper[row, prefix] < no_cap:
                caps[row, 2], caps[row, 3] = upper[row, prefix], count
                if over > 0:
                    caps[row, 1] = prefix
            floors[row, 0] = max(floors[row, 0], lacking)
            caps[row, 0] = max(caps[row, 0], over)
