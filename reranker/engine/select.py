"""Filling a plan's slots: at one go where nothing has to be looked at in between, else slot by slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import EmbeddingColumn
from reranker.engine.explain import Explainer
from reranker.engine.schedule import Schedule
from reranker.engine.steer import Steer
from reranker.lane import aside
from reranker.quotas.planner import Plan
from reranker.quotas.pool import Pool
from reranker.quotas.wishes import Wishes
from reranker.slate import Explanation
from reranker.strategies import Strategy

_NEVER = np.iinfo(np.int32).max
_RUN = 20_000_000  # multiply-adds between two looks at the clock, at most: a few milliseconds
_LONG = 4_000_000  # of them from which stepping out of the lane is worth the while: some tenths of a millisecond
_A_SECOND = 400_000_000  # of them that a slow core makes in it
_SHARE = 0.2  # of the time that is left, that may pass between two looks there


@dataclass(slots=True, eq=False)
class Selection:
    """What one selection needs: `wishes` are all that is soft, `schedule` says until when it is of use.

    `embedding` is the first one, in which explanations say what stands near; None where nobody has it. `window` is how
    many of the best candidates are diversified, 0: all. Those beyond it, or beyond as many as there are slots, stand
    only where bounds leave nobody else, the most relevant first (rule 11). `prices` float64 (N,) are what `steer` adds
    to every utility, the same in all slots; None where it adds nothing.
    """

    strategy: Strategy
    plan: Plan
    pool: Pool
    wishes: Wishes | None
    schedule: Schedule
    embedding: EmbeddingColumn | None
    window: int = 0
    steer: Steer | None = None
    prices: NDArray[np.float64] | None = None

    @property
    def tail(self) -> int:
        """The first candidate that is not diversified; as many as there are candidates when all are."""
        return max(self.window, self.pool.slots) if self.window else len(self.pool)


def select(selection: Selection, explain: bool) -> tuple[Explanation, ...]:
    """Fill the plan's gate; one explanation a slot when asked. Raises `DeadlinePassed` and `CallerGone`."""
    if selection.strategy.work * selection.pool.slots < _LONG:
        return _select(selection, explain)
    with aside():  # most of it is no Python, which other requests need meanwhile
        return _select(selection, explain)


def _select(selection: Selection, explain: bool) -> tuple[Explanation, ...]:
    plan = selection.plan
    if selection.tail < len(selection.pool):
        plan.gate.taken[selection.tail :] = True  # the strategy does not see them
    if selection.prices is not None:
        selection.strategy.adjust(selection.prices)
    if plan.driver is None and selection.wishes is None and not explain:
        _in_runs(selection)
        return ()
    repeats = selection.wishes.repeats if selection.wishes is not None else None
    explainer = None
    if explain:
        steer = selection.steer if selection.prices is not None else None
        explainer = Explainer(selection.strategy, plan, selection.pool, selection.embedding, repeats, steer)
    for slot in range(selection.pool.slots):
        selection.schedule.check(selection.pool.slots, slot)
        if selection.wishes is not None:
            wished = selection.wishes.bonus(slot)
            selection.strategy.adjust(wished if selection.prices is None else wished + selection.prices)
        _fill(selection, slot, explainer)
        pick = int(plan.gate.picks[slot])
        if explainer is not None:
            explainer.after(slot)
        if plan.driver is not None:
            plan.driver.commit(slot, pick)
        if plan.likeness is not None:
            plan.likeness.commit(slot, pick)
        if selection.wishes is not None:
            selection.wishes.commit(slot, pick)
    return explainer.explanations if explainer is not None else ()


def _fill(selection: Selection, slot: int, explainer: Explainer | None) -> None:
    """Fill one slot: the strategy proposes, the plan accepts or closes the pick's kind for this slot."""
    strategy, plan, pool = selection.strategy, selection.plan, selection.pool
    gate, driver, likeness = plan.gate, plan.driver, plan.likeness
    free = gate.forced[slot] < 0
    if free and driver is not None:
        driver.open(slot)
    if likeness is not None:
        likeness.close(slot, pool, gate)
    if explainer is not None:
        explainer.before(slot)
    strategy.select(slot, slot + 1)
    if driver is None and gate.picks[slot] < 0:
        _must_fill(selection, slot)
    if not free or driver is None:
        return
    while not _accepted(selection, slot, explainer):
        if gate.picks[slot] < 0:
            if _must_fill(selection, slot):
                continue
            break  # nobody whom the bounds let in is left: the report says what that broke
        pick = int(gate.picks[slot])
        gate.is_open[gate.kind[pick]] = False
        strategy.retract(slot)
        gate.taken[pick] = pick >= selection.tail
        strategy.select(slot, slot + 1)


def _accepted(selection: Selection, slot: int, explainer: Explainer | None) -> bool:
    """Whether the slot has a pick that may stay. Who was closed out is noted before: accepting opens the next slot."""
    gate, driver = selection.plan.gate, selection.plan.driver
    if explainer is not None:
        explainer.noted()
    return gate.picks[slot] >= 0 and driver is not None and driver.accept(slot, int(gate.picks[slot]))


def _in_runs(selection: Selection) -> None:
    """One kernel call for the slate, or runs of slots short enough to look at the clock in between."""
    strategy, pool, schedule = selection.strategy, selection.pool, selection.schedule
    run = pool.slots
    if schedule.deadline is not None:
        run = max(1, int(min(_RUN, _SHARE * _A_SECOND * max(0.0, schedule.left))) // max(1, strategy.work))
    elif schedule.present is not None:
        run = max(1, _RUN // max(1, strategy.work))
    picks, first = selection.plan.gate.picks, 0
    while first < pool.slots:
        schedule.check(pool.slots, first)
        last = min(first + max(run, 1), pool.slots)
        strategy.select(first, last)
        if selection.tail < len(pool):
            empty = np.flatnonzero(picks[first:last] < 0)
            if len(empty):
                last = first + int(empty[0]) + 1
                _must_fill(selection, last - 1)
        first = last


def _must_fill(selection: Selection, slot: int) -> bool:
    """Fill a slot in which nobody that is diversified may stand: from beyond the window, or by easing likeness.

    Where bounds let in nobody at all, who may stand there in upstream order does, else whoever may stand soonest: a
    slate is never short (False then; True where the pick is within the bounds).
    """
    gate, tail, likeness = selection.plan.gate, selection.tail, selection.plan.likeness
    hidden = np.ones(len(selection.pool), bool)
    hidden[tail:] = False
    hidden[gate.picks[:slot]] = True
    hidden[gate.forced[gate.forced >= 0]] = True
    standing = ~hidden & gate.is_open[gate.kind] & (gate.release <= slot + 1)
    if standing.any():
        _put(selection, slot, int(standing.argmax()))
        return True
    gate.taken[tail:] = hidden[tail:]
    if selection.strategy.bonus is not None:  # bounds are those of candidates that were not taken
        selection.strategy.adjust(selection.strategy.bonus)
    if likeness is not None and likeness.ease(slot, selection.pool, gate):
        selection.strategy.select(slot, slot + 1)
        gate.taken[tail:] = True
        return True
    first = np.where(gate.taken, _NEVER, np.maximum(selection.pool.release, slot + 1))
    _put(selection, slot, int(first.argmin()))
    gate.taken[tail:] = True
    return False


def _put(selection: Selection, slot: int, candidate: int) -> None:
    """Let the strategy take this candidate."""
    gate = selection.plan.gate
    gate.forced[slot] = candidate
    selection.strategy.select(slot, slot + 1)
    gate.forced[slot] = -1
