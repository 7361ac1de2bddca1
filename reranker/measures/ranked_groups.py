"""How far a list's prefixes, and the list as a set, are from a reference distribution over groups.

rND, rKL and rRD (Yang and Stoyanovich, SSDBM 2017) take one group as protected, all other labelled items as
the rest. At every tenth slot, and at the end, a distance between the group's share in the prefix and in the reference
is weighed with 1 / log2(slot + 1); the sum is divided by the largest that any order of these candidates could have. All
are from 0 (every prefix as the reference) to 1 (as far from it as can be).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reranker.measures.groups import Membership, against

Floats = NDArray[np.float64]
Distance = Callable[[Floats, Floats, Floats], Floats]
_NOISE = 1e-12  # what rounding leaves of a distance of 0


def rnd(listed: Membership, supply: Membership, reference: Floats, step: int = 10) -> Floats:
    """Normalised discounted difference of each group, (V,): the distance is |share - reference share|.

    `listed` and `supply` are the memberships of the list and of all candidates; `reference` (V,) holds shares of
    labelled items. Unknown items keep their slots, whatever the order, and count in no share; prefixes that hold
    nothing else are left out. NaN where nothing is labelled, where the reference is NaN, and where all orders are
    equally far from it, as when the candidates are all of one group. O(cuts x k x V).
    """
    return _normalised(listed, supply, reference, step, _difference)


def rkl(listed: Membership, supply: Membership, reference: Floats, step: int = 10) -> Floats:
    """Normalised discounted divergence of each group, (V,): KL((share, 1 - share) || (reference share, its rest)).

    0 log 0 = 0: a prefix without the group, or of nobody else, has its exact divergence. Arguments and NaN as in `rnd`;
    NaN also where the reference share is 0 or 1, from which any other share diverges without bound.
    """
    has_both = (reference > 0.0) & (reference < 1.0)
    return _normalised(listed, supply, np.where(has_both, reference, np.nan), step, _divergence)


def rrd(listed: Membership, supply: Membership, reference: Floats, step: int = 10) -> Floats:
    """Normalised discounted ratio difference of each group, (V,): how far group : rest falls short of the reference.

    The distance is max(0, reference ratio - prefix ratio); a prefix of the group alone has no finite ratio, and falls
    short of nothing. Only for a group that the reference has in the minority, as the paper says: NaN for a reference
    share of 0, for one above 1/2, and where `rnd` is. (Capped ratios are those of the authors' own code. That code sets
    the ratio of a prefix of the group alone to 0, the largest shortfall.)
    """
    is_minority = (reference > 0.0) & (reference <= 0.5)
    return _normalised(listed, supply, np.where(is_minority, reference, np.nan), step, _shortfall)


def _difference(counts: Floats, sizes: Floats, reference: Floats) -> Floats:
    return np.abs(counts / sizes - reference)


def _divergence(counts: Floats, sizes: Floats, reference: Floats) -> Floats:
    share = counts / sizes
    return _times_log_ratio(share, reference) + _times_log_ratio(1.0 - share, 1.0 - reference)


def _times_log_ratio(share: Floats, reference: Floats) -> Floats:
    """The share times ln(share / reference), 0 for a share of 0."""
    ratio = np.where(share > 0.0, share / reference, 1.0)
    parts: Floats = share * np.log(ratio)
    return parts


def _shortfall(counts: Floats, sizes: Floats, reference: Floats) -> Floats:
    rest = sizes - counts
    ratio = np.divide(counts, rest, out=np.full(rest.shape, np.inf), where=rest > 0.0)
    short: Floats = np.maximum(reference / (1.0 - reference) - ratio, 0.0)
    return short


def _normalised(listed: Membership, supply: Membership, reference: Floats, step: int, distance: Distance) -> Floats:
    """Discounted distances at the cuts over the most that they can be; values without a reference are left out."""
    result = np.full(listed.width, np.nan)
    measured = np.flatnonzero(~np.isnan(reference))
    slots = len(listed.labelled)
    cuts = np.unique(np.append(np.arange(step, slots, step), slots))
    sizes = np.append(0, np.cumsum(listed.labelled))[cuts]
    cuts, sizes = cuts[sizes > 0], sizes[sizes > 0]
    if len(cuts) == 0 or len(measured) == 0:
        return result
    weights = 1.0 / np.log2(cuts + 1.0)
    wanted = reference[measured]
    counts = np.zeros((len(cuts), listed.width))
    np.add.at(counts, (np.searchsorted(cuts, listed.rows, side="right"), listed.carried), 1.0)
    counts = np.cumsum(counts, axis=0)[:, measured]
    found = weights @ distance(counts, sizes[:, None].astype(np.float64), wanted)
    having = supply.counts[measured]
    most = _largest(sizes, weights, having, np.count_nonzero(supply.labelled) - having, wanted, distance)
    result[measured] = np.divide(found, most, out=np.full(len(most), np.nan), where=most > _NOISE)
    np.minimum(result, 1.0, out=result)
    return result


def _largest(
    sizes: NDArray[np.integer],
    weights: Floats,
    having: NDArray[np.integer],
    others: NDArray[np.integer],
    reference: Floats,
    distance: Distance,
) -> Floats:
    """The largest discounted distance that an order of the candidates can have, (V,), cut by cut over all counts.

    From declared shares the farthest order is not always one with the whole group first or last, hence the search:
    best[c] is the most so far with c of the group in the prefix.
    """
    counts = np.arange(int(sizes[-1]) + 1)[:, None]
    best = np.full((len(counts), len(having)), -np.inf)
    best[0] = 0.0
    before = 0
    for size, weight in zip(sizes.tolist(), weights.tolist(), strict=True):
        reached = best
        width, wanted = 1, size - before + 1
        while width < wanted:  # the largest of the last `width` entries, twice as many each time
            more = min(width, wanted - width)
            reached = np.concatenate([reached[:more], np.maximum(reached[more:], reached[:-more])])
            width += more
        possible = (counts <= np.minimum(having, size)) & (counts >= size - others)
        far = distance(np.minimum(counts, size).astype(np.float64), np.full((1, 1), float(size)), reference)
        best = np.where(possible, reached + weight * far, -np.inf)
        before = size
    most: Floats = best.max(axis=0)
    return most


def calibration_kl(listed: Membership, reference: Floats, mixed: float = 0.01) -> float | None:
    """Miscalibration C_KL (Steck, RecSys 2018): KL(reference || list), 0 where they agree.

    Of each reference share p the list's share q is taken as (1 - mixed) q + mixed p, the paper's own definition with
    its 0.01, so that a group that the list lacks costs p ln(1 / mixed) and not infinitely much; the largest value is
    ln(1 / mixed), 4.6. The list is taken as a set: order does not matter. Distributions are over the values, as in
    `ndkl`, each value of an item counting once (the paper splits an item among its genres; then the shares that are
    reported would not be what is compared). `reference` (V,) as in `against`. Unknown items are left out. None when
    nothing is labelled. O(entries).
    """
    rows, classes, target = against(listed, reference)
    if len(rows) == 0:
        return None
    held = np.bincount(classes, minlength=len(target)) / len(rows)
    wanted = target > 0.0
    target, held = target[wanted], held[wanted]
    return max(float((target * np.log(target / ((1.0 - mixed) * held + mixed * target))).sum()), 0.0)
