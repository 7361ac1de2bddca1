"""The way down where time is short: the first rung of the ladder that there is time for, and the next where it fails.

Rung by rung: what the policy asks for; its strategy on the candidates near the top; MMR on them; relevance under the
quotas; the upstream order. Each but the last is the answer of the same policy with another objective, so all that is
said of the policy's bounds holds on it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from reranker.engine.aspects import looks_at_aspects
from reranker.engine.attempt import Attempt, Chooser, Floored, most_diversity
from reranker.engine.bounded import Bounded
from reranker.engine.history import History
from reranker.engine.listing import Listing
from reranker.engine.mix import main_embedding
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
        cut = "the deadline was near: the search for the most diversity under the relevance floor was cut short"
        notes = (cut,) if self.floored is not None and self.floored.hurried else ()
        if self.rung is Rung.WHOLE:
            return notes
        return (*notes, _SAID[self.rung].format(self.chooser.bounded.rules.candidate_window))


_SAID = {
    Rung.WINDOW: "too little time for all candidates: beside its quotas the slate looks at the {} most relevant alone",
    Rung.MMR: "too little time for the policy's strategy: this is MMR over the {} most relevant candidates",
    Rung.QUOTAS: "too little time for a strategy: this is the order of relevance under the quotas",
    Rung.UPSTREAM: "too little time to keep quotas: this is the upstream order",
}


@dataclass(frozen=True, slots=True)
class _Step:
    rung: Rung
    strategy: str
    window: int


_BACKSTOP = _Step(Rung.QUOTAS, "relevance", 0)


class Descent:
    """One request on the ladder.

    While others are tried, relevance under the quotas keeps the time that it takes.
    """

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
        self._tail = self._tail_of(self._whole)
        tables = sum(len(table.values) > 1 for table in bounded.hard)
        driven = _MANY if rules.max_fall or bounded.unit is not None else min(tables, _MANY)
        self._shape = driven, explain or bounded.has_wishes, rules.relevance_floor is not None
        embedding = self._problem.embedding
        self._columns = 1 if embedding is None else embedding.matrix.shape[1]

    def land(self) -> Landed:
        """The best slate that there is time for.

        Raises `DeadlinePassed` and `TooLittleTime` where there is none: where nothing may be degraded, and under
        `mode = "fail"`, which takes no slate that breaks a hard bound. Raises `CallerGone`.
        """
        schedule, passed = self._schedule, None
        steps = [self._whole]
        kept = 0.0
        if schedule.degrades and schedule.deadline is not None and self._problem.diversity > 0.0:
            kept = _SAFETY * (self._expected(_BACKSTOP) or 0.0)
            steps = self._steps()
        for step in steps:
            try:
                landed = self._try(step, 0.0 if step is steps[-1] else kept)
            except DeadlinePassed as error:
                passed = error
                if not schedule.degrades or schedule.is_over:
                    raise
            else:
                if landed is not None:
                    return landed
        schedule.check(self._bounded.pool.slots, 0)
        if schedule.degrades and self._bounded.rules.mode != "fail":
            return self._upstream()
        if passed is not None:
            raise passed
        raise TooLittleTime(min(self._expected(step) or 0.0 for step in steps), schedule.left)

    def _steps(self) -> list[_Step]:
        """The rungs from the top that are faster than the one above and keep the bounds."""
        rules, whole = self._bounded.rules, self._whole
        near = min(self._tail, NEAR * self._bounded.pool.slots)
        steps = [whole]
        if near < self._tail:
            steps.append(_Step(Rung.WINDOW, whole.strategy, near))
        if whole.strategy != "mmr" and not looks_at_aspects(rules):
            steps.append(_Step(Rung.MMR, "mmr", near))
        return [*steps, _BACKSTOP]

    def _try(self, step: _Step, kept: float) -> Landed | None:
        """The slate of one rung, which has to leave so many seconds; None where there is no time for it."""
        schedule = self._schedule
        if schedule.paces is None:
            return self._fill(step, schedule, None)
        pace, work = schedule.paces.of(self._kind(step)), self._work(step)
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
        if landed.floored is not None and landed.floored.hurried:
            pace.learn_at_least(work, took)
        elif fits:
            pace.learn(work, took)
        else:
            pace.relearn(work, took)
        return landed

    def _fill(self, step: _Step, schedule: Schedule, expected: float | None) -> Landed:
        chooser, said = self._chooser(step, schedule)
        started = schedule.clock()
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
            problem, said = build_problem(bounded.rules, self._listing, self._history, bounded.pool)
        return Chooser(bounded, problem, main_embedding(self._listing.candidates), schedule), said

    def _expected(self, step: _Step) -> float | None:
        paces = self._schedule.paces
        return None if paces is None else paces.of(self._kind(step)).expected(self._work(step))

    def _kind(self, step: _Step) -> Hashable:
        """What is expected to take equally long for equal work."""
        rules = self._bounded.rules
        sample = rules.sample and step.strategy == rules.strategy
        return step.strategy, sample, self._tail_of(step) < len(self._bounded.pool), *self._shape

    def _work(self, step: _Step) -> int:
        """Multiply-adds, if every candidate in reach were compared with every pick."""
        pool = self._bounded.pool
        return (len(pool) + self._tail_of(step) * pool.slots) * self._columns

    def _tail_of(self, step: _Step) -> int:
        """How many candidates a rung diversifies."""
        pool = self._bounded.pool
        return min(len(pool), max(step.window, pool.slots)) if step.window else len(pool)


def _floored(chooser: Chooser, listing: Listing) -> Floored | None:
    """What the policy's relevance floor leaves; None where there is no floor."""
    rules = chooser.bounded.rules
    if rules.relevance_floor is None:
        return None
    gains = np.maximum(above_zero(listing.candidates.scores, rules.score_zero), 0.0)[listing.order]
    return most_diversity(chooser, rules.relevance_floor, lambda picks: float(gains[picks].sum()))
