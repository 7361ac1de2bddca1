"""How evenly a list is spread over groups, whatever the target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.integer]


def entropy(counts: Counts) -> float | None:
    """Shannon entropy of the distribution over groups, in nats: from 0 (one group) to ln of the number of groups.

    `counts` (G,) say how often each group occurs in the list. Divide by ln G for evenness. None when all are 0. O(G).
    """
    total = counts.sum()
    if total == 0:
        return None
    shares = counts[counts > 0] / total
    return max(-float((shares * np.log(shares)).sum()), 0.0)


def gini(counts: Counts) -> float | None:
    """Gini coefficient over groups: from 0 (all equally often) to 1 - 1 / G (all items in one of G groups).

    Half the mean absolute difference between two groups' counts, over the mean count. `counts` (G,) as for `entropy`;
    a group that the list lacks counts with 0. None when all are 0, or with fewer than two groups, of which none can be
    larger than another. O(G log G).
    """
    groups, total = len(counts), counts.sum()
    if groups < 2 or total == 0:
        return None
    ranks = 2 * np.arange(1, groups + 1) - groups - 1
    return float(ranks @ np.sort(counts)) / (groups * float(total))
