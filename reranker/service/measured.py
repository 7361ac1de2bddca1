"""Measures of one slate in so many, taken after its answer, for the metrics."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from reranker.observability.quality import QualityMetrics
from reranker.service.after import Answered


class Sampled:
    """Measures the slates of one answer in `every`; not those of policies that a request brought along."""

    name = "measures"

    def __init__(self, metrics: QualityMetrics, every: int) -> None:
        self._metrics, self._every = metrics, every
        self._answers = itertools.count(1)

    def wants(self, answered: Answered) -> bool:
        """Every so many answers under a policy of ours."""
        return not answered.is_inline and next(self._answers) % self._every == 0

    def take(self, batch: Sequence[Answered]) -> None:
        """Measure each slate."""
        for answered in batch:
            self._metrics.measured(answered.policy.name, answered.slate.report.measures)

    def rest(self) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """Nothing is open."""
