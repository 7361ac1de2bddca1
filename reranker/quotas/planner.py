"""From bounds to the strongest tier that carries them, and the gate that a strategy runs under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.quotas.budget import Budget
from reranker.quotas.compress import without_fixed
from reranker.quotas.flow import FlowGate, one_span
from reranker.quotas.least import LeastGate
from reranker.quotas.likeness import Likeness
from reranker.quotas.partition import PartitionGate, affordable, pinned_counts, plan_partition
from reranker.quotas.pool import Pool
from reranker.quotas.same import ALL, MINUS_ONES, ZEROS
from reranker.quotas.tables import AttributeTable
from reranker.quotas.witness import WitnessGate
from reranker.slate import QuotaTier


class Driver(Protocol):
    """Opens kinds slot by slot for tiers that are not linked into the strategies' kernels."""

    def open(self, slot: int) -> None:
        """Write which kinds may stand in a free slot."""

    def accept(self, slot: int, pick: int) -> bool:
        """Whether the pick of a free slot may stay; False leaves everything as it was."""

    def commit(self, slot: int, pick: int) -> None:
        """Take note of the slot's pick, settled ones included."""


@dataclass(slots=True, eq=False)
class Plan:
    """How the quotas of one request are kept: `driver` is None when the kernel needs none.

    `kind_rows[kind]` lists the (table, row) pairs that each kind carries; only made slot by slot, for explanations.
    `likeness` closes candidates that are too alike to recent picks. `proven_infeasible`: no slate keeps every bound.
    `least` keeps to the least deficit of one attribute, while its budget lasts; `found_least`: what bounds were eased
    to, where no tier is exact, is proven to be the least.
    """

    strongest: QuotaTier
    gate: Gate
    driver: Driver | None
    tables: tuple[AttributeTable, ...]
    kind_rows: Sequence[Sequence[tuple[int, int]]]
    likeness: Likeness | None = None
    proven_infeasible: bool = False
    least: LeastGate | None = None
    found_least: bool = False

    @property
    def minimal(self) -> bool:
        """Whether no slate can have a lesser deficit than this plan's."""
        return self.found_least or self.tier != QuotaTier.HEURISTIC

    @property
    def cut_short(self) -> bool:
        """Whether the slate might be another one had there been more time."""
        return isinstance(self.driver, WitnessGate) and self.driver.cut_short

    @property
    def tier(self) -> QuotaTier:
        """What can be claimed of the slate, as far as it is filled."""
        return self.strongest if self.least is None or self.least.exact else QuotaTier.HEURISTIC


def plan_quotas(
    tables: tuple[AttributeTable, ...],
    pool: Pool,
    budget: Budget,
    by_slot: bool,
    likeness: Likeness | None,
    max_fall: int,
) -> Plan:
    """The strongest tier for these bounds; `by_slot` asks for a driver even where the kernel could do without one."""
    binding = [index for index, table in enumerate(tables) if len(table.values) > 1]
    if not binding and likeness is None and not max_fall:
        gate = _gate(pool, ZEROS(len(pool)), 1)
        return Plan(QuotaTier.NONE, gate, None, tables, [[]])
    exact: Plan | None = None
    if likeness is None and not max_fall and not any(tables[index].relative for index in binding):
        if len(binding) == 1 and tables[binding[0]].is_partition and not tables[binding[0]].sliding:
            exact = _partition_plan(tables, binding[0], pool, budget, by_slot)
        elif len(binding) == 2 and not pool.fixed:
            exact = _flow_plan(tables, binding, pool, budget, by_slot)
    return exact or _witness_plan(tables, binding, pool, budget, by_slot, likeness, max_fall)


def _partition_plan(
    tables: tuple[AttributeTable, ...], index: int, pool: Pool, budget: Budget, by_slot: bool
) -> Plan | None:
    """The exact plan; None when keeping to the least deficit would cost more than a request can afford."""
    table = tables[index]
    if not affordable(table, pool, budget):
        return None
    gate = _gate(pool, table.kinds, len(table.values))
    slot_of: NDArray[np.int32] | None = None
    around = pool
    if pool.fixed:
        compressed = without_fixed(table, pool)
        if compressed is None:
            return None
        slot_of, around, table = compressed.slot_of, compressed.pool, compressed.table
    plan = plan_partition(table, around)
    driver: Driver | None = None
    least: LeastGate | None = None
    if plan.conflicts:
        if not affordable(table, around, budget, relaxed=True):
            return None
        pinned = pinned_counts(table.kinds, len(table.values), around.keep_top)
        lazy = plan.supply.size**2 > budget.additions and bool(table.lower.any())
        driver = least = LeastGate(table.bounds, plan.supply, pinned, gate, around.keep_top, budget, lazy)
    elif by_slot or pool.fixed:
        driver = PartitionGate(plan, gate)
    else:
        gate.bounded = True
        gate.lower, gate.upper = plan.eased_lower(), plan.upper
    if driver is not None and slot_of is not None:
        driver = _Around(driver, slot_of)
    tier = QuotaTier.PARTITION_EXACT if tables[index].bounds.has_caps else QuotaTier.LOWER_EXACT
    kind_rows = [[], *([(index, row)] for row in range(1, len(table.values)))] if by_slot else []
    infeasible = least.proven if least is not None else plan.lacking
    return Plan(tier, gate, driver, tables, kind_rows, proven_infeasible=infeasible, least=least)


class _Around:
    """A driver that knows nothing of fixed items, on the slots that they leave."""

    def __init__(self, driver: Driver, slot_of: NDArray[np.int32]) -> None:
        self._driver, self._slot_of = driver, slot_of

    def open(self, slot: int) -> None:
        """Write which kinds may stand in the slot."""
        self._driver.open(int(self._slot_of[slot]))

    def accept(self, slot: int, pick: int) -> bool:
        """As the driver says."""
        return self._driver.accept(int(self._slot_of[slot]), pick)

    def commit(self, slot: int, pick: int) -> None:
        """Only what fills a slot that was left counts here."""
        if self._slot_of[slot] >= 0:
            self._driver.commit(int(self._slot_of[slot]), pick)


def _flow_plan(
    tables: tuple[AttributeTable, ...], binding: list[int], pool: Pool, budget: Budget, by_slot: bool
) -> Plan | None:
    chosen = [tables[index] for index in binding]
    span = one_span(chosen, pool, budget)
    if span is None:
        return None
    driver = FlowGate(chosen, pool, span)
    gate = _gate(pool, driver.kind, driver.kinds)
    driver.attach(gate)
    columns = len(chosen[1].values)
    rows = [divmod(cell, columns) for cell in range(driver.kinds)] if by_slot else []
    kind_rows = [[(index, row) for index, row in zip(binding, pair, strict=True) if row] for pair in rows]
    infeasible = any(cost > 0 for cost in driver.pair)
    return Plan(QuotaTier.FLOW_EXACT, gate, driver, tables, kind_rows, proven_infeasible=infeasible)


def _witness_plan(
    tables: tuple[AttributeTable, ...],
    binding: list[int],
    pool: Pool,
    budget: Budget,
    by_slot: bool,
    likeness: Likeness | None,
    max_fall: int,
) -> Plan:
    chosen = [tables[index] for index in binding]
    driver = WitnessGate(chosen, pool, budget, likeness, max_fall)
    gate = _gate(pool, driver.rows.kind, len(driver.rows))
    if likeness is not None:
        gate.release = pool.release.copy()  # likeness closes candidates there
    driver.attach(gate)
    kind_rows: list[list[tuple[int, int]]] = []
    if by_slot:
        numbered = [(index, row) for index in binding for row in range(1, len(tables[index].values))]
        kind_rows = driver.rows.numbered(numbered)
    tier = QuotaTier.HEURISTIC if binding or likeness is not None else QuotaTier.NONE
    return Plan(tier, gate, driver, tables, kind_rows, likeness, driver.proven_infeasible, found_least=driver.minimal)


def upstream_gate(pool: Pool) -> Gate:
    """A gate that settles every slot with the upstream order around fixed items."""
    gate = _gate(pool, ZEROS(len(pool)), 1)
    fixed = set(pool.fixed.values())
    others = iter(i for i in range(len(pool)) if i not in fixed)
    forced = [pool.fixed[slot] if slot in pool.fixed else next(others) for slot in range(pool.slots)]
    gate.forced = np.array(forced, np.int32)
    return gate


_UNBOUNDED, _OPEN = np.zeros((1, 0), np.int32), np.ones(1, bool)


def _gate(pool: Pool, kind: NDArray[np.int32], kinds: int) -> Gate:
    slots = pool.slots
    unbounded = _UNBOUNDED if kinds == 1 else np.zeros((kinds, 0), np.int32)
    taken = np.zeros(len(pool), bool)
    if pool.keep_top or pool.fixed:  # nobody is picked before the slot that is settled for it
        taken[pool.forced[pool.forced >= 0]] = True
    return Gate(
        kind=kind,
        release=pool.release,
        forced=pool.forced,
        bounded=False,
        lower=unbounded,
        upper=unbounded,
        counts=np.zeros(kinds, np.int32),
        is_open=_OPEN.copy() if kinds == 1 else ALL(kinds).copy(),
        taken=taken,
        picks=MINUS_ONES(slots).copy(),
        gains=np.zeros(slots),
    )
