"""Quota libraries under relevance alone: fairsearchcore's greedy step and AIF360's deterministic re-rankers.

Two groups, protected or not, since that is all that fairsearchcore knows.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.inputs import Work
from benchmarks.peers.optional import Call, optional

PROTECTED = "p"
OTHER = "o"


@dataclass(frozen=True)
class Shares:
    """What both sides are asked for: at least floor(j · share) protected in every prefix j; `capped`: at most ceil."""

    protected: float
    capped: bool

    def words(self) -> list[dict[str, Any]]:
        """The same as policy words."""
        shares = {PROTECTED: self.protected, OTHER: 1.0 - self.protected}
        if not self.capped:
            return [{"attribute": "group", "min_share": {PROTECTED: self.protected}}]
        return [{"attribute": "group", "min_share": shares, "max_share": shares}]

    def broken(self, work: Work, picks: list[int]) -> int:
        """In how many prefixes a slate breaks it."""
        counts = np.cumsum([work.groups[pick] == PROTECTED for pick in picks])
        slots = np.arange(1, len(picks) + 1)
        low = counts < np.floor(slots * self.protected)
        high = counts > np.ceil(slots * self.protected) if self.capped else np.zeros(len(picks), bool)
        return int((low | high).sum())


def peers(work: Work, shares: Shares) -> dict[str, Call]:
    """All that do this job."""
    found: dict[str, Call] = {}
    if not shares.capped:
        fill = optional("fairsearchcore", "fairsearchcore.re_ranker", "fair_top_k")
        document = optional("fairsearchcore", "fairsearchcore.models", "FairScoreDoc")
        if fill is not None and document is not None:
            found["fairsearchcore"] = lambda: fill_by_table(fill, document, work, shares)
        return found
    ranker = optional("AIF360", "aif360.algorithms.postprocessing.deterministic_reranking", "DeterministicReranking")
    dataset = optional("AIF360", "aif360.datasets", "RegressionDataset")
    if ranker is not None and dataset is not None:
        for kind in ("Greedy", "Constrained"):
            found[f"AIF360 {kind}"] = _deterministic(ranker, dataset, work, shares, kind)
    return found


def fill_by_table(fill: Callable[..., Any], document: Callable[..., Any], work: Work, shares: Shares) -> list[int]:
    """Fairsearchcore's step under our floors: its own table is FA*IR's, whose making alone takes seconds."""
    floors = np.floor(np.arange(1, work.slate_size + 1) * shares.protected).astype(int).tolist()
    order = np.argsort(-work.scores, kind="stable").tolist()
    ranking = [document(row, work.scores[row], work.groups[row] == PROTECTED) for row in order]
    protected = [one for one in ranking if one.is_protected]
    others = [one for one in ranking if not one.is_protected]
    slate = fill(work.slate_size, protected, others, floors)
    return [one.id for one in (slate[0] if isinstance(slate, tuple) else slate)]  # a pair where candidates run out


def _deterministic(ranker: Any, dataset: Any, work: Work, shares: Shares, kind: str) -> Call:
    """Of columns that are there: pandas' frame, the library's data set and its fit are part of the call."""
    from pandas import DataFrame

    spread = work.scores.max() - work.scores.min()
    scaled = (work.scores - work.scores.min()) / spread

    def call() -> list[int]:
        columns = {"row": work.ids, "group": [float(one == PROTECTED) for one in work.groups], "score": work.scores}
        with contextlib.redirect_stdout(io.StringIO()):
            data = dataset(DataFrame(columns), "score", ["group"], [[0.0]])
            fair = ranker([{"group": 1.0}], [{"group": 0.0}])
            targets = [shares.protected, 1.0 - shares.protected]
            slate = fair.fit_predict(data, work.slate_size, targets, kind)
        # The library scales every column to 0..1, rows of the slate once more: the score alone says which item it was.
        return [int(np.abs(scaled - value).argmin()) for value in slate.labels.ravel()]

    return call
