"""What an item pays for values that stand above it already: by distance (spacing), and by how often (decay).

Candidate i, in upstream order, carries `codes[offsets[i]:offsets[i + 1]]`; unknown labels are not among them, so an
item without a label pays nothing and makes nobody pay.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import f64, i32, i64, kernel, read_only, scratch


@kernel(
    types.void(
        i64,
        read_only(i32, 1),
        read_only(f64, 1),
        read_only(i32, 1),
        read_only(i32, 1),
        scratch(f64, 1),
        scratch(f64, 1),
    )
)
def add_spacing(
    slot: int,
    picks: NDArray[np.int32],
    price: NDArray[np.float64],
    codes: NDArray[np.int32],
    offsets: NDArray[np.int32],
    owed: NDArray[np.float64],
    cost: NDArray[np.float64],
) -> None:
    """Add to `cost` (N,) what each candidate would pay in `slot` (from 0) behind the first `slot` of `picks`.

    `price[d]` is due for each value shared with the pick d slots back, d = 1..len(price) - 1. `owed` by code is all
    zero before and after. O(window + codes).
    """
    reach = min(slot, len(price) - 1)
    for d in range(1, reach + 1):
        pick = picks[slot - d]
        for e in range(offsets[pick], offsets[pick + 1]):
            owed[codes[e]] += price[d]
    for i in range(len(cost)):
        total = 0.0
        for e in range(offsets[i], offsets[i + 1]):
            total += owed[codes[e]]
        cost[i] += total
    for d in range(1, reach + 1):
        pick = picks[slot - d]
        for e in range(offsets[pick], offsets[pick + 1]):
            owed[codes[e]] = 0.0


@kernel(types.void(read_only(i32, 1), read_only(f64, 1), read_only(i32, 1), read_only(i32, 1), scratch(f64, 1)))
def shrink(
    counts: NDArray[np.int32],
    multiplier: NDArray[np.float64],
    codes: NDArray[np.int32],
    offsets: NDArray[np.int32],
    share: NDArray[np.float64],
) -> None:
    """Multiply `share` (N,) with `multiplier[n]`, n the largest count by code over a candidate's values. O(codes)."""
    for i in range(len(share)):
        most = 0
        for e in range(offsets[i], offsets[i + 1]):
            most = max(most, counts[codes[e]])
        share[i] *= multiplier[most]
