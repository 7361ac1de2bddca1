"""Slates that nobody gets: what other arms would have answered where the answer was the upstream order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reranker import engine
from reranker.errors import RerankerError
from reranker.exposure.tally import TallyBoard
from reranker.observability.metrics import Metrics
from reranker.policy import Policy
from reranker.policy.model import UPSTREAM
from reranker.service.after import Answered

_FAILED = "FAILED"


class Shadows:
    """Makes them after the answer and counts how bounds fared and how many slots differ; keeps nothing else."""

    name = "shadow"

    def __init__(self, metrics: Metrics, board: TallyBoard | None = None) -> None:
        """`board` is what the ledger knows, so that a shadow is steered as the slates of its own arm are."""
        self._metrics, self._board = metrics.policies, board

    def wants(self, answered: Answered) -> bool:
        """Answers with shadows. Not later pages: a cursor speaks of the slates of another policy."""
        return bool(answered.shadows) and not answered.context.cursor

    def take(self, batch: Sequence[Answered]) -> None:
        """One slate for each shadow of each answer."""
        for answered in batch:
            for policy in answered.shadows:
                self._make(answered, policy)

    def rest(self) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """Nothing is open."""

    def _make(self, answered: Answered, policy: Policy) -> None:
        size = answered.request.slate_size
        arm = policy.name if answered.arm == UPSTREAM else answered.arm
        outlook = engine.Outlook(self._board, arm)
        try:
            slate, _ = engine.rerank_traced(
                answered.candidates, policy, size, context=answered.context, outlook=outlook
            )
        except RerankerError:  # the policy refuses these candidates, as it would have refused the request
            self._metrics.shadow_made(policy.name, _FAILED)
            return
        served, made = answered.slate.positions, slate.positions
        kept = int(np.count_nonzero(served[: len(made)] == made[: len(served)]))
        changed = 1.0 - kept / len(made) if len(made) else 0.0
        self._metrics.shadow_made(policy.name, slate.report.status.value, changed)
