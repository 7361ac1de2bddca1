"""What is soft, as one additive term of the utility: quotas (rule 7), likeness, spacings and decays. It never binds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reranker.policy.blocks import SimilarityBound
from reranker.quotas.likeness import Likeness
from reranker.quotas.pool import Pool
from reranker.quotas.repeats import Repeats
from reranker.quotas.soft import SoftQuotas
from reranker.quotas.tables import AttributeTable


class Wishes:
    """Everything soft in one policy; `repeats` are its spacings and decays, None where it has none."""

    def __init__(
        self,
        tables: Sequence[AttributeTable],
        similarity: Sequence[SimilarityBound],
        unit: NDArray[np.float32] | None,
        pool: Pool,
        earlier: NDArray[np.float32],
        repeats: Repeats | None,
    ) -> None:
        self._pool, self.repeats = pool, repeats
        self._quotas = SoftQuotas(tables, len(pool), pool.slots) if tables else None
        self._likeness = [
            (bound.weight, Likeness([bound], unit, pool.slots, earlier)) for bound in similarity if unit is not None
        ]

    def bonus(self, slot: int) -> NDArray[np.float64]:
        """What every candidate's utility gains in this slot: float64 (N,)."""
        bonus = np.zeros(len(self._pool)) if self._quotas is None else self._quotas.bonus(slot)
        for weight, likeness in self._likeness:
            bonus = bonus - weight * likeness.conflicts_at(slot)
        if self.repeats is not None:
            bonus -= self.repeats.cost(slot)
        return bonus

    def commit(self, slot: int, pick: int) -> None:
        """Count the slot's pick."""
        if self._quotas is not None:
            self._quotas.commit(slot, pick, fixed=slot in self._pool.fixed)
        for _, likeness in self._likeness:
            likeness.commit(slot, pick)
        if self.repeats is not None:
            self.repeats.commit(slot, pick)
