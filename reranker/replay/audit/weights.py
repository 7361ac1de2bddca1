"""With whom the items of a group are compared: weights of the candidates of one request, group by group.

Each column of weights belongs to one group: its members have weights that add up to 1, those they are compared with
weights that add up to -1. A column of zeros has nothing to compare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def same_request(members: Flags, labelled: Flags) -> Floats:
    """Every member with every other labelled candidate of the request. `members` (N, G), `labelled` (N,)."""
    return same_values(members, labelled, np.zeros(len(labelled), np.intp))


def same_values(members: Flags, labelled: Flags, strata: NDArray[np.integer]) -> Floats:
    """Within the strata (N,) of the request alone; -1 is of none. A stratum weighs as much as it can tell.

    That is g o / (g + o) for g members and o others, as of Mantel and Haenszel.
    """
    there = labelled & (strata >= 0)
    own, rest = members & there[:, None], ~members & there[:, None]
    count = int(strata.max(initial=-1)) + 1
    if not count:
        return np.zeros(members.shape)
    is_in = np.zeros((len(strata), count))
    is_in[np.flatnonzero(there), strata[there]] = 1.0
    ours, theirs = is_in.T @ own, is_in.T @ rest  # (strata, G)
    both = (ours > 0) & (theirs > 0)
    tells = np.divide(ours * theirs, ours + theirs, out=np.zeros_like(ours), where=both)
    total = tells.sum(axis=0)
    tells = np.divide(tells, total, out=np.zeros_like(tells), where=total > 0)
    of_own = np.divide(tells, ours, out=np.zeros_like(tells), where=both)
    of_rest = np.divide(tells, theirs, out=np.zeros_like(tells), where=both)
    weights: Floats = own * (is_in @ of_own) - rest * (is_in @ of_rest)
    return weights


def alike(members: Flags, labelled: Flags, vectors: Floats, least: float) -> Floats:
    """Each member with the other labelled candidate that is most like it, where their cosine is at least `least`.

    `vectors` (N, D) are of unit length, or zero where there is none. O(N² D).
    """
    cosines = vectors @ vectors.T
    weights = np.zeros(members.shape)
    for group in range(members.shape[1]):
        ours, theirs = np.flatnonzero(members[:, group] & labelled), np.flatnonzero(labelled & ~members[:, group])
        if not len(ours) or not len(theirs):
            continue
        between = cosines[np.ix_(ours, theirs)]
        best = between.argmax(axis=1)
        near = between[np.arange(len(ours)), best] >= least
        if near.any():
            share = 1.0 / np.count_nonzero(near)
            weights[ours[near], group] = share
            np.add.at(weights[:, group], theirs[best[near]], -share)
    return weights
