"""What a slate holds of each row and where its bounds first fail, beside a count by hand."""

from __future__ import annotations

import numpy as np

from reranker.kernels.tally import tally

NO_CAP = 1 << 30


def by_hand(
    items: list[list[int]], fixed: list[bool], bounds: list[int], row: int, is_floor: bool
) -> tuple[int, int, int, int, int]:
    """Deficit, first failing prefix, required, achieved, count in all."""
    deficit, first, required, achieved, count = 0, 0, 0, 0, 0
    for prefix, (item, is_fixed) in enumerate(zip(items, fixed, strict=True), start=1):
        count += row in item and not (is_floor and is_fixed)
        bound = bounds[prefix]
        lacking = bound - count if is_floor else count - bound
        if not first and (is_floor or bound < NO_CAP):
            required, achieved = bound, count
            first = prefix if lacking > 0 else 0
        deficit = max(deficit, lacking)
    return deficit, first, required, achieved, count


def test_as_by_hand() -> None:
    for seed in range(300):
        rng = np.random.default_rng(seed)
        rows, slots = int(rng.integers(2, 6)), int(rng.integers(1, 9))
        items = [sorted(set(rng.integers(1, rows, rng.integers(0, 3)).tolist())) for _ in range(slots)]
        fixed = rng.random(slots) < 0.2
        lower = rng.integers(0, 4, (rows, slots + 1)).astype(np.int32)
        upper = np.where(rng.random((rows, slots + 1)) < 0.5, NO_CAP, rng.integers(0, 4)).astype(np.int32)
        floors, caps = np.empty((2, rows, 5), np.int32)
        start = np.cumsum([0, *map(len, items)], dtype=np.int32)
        flat = np.array([row for item in items for row in item], np.int32)
        tally(start, flat, fixed, lower, upper, NO_CAP, floors, caps)
        for row in range(rows):
            where = (seed, row)
            assert tuple(floors[row]) == by_hand(items, fixed.tolist(), lower[row].tolist(), row, True), where
            assert tuple(caps[row]) == by_hand(items, fixed.tolist(), upper[row].tolist(), row, False), where
