"""From bounds to the strongest tier that carries them, and the gate that a strategy runs under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.policy.compile import NO_CAP
from reranker.quotas.least import LeastGate
from reranker.quotas.lookahead import Kinds, LookaheadGate
from reranker.quotas.partition import CrowdedGate, PartitionGate, affordable, plan_partition
from reranker.quotas.tables import AttributeTable, Pool
from reranker.slate import QuotaTier


class Driver(Protocol):
    """Opens kinds slot by slot for tiers that are not linked into the strategies' kernels."""

    def open(self, slot: int) -> None:
        """Write which kinds may stand in the slot."""

    def commit(self, slot: int) -> None:
        """Take note of the slot's pick."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How the quotas of one request are kept: `driver` is None when the kernel needs none.

    `kind_rows[kind]` lists the (table, row) pairs that each kind carries; only made slot by slot, for explanations.
    """

    tier: QuotaTier
    gate: Gate
    driver: Driver | None
    tables: tuple[AttributeTable, ...]
    kind_rows: Sequence[Sequence[tuple[int, int]]]


def plan_quotas(tables: tuple[AttributeTable, ...], pool: Pool, by_slot: bool) -> Plan:
    """The strongest tier for these bounds; `by_slot` asks for a driver even where the kernel could do without one."""
    binding = [index for index, table in enumerate(tables) if len(table.values) > 1]
    if not binding:
        gate = _gate(pool, np.zeros(len(pool), np.int32), 1)
        return Plan(QuotaTier.NONE, gate, None, tables, [[]])
    only = tables[binding[0]]
    if len(binding) == 1 and only.is_partition and not only.sliding and affordable(only, pool):
        exact = _partition_plan(tables, binding[0], pool, by_slot)
        if exact is not None:
            return exact
    return _lookahead_plan(tables, binding, pool, by_slot)


def _partition_plan(tables: tuple[AttributeTable, ...], index: int, pool: Pool, by_slot: bool) -> Plan | None:
    """The exact plan; None when keeping to the least deficit would cost more than a request can afford."""
    table = tables[index]
    plan = plan_partition(table, pool)
    gate = _gate(pool, table.kinds, len(table.values))
    driver: Driver | None = None
    if plan.ways is not None:
        driver = LeastGate(plan.ways, table, plan.supply, gate)
    elif plan.crowded and plan.exact:
        if not affordable(table, pool, looks=pool.slots):
            return None
        driver = CrowdedGate(plan, table, gate, pool.keep_top)
    elif not plan.exact:
        return None
    elif by_slot:
        driver = PartitionGate(plan, gate)
    else:
        gate.bounded = True
        gate.lower = np.maximum(plan.lower - plan.shortfall[:, None], 0).astype(np.int32)
        gate.upper = plan.upper
    tier = QuotaTier.PARTITION_EXACT if (table.upper < NO_CAP).any() else QuotaTier.LOWER_EXACT
    kind_rows = [[], *([(index, row)] for row in range(1, len(table.values)))] if by_slot else []
    return Plan(tier, gate, driver, tables, kind_rows)


def _lookahead_plan(tables: tuple[AttributeTable, ...], binding: list[int], pool: Pool, by_slot: bool) -> Plan:
    chosen = [tables[index] for index in binding]
    kinds = Kinds(chosen)
    gate = _gate(pool, kinds.of, len(kinds))
    kind_rows: list[list[tuple[int, int]]] = []
    if by_slot:
        numbered = [(index, row) for index in binding for row in range(1, len(tables[index].values))]
        bounds = zip(kinds.offsets[:-1].tolist(), kinds.offsets[1:].tolist(), strict=True)
        kind_rows = [[numbered[row] for row in kinds.rows[start:stop].tolist()] for start, stop in bounds]
    return Plan(QuotaTier.HEURISTIC, gate, LookaheadGate(chosen, pool, kinds, gate), tables, kind_rows)


def upstream_gate(pool: Pool) -> Gate:
    """A gate that settles every slot with the upstream order."""
    gate = _gate(pool, np.zeros(len(pool), np.int32), 1)
    gate.forced = np.arange(pool.slots, dtype=np.int32)
    return gate


def _gate(pool: Pool, kind: NDArray[np.int32], kinds: int) -> Gate:
    slots = pool.slots
    forced = np.full(slots, -1, np.int32)
    forced[: pool.keep_top] = np.arange(pool.keep_top)
    unbounded = np.zeros((kinds, 0), np.int32)
    return Gate(
        kind=np.ascontiguousarray(kind, dtype=np.int32),
        release=pool.release,
        forced=forced,
        bounded=False,
        lower=unbounded,
        upper=unbounded,
        counts=np.zeros(kinds, np.int32),
        is_open=np.ones(kinds, bool),
        taken=np.zeros(len(pool), bool),
        picks=np.full(slots, -1, np.int32),
        gains=np.zeros(slots),
    )
