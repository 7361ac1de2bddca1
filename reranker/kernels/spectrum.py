"""Picks by what a window of bases leaves over: SSD (a ring of bases) and the DPP with a sliding window.

In a window what is left of a candidate rises again when a pick leaves, so no old value bounds it but 1, all of it. A
candidate whose relevance alone cannot win even so is not looked at; the first time it might, it becomes live and its
products with the bases are kept from then on (`bases.py`). Float32 finds the few contenders, float64 on the embeddings
as they came in decides between them, as in `dpp.py`.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.bases import LENGTH, LIVE, absorb, catch_up, left_over
from reranker.kernels.dpp import CLAMP, least, most
from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, read_only, scratch
from reranker.kernels.pick import may_stand, resolve

SCAN_ERROR = 1e-4  # bound on the float32 error of a live residual; tests/property find a tenth of it
_SLACK = 1e-9

# What `absorb` takes after the slot and the picks, in its order.
WINDOW = (
    read_only(f32, 2),  # embeddings as they came in
    read_only(f64, 1),  # their lengths
    read_only(i32, 1),  # their row by upstream rank
    boolean,  # similarity is (1 + cosine) / 2
    read_only(f32, 2),  # unit rows (N, D)
    scratch(f64, 2),  # bases (window, D)
    scratch(f32, 2),  # the same, rounded
    scratch(f64, 2),  # products of the window's picks with the bases, (1, 1) for a ring
    scratch(f32, 2),  # products of live candidates with the bases (window, N)
    scratch(f32, 1),  # what is left of live candidates
    scratch(i32, 1),  # live candidates
    scratch(i64, 1),  # counters, see `bases.py`
)


@inner
def _value(ring: bool, relevance: float, diversity: float, left: float) -> float:
    """The utility: relevance + diversity * sqrt(d2) for SSD, relevance + diversity * log max(d2, CLAMP) for a DPP."""
    if ring:
        return resolve(relevance + diversity * np.sqrt(left))
    return resolve(relevance + diversity * np.log(max(left, CLAMP)))


@inner
def _highest(ring: bool, relevance: float, diversity: float, worth: float, grow: float, left: float) -> float:
    """The most that a candidate can be worth: a utility for SSD, its exponential as in `dpp.py` for a DPP."""
    if ring:
        return relevance + diversity * float(np.sqrt(min(left, 1.0))) + _SLACK
    return most(left, worth, grow)


@inner
def _lowest(ring: bool, relevance: float, diversity: float, worth: float, grow: float, left: float) -> float:
    """The least, likewise."""
    if ring:
        return relevance + diversity * float(np.sqrt(max(left, 0.0))) - _SLACK
    return least(left, worth, grow)


@kernel(
    types.void(
        i64,
        i64,
        *GATE,
        read_only(f64, 1),
        read_only(f64, 1),
        f64,
        f64,
        f64,
        boolean,
        scratch(i32, 1),
        *WINDOW,
    )
)
def select_spectrum(
    first: int,
    last: int,
    kind: NDArray[np.int32],
    release: NDArray[np.int32],
    forced: NDArray[np.int32],
    bounded: bool,
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    counts: NDArray[np.int32],
    is_open: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    picks: NDArray[np.int32],
    gains: NDArray[np.float64],
    relevance: NDArray[np.float64],
    worth: NDArray[np.float64],
    top: float,
    diversity: float,
    grow: float,
    ring: bool,
    place: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    rows: NDArray[np.float32],
    bases: NDArray[np.float64],
    rounded: NDArray[np.float32],
    factor: NDArray[np.float64],
    products: NDArray[np.float32],
    residual: NDArray[np.float32],
    live: NDArray[np.int32],
    state: NDArray[np.int64],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i + diversity * sqrt(d2_i) (`ring`) or log max(d2_i, CLAMP).

    `relevance` is weighted and adjusted already; `worth`, `top` and `grow` are `weigh`'s, for a DPP alone. `place` is
    each candidate's column among the live ones, -1 for none. A pick enters the window when the next slot begins, at the
    latest by a call with `last` = `first`, so that it can be undone before. O(D (window + live)) a slot, and
    O(window live) for a DPP.
    """
    count = len(relevance)
    vector = np.empty(bases.shape[1], np.float64)
    contenders = np.empty(count, np.int32)
    for slot in range(first, max(last, first + 1)):
        absorb(
            slot, ring, picks, matrix, norms, order, shifted, rows, bases, rounded, factor, products, residual, live,
            state,
        )  # fmt: skip
        if slot == last:
            return
        length = state[LENGTH]
        pick = forced[slot]
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            low = -np.inf
            found = 0
            for i in range(count):
                if not may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                    continue
                at = place[i]
                if at < 0:
                    if _highest(ring, relevance[i], diversity, worth[i], grow, 1.0) < low:
                        continue
                    at = state[LIVE]
                    state[LIVE] = at + 1
                    live[at] = i
                    place[i] = at
                    catch_up(i, at, length, rows, rounded, products, residual)
                left = float(residual[at])
                if _highest(ring, relevance[i], diversity, worth[i], grow, left + SCAN_ERROR) < low:
                    continue
                contenders[found] = i
                found += 1
                low = max(low, _lowest(ring, relevance[i], diversity, worth[i], grow, left - SCAN_ERROR))
            best = -np.inf
            for c in range(found):
                i = contenders[c]
                left = float(residual[place[i]])
                if _highest(ring, relevance[i], diversity, worth[i], grow, left + SCAN_ERROR) < low:
                    continue
                left = left_over(i, length, matrix, norms, order, shifted, bases, vector)
                utility = _value(ring, relevance[i], diversity, left)
                if utility > best:
                    best = utility
                    pick = i
                    low = max(low, best - _SLACK if ring else np.exp((best - top) / diversity) / grow)
        picks[slot] = pick
        if pick < 0:
            return
        left = left_over(pick, length, matrix, norms, order, shifted, bases, vector)
        gains[slot] = _value(ring, relevance[pick], diversity, left)
        taken[pick] = True
        if bounded:
            counts[kind[pick]] += 1


@kernel(
    types.void(i64, scratch(f64, 1), read_only(f32, 2), read_only(f64, 1), read_only(i32, 1), boolean, scratch(f64, 2))
)
def leftovers(
    length: int,
    left: NDArray[np.float64],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    bases: NDArray[np.float64],
) -> None:
    """Write d2 of every candidate beside the first `length` bases to `left`, in float64; for explanations."""
    vector = np.empty(bases.shape[1], np.float64)
    for i in range(len(left)):
        left[i] = left_over(i, length, matrix, norms, order, shifted, bases, vector)
