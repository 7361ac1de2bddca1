"""One random request, put to the engine and to the referees."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine import rerank
from reranker.policy import Policy
from reranker.slate import BoundKind, OutcomeStatus, Slate
from tests.reference import naive_aspects
from tests.reference.naive_bounds import IN
from tests.reference.naive_features import mixed_similarities
from tests.reference.naive_quotas import Completions, Instance, Pair, broken
from tests.reference.naive_repeats import repeat_cost
from tests.reference.naive_strategies import AUTO_SIMILARITY, Twin, top_two_margin

NEAR_TIE = 1e-5  # utilities nearer than this may swap: the engine works in float32


@dataclass(frozen=True)
class Case:
    """A request in plain data: `rows` are the embedding without a name, `named` others beside it."""

    scores: NDArray[np.float64]
    rows: NDArray[np.float32] | None
    columns: dict[str, list[Any]]
    policy: dict[str, Any]
    slate_size: int
    fixed: dict[int, int] = field(default_factory=dict)
    targets: dict[str, dict[str, float]] = field(default_factory=dict)
    named: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def candidates(self) -> Candidates:
        """The candidates as the engine takes them."""
        embeddings = self.named if self.rows is None else {"": self.rows, **self.named}
        return Candidates(list(range(len(self.scores))), self.scores, embeddings, self.columns)

    def run(self, explain: bool = False) -> Slate:
        """The engine's answer."""
        context = Context(fixed=dict(self.fixed), targets=self.targets) if self.fixed or self.targets else None
        policy = Policy.from_dict({"name": "case", **self.policy})
        return rerank(self.candidates(), policy, self.slate_size, context=context, explain=explain)

    def instance(self) -> Instance:
        """The request as the naive quotas see it."""
        scores = self.scores.tolist()
        return Instance.of(self.policy, scores, self.columns, self.slate_size, self.fixed, self.targets)

    def twin(self) -> Twin:
        """The naive strategy that the policy names."""
        words = self.policy.get("objective", {})
        strategy = words.get("strategy", "dpp")
        if strategy in naive_aspects.NAMES:
            settled = naive_aspects.settled_items(self.policy, self.scores, self.slate_size, self.fixed)
            columns, targets = self.columns, self.targets
            return naive_aspects.twin_of(self.policy, self.scores, columns, self.slate_size, targets, settled)
        matrix = None
        if self.policy.get("similarity_signals"):
            form = words.get("similarity", "auto")
            form = AUTO_SIMILARITY.get(strategy, "cosine") if form == "auto" else form
            matrix = mixed_similarities(self.policy, len(self.scores), self.named, self.columns, form)
        return Twin.of(
            strategy,
            0.0 if strategy == "relevance" else words.get("diversity", 0.5),
            self.scores,
            self.rows,
            normalisation=words.get("score_normalisation", "auto"),
            similarity=words.get("similarity", "auto"),
            window=words.get("window", 0),
            matrix=matrix,
        )

    def soft_cost(self, twin: Twin, earlier: list[int]) -> NDArray[np.float64]:
        """What repetition takes from every candidate's utility behind the earlier picks."""
        return repeat_cost(self.policy, self.columns, (1.0 - twin.diversity) * twin.relevance, earlier)

    def same(self, item: int) -> set[int]:
        """Candidates with the score, and the embedding or labels, of this one: they tie in every arithmetic."""
        alike = self.scores == self.scores[item]
        if self.policy.get("objective", {}).get("strategy") in naive_aspects.NAMES:
            for column in self.columns.values():
                alike &= np.array([entry == column[item] for entry in column])
        elif self.rows is not None:
            alike &= (self.rows == self.rows[item]).all(axis=1)
        for rows in self.named.values():
            alike &= (rows == rows[item]).all(axis=1)
        if any(word in self.policy for word in ("similarity_signals", "spacings", "decays")):
            for column in self.columns.values():
                alike &= np.array([value == column[item] for value in column])
        return set(np.flatnonzero(alike).tolist())


def check_picks(case: Case, picks: list[int], target: Pair | None = None) -> int:
    """Every pick is what the referees pick after the same earlier picks; the number of slots that a near tie left open.

    `target` is the least deficit that the quotas allow (None: there are no quotas and no guard).
    """
    twin = case.twin()
    search = Completions(case.instance()) if target is not None else None
    open_slots = 0
    for slot, pick in enumerate(picks):
        earlier = picks[:slot]
        allowed: Collection[int] | None = None if search is None or target is None else search.allowed(earlier, target)
        assert allowed is None or pick in allowed, f"slot {slot + 1}: {pick} is not among the allowed {allowed}"
        cost = case.soft_cost(twin, earlier)
        utilities = {item: u - float(cost[item]) for item, u in twin.utilities(earlier, allowed).items()}
        best = twin.choose(utilities)
        if top_two_margin(utilities, best, case.same(best)) > NEAR_TIE:
            assert pick == best, f"slot {slot + 1}: {pick} at {utilities[pick]}, best {best} at {utilities[best]}"
            continue
        open_slots += pick != best
        assert utilities[pick] >= utilities[best] - NEAR_TIE, f"slot {slot + 1}: {pick} is no near tie of {best}"
    return open_slots


def check_shape(case: Case, slate: Slate) -> None:
    """Never shorter than possible, no duplicates, and nobody where rules 2 and 3 forbid."""
    picks = slate.positions.tolist()
    instance = case.instance()
    assert len(picks) == len(slate.gains) == min(case.slate_size, len(case.scores))
    assert len(set(picks)) == len(picks)
    for slot, item in enumerate(picks, 1):
        assert instance.may_stand(item, slot), f"slot {slot}: {item} may not stand there"


def check_outcomes(case: Case, slate: Slate) -> dict[tuple[str, str, str], int]:
    """What the report calls broken is what is broken; returns the checker's finding.

    Caps of prefixes and of windows are compared together; a window names the value that breaks it first.
    """
    found = broken(case.instance(), slate.positions.tolist())
    reported = {
        (o.attribute, o.value or IN, "LOWER" if o.bound is BoundKind.LOWER else "UPPER")
        for o in slate.report.quotas
        if o.status is OutcomeStatus.BROKEN and not o.soft and o.bound is not BoundKind.SIMILARITY
    }
    windows = {o.attribute for o in slate.report.quotas if o.status is OutcomeStatus.BROKEN and o.bound == "WINDOW"}
    assert reported <= set(found), f"reported broken, but holds: {reported - set(found)}"
    silent = {key for key in found if key not in reported and not (key[2] == "UPPER" and key[0] in windows)}
    assert not silent, f"broken, but not reported: {silent}"
    return found
