"""Filling a plan's slots: at one go where nothing has to be looked at in between, else slot by slot."""

from __future__ import annotations

import time
from dataclasses import dataclass

from reranker.engine.explain import Explainer
from reranker.errors import DeadlinePassed
from reranker.quotas.planner import Plan
from reranker.quotas.pool import Pool
from reranker.quotas.wishes import Wishes
from reranker.slate import Explanation
from reranker.strategies import Strategy

_RUN = 20_000_000  # multiply-adds between two looks at the deadline: a few milliseconds


@dataclass(frozen=True, slots=True)
class Selection:
    """What one selection needs: `wishes` are the soft quotas, `deadline` is on `time.perf_counter()`."""

    strategy: Strategy
    plan: Plan
    pool: Pool
    wishes: Wishes | None
    deadline: float | None


def select(selection: Selection, explain: bool) -> tuple[Explanation, ...]:
    """Fill the plan's gate; one explanation a slot when asked. Raises `DeadlinePassed`."""
    plan = selection.plan
    if plan.driver is None and selection.wishes is None and not explain:
        _in_runs(selection)
        return ()
    explainer = Explainer(selection.strategy, plan, selection.pool) if explain else None
    for slot in range(selection.pool.slots):
        _check_deadline(selection, slot)
        if selection.wishes is not None:
            selection.strategy.adjust(selection.wishes.bonus(slot))
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
    if not free or driver is None:
        return
    while gate.picks[slot] < 0 or not driver.accept(slot, int(gate.picks[slot])):
        if gate.picks[slot] >= 0:
            gate.is_open[gate.kind[gate.picks[slot]]] = False
            strategy.retract(slot)
        elif likeness is None or not likeness.ease(slot, pool, gate):
            raise AssertionError(f"no candidate may stand in slot {slot + 1}")
        strategy.select(slot, slot + 1)
    if explainer is not None:
        explainer.noted(slot)


def _in_runs(selection: Selection) -> None:
    """One kernel call for the slate, or runs of slots short enough to notice a deadline in between."""
    strategy, pool = selection.strategy, selection.pool
    run = pool.slots if selection.deadline is None else max(1, _RUN // max(1, strategy.work))
    for first in range(0, pool.slots, max(run, 1)):
        _check_deadline(selection, first)
        strategy.select(first, min(first + run, pool.slots))


def _check_deadline(selection: Selection, filled: int) -> None:
    if selection.deadline is not None and time.perf_counter() > selection.deadline:
        raise DeadlinePassed(selection.pool.slots, filled)
