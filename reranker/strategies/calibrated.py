"""Calibration: (1 - delta) r_i - delta n KL(p, q~(S + i)), n = |S| + 1."""

from __future__ import annotations

from reranker.kernels.aspects import CALIBRATED
from reranker.strategies.aspects import Floats
from reranker.strategies.by_aspect import AspectStrategy


class CalibratedStrategy(AspectStrategy):
    """Steck 2018: the slate's distribution over aspects follows the target, by C_KL with alpha = 0.01.

    Greedy on (1 - delta) sum r - delta |S| C_KL(p, q(S)): the paper's objective with the mean of the relevance in place
    of its sum, so that both parts keep their proportion from the first slot to the last. q(c|S) is the mean of p(c|i)
    over all picks; an item without aspects counts among them and adds nothing. O(N a + C) a slot.
    """

    form = CALIBRATED

    def _amounts(self) -> Floats:
        return self._aspects.parts()
