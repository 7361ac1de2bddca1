"""DUM: in each slot of its own the most relevant item that raises f(S) = sum_c min(count_c, ceil(p_c k))."""

from __future__ import annotations

import numpy as np

from reranker.kernels.aspects import DUM
from reranker.strategies.aspects import Floats
from reranker.strategies.by_aspect import SlotStrategy

_ROUNDING = 1e-9  # of a share times the slots: float64 must not turn 5 seats into 6


class DumStrategy(SlotStrategy):
    """Ashkan, Kveton, Berkovsky and Wen 2015: items by relevance, those left out that add no coverage.

    Aspect c is covered by ceil(p_c k) items of a slate of k. Where nothing open adds coverage, relevance goes on.
    O(N a + C) a slot.
    """

    form = DUM

    def _wanted(self) -> Floats:
        wanted: Floats = np.ceil(self._aspects.shares * self.problem.slots - _ROUNDING)
        return wanted
