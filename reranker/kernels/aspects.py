"""Strategies that look at explicit aspects, the values of one attribute: one loop, and what an aspect is worth.

A candidate's diversity part is made of *terms*, one for each pair of an aspect and an amount that candidates carry of
it; with hard labels a term is an aspect. Terms are weighed anew in every slot, O(aspects); candidates only add theirs
up, or take the best, O(N x aspects of an item).
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f64, i32, i64, inner, kernel, linked, read_only, scratch
from reranker.kernels.pick import may_stand, resolve

XQUAD, PM2, CALIBRATED, DUM, ROUND_ROBIN = range(5)
SMOOTHING = 0.01  # alpha of Steck 2018
OWN = 0.5  # lambda of PM-2: the part of the aspect whose seat it is, beside all others together

# What both kernels below take of aspects, after the gate or the part of it that they need.
ASPECTS = (
    i64,  # which of the five
    f64,  # weight of the sum of terms
    f64,  # lead: what puts one group before another, whatever their relevance
    read_only(boolean, 1),  # which slots (slots + 1) the strategy owns; the others are relevance's
    read_only(i32, 1),  # offsets (N + 1)
    read_only(i32, 1),  # terms by candidate
    read_only(i32, 1),  # aspect of each term
    read_only(f64, 1),  # amount of each term, 0..1
    read_only(f64, 1),  # what is wanted of each aspect
    scratch(f64, 1),  # what the picks so far have of each aspect
    scratch(i32, 1),  # free candidates that carry each aspect
    scratch(f64, 1),  # worth of each term in this slot
    scratch(f64, 1),  # diversity part (N,) in this slot
    scratch(i64, 1),  # how many picks are absorbed, and the slot that the parts above are for
)


@inner
def _absorb(
    slot: int,
    form: int,
    forced: NDArray[np.int32],
    picks: NDArray[np.int32],
    offsets: NDArray[np.int32],
    terms: NDArray[np.int32],
    aspect: NDArray[np.int32],
    amount: NDArray[np.float64],
    state: NDArray[np.float64],
    supply: NDArray[np.int32],
    progress: NDArray[np.int64],
) -> None:
    """Let the picks before `slot` count. Only now: until their slot is over they may be taken back."""
    for t in range(progress[0], slot):
        pick = picks[t]
        total = 0.0
        for e in range(offsets[pick], offsets[pick + 1]):
            total += amount[terms[e]]
        for e in range(offsets[pick], offsets[pick + 1]):
            c = aspect[terms[e]]
            if form == XQUAD:
                state[c] *= 1.0 - amount[terms[e]]
            elif form == PM2:
                state[c] += amount[terms[e]] / total
            else:
                state[c] += amount[terms[e]]
            if forced[t] < 0:
                supply[c] -= 1
    progress[0] = max(progress[0], slot)


@inner
def _smooth(amount: float, wanted: float, count: int) -> float:
    """Steck's q tilde: the share of an aspect in `count` picks, with a little of the target in it."""
    return (1.0 - SMOOTHING) * amount / count + SMOOTHING * wanted


@inner
def _quotients(
    aspect: NDArray[np.int32],
    amount: NDArray[np.float64],
    wanted: NDArray[np.float64],
    state: NDArray[np.float64],
    supply: NDArray[np.int32],
    worth: NDArray[np.float64],
) -> float:
    """PM-2: Sainte-Lague quotients as shares of the largest that somebody free can still claim."""
    largest, seat = 0.0, -1
    for c in range(len(wanted)):
        quotient = wanted[c] / (2.0 * state[c] + 1.0)
        if supply[c] > 0 and quotient > largest:
            largest, seat = quotient, c
    for q in range(len(worth)):
        c = aspect[q]
        if seat < 0:
            worth[q] = 0.0
            continue
        worth[q] = wanted[c] / (2.0 * state[c] + 1.0) / largest * amount[q]
        if c != seat:
            worth[q] *= (1.0 - OWN) / OWN
    return 0.0


@inner
def _divergences(
    slot: int,
    aspect: NDArray[np.int32],
    amount: NDArray[np.float64],
    wanted: NDArray[np.float64],
    state: NDArray[np.float64],
    worth: NDArray[np.float64],
) -> float:
    """Calibration: -n KL(p, q tilde) of n = slot + 1 picks, for a pick without aspects; terms are what each adds."""
    count = slot + 1
    nothing = 0.0
    for c in range(len(wanted)):
        nothing += count * wanted[c] * np.log(_smooth(state[c], wanted[c], count) / wanted[c])
    for q in range(len(worth)):
        c = aspect[q]
        more = _smooth(state[c] + amount[q], wanted[c], count) / _smooth(state[c], wanted[c], count)
        worth[q] = count * wanted[c] * np.log(more)
    return nothing


@inner
def _turns(
    lead: float,
    slots: int,
    state: NDArray[np.float64],
    supply: NDArray[np.int32],
    worth: NDArray[np.float64],
) -> float:
    """Round robin: groups in turn, the one with the fewest picks first, in their order among equals. Terms are groups.

    A counting sort: O(groups + slots).
    """
    before = np.zeros(slots + 2, np.int64)
    groups = 0
    for c in range(len(worth)):
        if supply[c] > 0:
            before[np.int64(state[c]) + 1] += 1
            groups += 1
    for n in range(1, slots + 2):
        before[n] += before[n - 1]
    for c in range(len(worth)):
        worth[c] = -lead * groups
        if supply[c] > 0:
            turn = before[np.int64(state[c])]
            before[np.int64(state[c])] = turn + 1
            worth[c] = -lead * turn
    return -lead * groups


@linked
def _parts(
    slot: int,
    forced: NDArray[np.int32],
    picks: NDArray[np.int32],
    form: int,
    weight: float,
    lead: float,
    owned: NDArray[np.bool_],
    offsets: NDArray[np.int32],
    terms: NDArray[np.int32],
    aspect: NDArray[np.int32],
    amount: NDArray[np.float64],
    wanted: NDArray[np.float64],
    state: NDArray[np.float64],
    supply: NDArray[np.int32],
    worth: NDArray[np.float64],
    part: NDArray[np.float64],
    progress: NDArray[np.int64],
) -> None:
    """Write every candidate's diversity part in `slot`, unless it is there already."""
    if progress[1] == slot:
        return
    _absorb(slot, form, forced, picks, offsets, terms, aspect, amount, state, supply, progress)
    progress[1] = slot
    if not owned[slot]:
        part[:] = 0.0
        return
    nothing = 0.0
    if form == XQUAD:
        for q in range(len(worth)):
            worth[q] = wanted[aspect[q]] * state[aspect[q]] * amount[q]
    elif form == PM2:
        nothing = _quotients(aspect, amount, wanted, state, supply, worth)
    elif form == CALIBRATED:
        nothing = _divergences(slot, aspect, amount, wanted, state, worth)
    elif form == DUM:
        nothing = -lead
        for q in range(len(worth)):
            worth[q] = 0.0 if state[aspect[q]] < wanted[aspect[q]] else -lead
    else:
        nothing = _turns(lead, len(picks), state, supply, worth)
    best_only = form in (DUM, ROUND_ROBIN)
    for i in range(len(part)):
        value = nothing
        for e in range(offsets[i], offsets[i + 1]):
            value = max(value, worth[terms[e]]) if best_only else value + worth[terms[e]]
        part[i] = weight * value


@kernel(types.void(i64, i64, *GATE, read_only(f64, 1), *ASPECTS))
def select_by_aspects(
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
    form: int,
    weight: float,
    lead: float,
    owned: NDArray[np.bool_],
    offsets: NDArray[np.int32],
    terms: NDArray[np.int32],
    aspect: NDArray[np.int32],
    amount: NDArray[np.float64],
    wanted: NDArray[np.float64],
    state: NDArray[np.float64],
    supply: NDArray[np.int32],
    worth: NDArray[np.float64],
    part: NDArray[np.float64],
    progress: NDArray[np.int64],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i + part_i; `ASPECTS` says what the arrays are.

    `relevance` is weighted and adjusted already. O(N a + C) a slot, for a aspects an item and C aspects in all.
    """
    for slot in range(first, last):
        pick = forced[slot]
        _parts(
            slot, forced, picks, form, weight, lead, owned, offsets, terms, aspect, amount, wanted, state, supply,
            worth, part, progress,
        )  # fmt: skip
        best = -np.inf
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            for i in range(len(relevance)):
                if may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                    utility = resolve(relevance[i] + part[i])
                    if utility > best:
                        best = utility
                        pick = i
        picks[slot] = pick
        if pick < 0:
            return
        taken[pick] = True
        gains[slot] = resolve(relevance[pick] + part[pick])
        if bounded:
            counts[kind[pick]] += 1


@kernel(types.void(i64, read_only(i32, 1), read_only(i32, 1), *ASPECTS))
def aspect_parts(
    slot: int,
    forced: NDArray[np.int32],
    picks: NDArray[np.int32],
    form: int,
    weight: float,
    lead: float,
    owned: NDArray[np.bool_],
    offsets: NDArray[np.int32],
    terms: NDArray[np.int32],
    aspect: NDArray[np.int32],
    amount: NDArray[np.float64],
    wanted: NDArray[np.float64],
    state: NDArray[np.float64],
    supply: NDArray[np.int32],
    worth: NDArray[np.float64],
    part: NDArray[np.float64],
    progress: NDArray[np.int64],
) -> None:
    """Bring every candidate's diversity part up to date with the first `slot` picks; for explanations."""
    _parts(
        slot, forced, picks, form, weight, lead, owned, offsets, terms, aspect, amount, wanted, state, supply,
        worth, part, progress,
    )  # fmt: skip
