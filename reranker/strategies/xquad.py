"""xQuAD: (1 - delta) r_i + delta sum_c p_c A(i, c) prod_{j picked} (1 - A(j, c)) / max_c p_c."""

from __future__ import annotations

import numpy as np

from reranker.kernels.aspects import XQUAD
from reranker.strategies.aspects import Floats
from reranker.strategies.by_aspect import AspectStrategy


class XquadStrategy(AspectStrategy):
    """Santos, Macdonald and Ounis 2010: the probability that an item serves an aspect which nothing above serves.

    In units of the most wanted aspect that anybody carries, p = max_c p_c, so the knob does not fade with the number of
    aspects: the paper's lambda is delta / (delta + (1 - delta) p). Monotone and submodular. O(N a) a slot.
    """

    form = XQUAD

    def _wanted(self) -> Floats:
        shares, carried = self._aspects.shares, np.unique(self._aspects.aspect)
        wanted: Floats = shares / shares[carried].max()
        return wanted

    def _nothing_yet(self) -> Floats:
        return np.ones(len(self._aspects.shares))
