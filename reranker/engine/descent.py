"""The way down where time is short: the first rung of the ladder that there is time for, and the next where it fails.

Rung by rung: what the policy asks for; its strategy on the candidates near the top; MMR on them; relevance under the
quotas; the upstream order. Each but the last is the answer of the same policy with another objective, so all that is
said of the policy's bounds holds on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from reranker.engine.aspects import looks_at_aspects
from reranker.engine.attempt import Attempt, Chooser, Floored, most_diversity
from reranker.engine.bounded import Bounded
from reranker.engine.history import History
from reranker.engine.listing import Listing
from reranker.engine.mix import main_embedding
from reranker.engine.pace import Pace, Paces
from reranker.engine.problem import build_problem
from reranker.engine.schedule import UNHURRIED, Schedule
from reranker.errors import DeadlinePassed, TooLittleTime
from reranker.measures.relevance import above_zero
from reranker.policy import Policy
from reranker.policy.compile import with_objective
from reranker.slate import QuotaTier, Rung

NEAR = 4
"""How many candidates a slot are near the top."""
_SAFETY = 2.0  # how many times what relevance under the quotas takes is left to it: others overrun by something
_MANY = 3  # attributes with bounds, from which on their number matters no more


@dataclass(slots=True, eq=False)
class Landed:
    """A filled slate and the rung that made it.

    `started`, `planned` and `ended` are on the schedule's clock. `expected` is the seconds that it was thought to take;
    None where nothing was known.
    """

    rung: Rung
    attempt: Attempt
    chooser: Chooser
    floored: Floored | None
    said: tuple[str, ...]
    expected: float | None
    started: float
    planned: float
    ended: float

    @property
    def is_minimal(self) -> bool:
        """Whether no slate can have a lesser deficit."""
        return self.rung is not Rung.UPSTREAM and self.attempt.plan.minimal

    @property
    def error_ratio(self) -> float | None:
        """How many times what was expected it took."""
        return (self.ended - self.started) / self.expected if self.expected else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know of how it was made."""
        notes = tuple(_CUT_SHORT.format(search) for search in self._searches_cut_short())
        if self.rung is Rung.WHOLE:
            return notes
        return (*notes, _SAID[self.rung].format(self.chooser.bounded.rules.candidate_window))

    @property
    def is_cut_short(self) -> bool:
        """Whether it would have taken longer, had there been the time."""
        return any(self._searches_cut_short())

    def _searches_cut_short(self) -> Iterator[str]:
        if self.floored is not None and self.floored.hurried:
            yield "the search for the most diversity under the relevance floor"
        if self.rung is not Rung.UPSTREAM and self.attempt.plan.cut_short:
            yield "the search for the best picks under the quotas"


_CUT_SHORT = "the deadline was near: {} was cut short"

_SAID = {
    Rung.WINDOW: "too little time for all candidates: beside its quotas the slate looks at the {} most relevant alone",
    Rung.MMR: "too little time for the policy's strategy: this is MMR over the {} most relevant candidates",
    Rung.QUOTAS: "too little time for a strategy: this is the order of relevance under the quotas",
    Rung.UPSTREAM: "too little time to keep quotas: this is the upstream order",
}


class _Step(NamedTuple):
    rung: Rung
    strategy: str
    window: int


_BACKSTOP = _Step(Rung.QUOTAS, "relevance", 0)


class Descent:
    """One request on the ladder.

    While others are tried, relevance under the quotas keeps the time that it takes.
    """

    _paces: Paces
    _shape: tuple[int, bool, bool]

    def __init__(
        self,
        policy: Policy,
        listing: Listing,
        history: History | None,
        bounded: Bounded,
        schedule: Schedule,
        explain: bool,
    ) -> None:
        self._policy, self._listing, self._history, self._bounded = policy, listing, history, bounded
        self._schedule, self._explain = schedule, explain
        rules = bounded.rules
        self._problem, self._said = build_problem(rules, listing, history, bounded.pool)
        self._whole = _Step(Rung.WHOLE, rules.strategy, rules.candidate_window)
        self._count, self._slots = len(bounded.pool), bounded.pool.slots

    def land(self) -> Landed:
        """The best slate that there is time for.

        Raises `DeadlinePassed` and `TooLittleTime` where there is none: where nothing may be degraded, and under
        `mode = "fail"`, which takes no slate that breaks a hard bound. Raises `CallerGone`.
        """
        schedule = self._schedule
        if schedule.paces is None:
            return self._fill(self._whole, schedule, None)
        self._paces, self._shape = schedule.paces, self._shape_of()
        has_others = schedule.degrades and schedule.deadline is not None and self._problem.diversity > 0.0
        kept = _SAFETY * self._expected(_BACKSTOP) if has_others else 0.0
        passed: DeadlinePassed | None = None
        for step in self._steps(has_others):
            try:
                landed = self._try(step, 0.0 if step is _BACKSTOP else kept)
            except DeadlinePassed as error:
                passed = error
                if schedule.is_over:
                    raise
            else:
                if landed is not None:
                    return landed
        schedule.check(self._slots, 0)
        if schedule.degrades and self._bounded.rules.mode != "fail":
            return self._upstream()
        if passed is not None:
            raise passed
        raise TooLittleTime(self._expected(_BACKSTOP if has_others else self._whole), schedule.left)

    def _steps(self, has_others: bool) -> Iterator[_Step]:
        """What the policy asks for, and the rungs below it that are faster and keep the bounds."""
        whole = self._whole
        yield whole
        if not has_others:
            return
        tail = self._tail_of(whole)
        near = min(tail, NEAR * self._slots)
        if near < tail:
            yield _Step(Rung.WINDOW, whole.strategy, near)
        if whole.strategy != "mmr" and not looks_at_aspects(self._bounded.rules):
            yield _Step(Rung.MMR, "mmr", near)
        yield _BACKSTOP

    def _try(self, step: _Step, kept: float) -> Landed | None:
        """The slate of one rung, which has to leave so many seconds; None where there is no time for it."""
        schedule = self._schedule
        pace, work = self._price(step)
        expected = pace.expected(work)
        left = schedule.left - kept
        fits = left > 0.0 if expected is None else expected <= left
        if not fits and not (left > 0.0 and pace.may_try()):
            return None
        started = schedule.clock()
        try:
            landed = self._fill(step, schedule.until(kept), expected)
        except DeadlinePassed:
            pace.learn_at_least(work, schedule.clock() - started)
            raise
        took = landed.ended - landed.started
        if landed.is_cut_short:
            pace.learn_at_least(work, took)
        elif fits:
            pace.learn(work, took)
        else:
            pace.relearn(work, took)
        return landed

    def _fill(self, step: _Step, schedule: Schedule, expected: float | None) -> Landed:
        started = schedule.clock()
        chooser, said = self._chooser(step, schedule)
        floored = _floored(chooser, self._listing)
        plan = chooser.plan(self._explain)
        planned = schedule.clock()
        diversity = chooser.problem.diversity if floored is None else floored.diversity
        attempt = chooser.fill(plan, diversity, self._explain)
        return Landed(step.rung, attempt, chooser, floored, said, expected, started, planned, schedule.clock())

    def _upstream(self) -> Landed:
        """The upstream order, which takes next to no time."""
        clock, rules = self._schedule.clock, self._bounded.rules
        chooser, _ = self._chooser(_BACKSTOP, UNHURRIED)
        bounded = bool(self._bounded.hard) or any(not bound.soft for bound in rules.similarity)
        started = clock()
        attempt = chooser.upstream(QuotaTier.HEURISTIC if bounded else QuotaTier.NONE, 0.0, self._explain)
        return Landed(Rung.UPSTREAM, attempt, chooser, None, (), None, started, started, clock())

    def _chooser(self, step: _Step, schedule: Schedule) -> tuple[Chooser, tuple[str, ...]]:
        bounded, problem, said = self._bounded, self._problem, self._said
        if step is not self._whole:
            bounded = replace(bounded, rules=with_objective(self._policy, bounded.rules, step.strategy, step.window))
            if step.strategy != self._whole.strategy:
                problem, said = build_problem(bounded.rules, self._listing, self._history, bounded.pool)
        return Chooser(bounded, problem, main_embedding(self._listing.candidates), schedule), said

    def _expected(self, step: _Step) -> float:
        """Seconds; 0 where nothing is known."""
        pace, work = self._price(step)
        return pace.expected(work) or 0.0

    def _price(self, step: _Step) -> tuple[Pace, int]:
        """The pace of what takes equally long for equal work, and the most multiply-adds that the work can be."""
        tail, rules, embedding = self._tail_of(step), self._bounded.rules, self._problem.embedding
        sample = rules.sample and step.strategy == rules.strategy
        columns = 1 if embedding is None else embedding.matrix.shape[1]
        pace = self._paces.of((step.strategy, sample, tail < self._count, self._shape))
        return pace, (self._count + tail * self._slots) * columns

    def _shape_of(self) -> tuple[int, bool, bool]:
        """What all rungs have in common: attributes with bounds, whether slots go one by one, a relevance floor."""
        bounded, rules = self._bounded, self._bounded.rules
        tables = sum([len(table.values) > 1 for table in bounded.hard]) if bounded.hard else 0
        if rules.max_fall or bounded.unit is not None or tables > _MANY:
            tables = _MANY
        return tables, self._explain or bounded.has_wishes, rules.relevance_floor is not None

    def _tail_of(self, step: _Step) -> int:
        """How many candidates a rung diversifies."""
        return min(self._count, max(step.window, self._slots)) if step.window else self._count


def _floored(chooser: Chooser, listing: Listing) -> Floored | None:
    """What the policy's relevance floor leaves; None where there is no floor."""
    rules = chooser.bounded.rules
    if rules.relevance_floor is None:
        return None
    gains = np.maximum(above_zero(listing.candidates.scores, rules.score_zero), 0.0)[listing.order]
    return most_diversity(chooser, rules.relevance_floor, lambda picks: float(gains[picks].sum()))
