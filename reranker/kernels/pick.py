"""What every strategy's loop shares: who may stand in a slot, and when two utilities are equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import inner
from reranker.kernels.vectors import LANES, first_bit, survey

GRID = 2.0**30
EXACT_FROM = 2.0**22
BLOCK = LANES  # candidates that share one bound: most slots look at a few blocks alone
MOST = 4 * BLOCK  # candidates of one batch, and a block more


@inner
def may_stand(slot: int, taken: bool, kind_is_open: bool, release: int) -> bool:
    """The candidate is free, its kind is open and its first permitted slot (from 1) has come.

    Scalars, not arrays: an array handed to a helper costs two atomic reference counts a call, more than the test
    itself.
    """
    return (not taken) & kind_is_open & (release <= slot + 1)


@inner
def first_guess(
    slot: int,
    kind: NDArray[np.int32],
    release: NDArray[np.int32],
    is_open: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
) -> int:
    """Who has the largest bound of those that may stand in the block with the largest one, -1 if nobody may stand.

    `crest` holds an upper bound of `bound` by block. A good guess makes a high bar for all others; where the block has
    nobody to stand, the guess is the largest of all. O(N / BLOCK), else O(N).
    """
    top = 0
    for b in range(1, len(crest)):
        if crest[b] > crest[top]:
            top = b
    guess = -1
    for i in range(top * BLOCK, min(len(taken), (top + 1) * BLOCK)):
        if may_stand(slot, taken[i], is_open[kind[i]], release[i]) and (guess < 0 or bound[i] > bound[guess]):
            guess = i
    for i in range(len(taken) if guess < 0 else 0):
        if may_stand(slot, taken[i], is_open[kind[i]], release[i]) and (guess < 0 or bound[i] > bound[guess]):
            guess = i
    return guess


@inner
def collect(
    slot: int,
    block: int,
    able: int,
    one_is_enough: bool,
    found: int,
    kind: NDArray[np.int32],
    release: NDArray[np.int32],
    is_open: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    contenders: NDArray[np.int32],
) -> int:
    """How many of a block's `able` candidates, bits of `survey`, may stand; they go behind the `found` contenders.

    `contenders` has room for one more than are found.
    """
    standing = 0
    while able != 0 and not (one_is_enough and standing > 0):
        i = block * BLOCK + first_bit(able)
        able &= able - 1
        contenders[found + standing] = i
        standing += int(may_stand(slot, taken[i], is_open[kind[i]], release[i]))
    return standing


@inner
def gather(
    slot: int,
    length: int,
    low: float,
    room: int,
    block: int,
    found: int,
    kind: NDArray[np.int32],
    release: NDArray[np.int32],
    is_open: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    seen: NDArray[np.int32],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
    batch: NDArray[np.int32],
    contenders: NDArray[np.int32],
) -> tuple[int, int, int]:
    """From `block` on, collect those that may stand and whose bound is at least `low`, until `room` of them lag.

    Those that have seen fewer than `length` picks go to `batch`, room for a block more, the others to `contenders`,
    which holds `found`. Returns the next block, how many are in the batch, and in the contenders. The largest bound of
    every block that is looked into becomes its `crest`.
    """
    lagging = 0
    while block < len(crest) and lagging < room:
        if crest[block] >= low:
            able, crest[block] = survey(bound, block * BLOCK, low)
            while able != 0:
                i = block * BLOCK + first_bit(able)
                able &= able - 1
                stands = int(may_stand(slot, taken[i], is_open[kind[i]], release[i]))
                behind = int(seen[i] < length)
                batch[lagging] = i
                contenders[found] = i
                lagging += stands & behind
                found += stands & (1 - behind)
        block += 1
    return block, lagging, found


@inner
def most_relevant(
    slot: int,
    kind: NDArray[np.int32],
    release: NDArray[np.int32],
    is_open: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    relevance: NDArray[np.float64],
) -> int:
    """The pick where nothing repels yet: the most relevant, the first of equals; -1 if nobody may stand. O(N)."""
    pick, best = -1, -np.inf
    for i in range(len(relevance)):
        if relevance[i] < best - 1e-8:
            continue
        utility = resolve(relevance[i])
        if (pick < 0 or utility > best) and may_stand(slot, taken[i], is_open[kind[i]], release[i]):
            pick, best = i, utility
    return pick


@inner
def runner_up(pick: int, found: int, contenders: NDArray[np.int32], bound: NDArray[np.float64]) -> int:
    """The contender with the largest bound beside the pick, -1 without any: seldom far from the best of next time."""
    best = -1
    for c in range(found):
        i = contenders[c]
        if i != pick and (best < 0 or bound[i] > bound[best]):
            best = i
    return best


@inner
def resolve(utility: float) -> float:
    """A utility on a grid of 2^-30, so that equal utilities stay equal whatever order their sums were taken in."""
    if abs(utility) < EXACT_FROM:
        rounded: float = np.rint(utility * GRID) / GRID
        return rounded
    return utility


def resolved(utility: NDArray[np.float64]) -> NDArray[np.float64]:
    """`resolve` for an array, outside kernels."""
    fine = np.abs(utility) < EXACT_FROM
    return np.where(fine, np.rint(np.where(fine, utility, 0.0) * GRID) / GRID, utility)
