"""The least by which one bound must be broken were it the only one, where its prefixes count labelled items alone.

Candidates come in four classes: whether they carry the bound's value, and whether they are labelled. A floor L(l) on
the carriers among the first l labelled items is kept best by whoever pays it without being counted, then by who pays
it, then by who is not counted, and by others last; a cap the other way about. Taking the best class that still has
somebody, slot after slot, leaves the least peak: an exchange towards that order never raises a count that is too high
or lowers one that is too low, and whoever may stand in a slot may stand in all later ones.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, i32, i64, kernel, linked, read_only, scratch

Ints = NDArray[np.int32]

LABELLED, CARRIES = 1, 2  # bits of a class


@linked
def peak_alone(bound: Ints, due: int, is_floor: bool, supply: Ints, settled: Ints) -> int:
    """The least peak of one bound by labelled prefix (slots + 1,).

    `supply` (4, slots + 1) counts who of each class may stand in the first t slots, settled items left out; `settled`
    (slots,) is the class of who stands in a slot anyway, -1 when it is free: as they count for no floor, fixed items
    then carry nothing. `due` is what a floor asks for at the end whatever the labelled items are. O(slots).
    """
    slots = len(settled)
    used = np.zeros(4, np.int32)
    carried = labelled = peak = 0
    for slot in range(1, slots + 1):
        chosen = settled[slot - 1]
        if chosen < 0:
            for rank in range(4):  # floors: unlabelled carriers, carriers, unlabelled others, others
                of = (CARRIES, CARRIES | LABELLED, 0, LABELLED)[rank if is_floor else 3 - rank]
                if used[of] < supply[of, slot]:
                    used[of] += 1
                    chosen = of
                    break
            if chosen < 0:
                continue
        labelled += chosen & LABELLED
        if chosen & CARRIES:
            carried += 1
        if is_floor:
            least = max(bound[labelled], due) if slot == slots else bound[labelled]
            peak = max(peak, least - carried)
        else:
            peak = max(peak, carried - bound[labelled])
    return peak


@kernel(i64(read_only(i32, 1), i64, boolean, read_only(i32, 2), read_only(i32, 1)))
def least_alone(bound: Ints, due: int, is_floor: bool, supply: Ints, settled: Ints) -> int:
    """`peak_alone` for one bound."""
    return peak_alone(bound, due, is_floor, supply, settled)


@kernel(
    types.void(
        i64, read_only(i32, 1), read_only(i32, 1), read_only(i32, 1), read_only(i32, 1), read_only(i32, 2),
        read_only(boolean, 1), read_only(i32, 2), read_only(i32, 2), read_only(i32, 1), scratch(i32, 1),
        scratch(i32, 1),
    )
)  # fmt: skip
def ease_alone(
    rows: int,
    relative: Ints,
    series_start: Ints,
    series_kinds: Ints,
    first_kinds: Ints,
    avail: Ints,
    settled: NDArray[np.bool_],
    low: Ints,
    high: Ints,
    due: Ints,
    shortfall: Ints,
    excess: Ints,
) -> None:
    """Write what floor and cap of each of the first `rows` series must lack and exceed; others are left as they are.

    The arrays are those of `kernels/easing.py`, whose `avail` counts settled items from their slots on. O(kinds x
    slots) for each series that refers to labelled items.
    """
    kinds, prefixes = avail.shape
    classes = np.zeros(kinds, np.int32)
    supply = np.zeros((4, prefixes), np.int32)
    stands = np.zeros(prefixes - 1, np.int32)
    for s in range(rows):
        counting = relative[s]
        if counting < 0 or counting == s:
            continue
        classes[:] = 0
        for at in range(series_start[counting], series_start[counting + 1]):
            classes[series_kinds[at]] = LABELLED
        for at in range(series_start[s], series_start[s + 1]):
            classes[series_kinds[at]] += CARRIES
        supply[:] = 0
        for q in range(kinds):
            for t in range(1, prefixes):
                supply[classes[q], t] += avail[q, t]
        for t in range(1, prefixes):
            stands[t - 1] = -1
            if settled[t]:
                stands[t - 1] = classes[first_kinds[t]]
                for u in range(t, prefixes):
                    supply[classes[first_kinds[t]], u] -= 1
        shortfall[s] = peak_alone(low[s], due[s], True, supply, stands)
        excess[s] = peak_alone(high[s], 0, False, supply, stands)
