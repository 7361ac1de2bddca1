"""Why each item stands in its slot. Paid for only when asked: every candidate's utility is computed in every slot."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import EmbeddingColumn
from reranker.engine.steer import Steer
from reranker.kernels.pick import resolved
from reranker.quotas.planner import Plan
from reranker.quotas.pool import Pool
from reranker.quotas.repeats import Repeats
from reranker.quotas.tables import AttributeTable
from reranker.slate import BoundKind, Explanation, QuotaInfluence
from reranker.strategies import Strategy
from reranker.texts import escaped


class Explainer:
    """Watches one selection slot by slot: `before` sees who could stand there, `after` who was picked.

    `embedding`, in input order, is what it says nearness in; `repeats` are the spacings and decays in force, `steer`
    what puts prices on groups.
    """

    def __init__(
        self,
        strategy: Strategy,
        plan: Plan,
        pool: Pool,
        embedding: EmbeddingColumn | None,
        repeats: Repeats | None,
        steer: Steer | None = None,
    ) -> None:
        self._strategy, self._plan, self._pool, self._repeats = strategy, plan, pool, repeats
        self._steer = steer
        self._held: dict[int, tuple[str, bool]] = {}
        self._found: list[Explanation] = []
        self._counts = [np.zeros(len(table.values), np.int32) for table in plan.tables]
        self._unit: NDArray[np.float64] | None = None
        if embedding is not None:
            norms = np.where(embedding.norms > 0, embedding.norms, 1.0)
            self._unit = (embedding.matrix / norms[:, None])[strategy.problem.order]
            self._has = (embedding.norms > 0)[strategy.problem.order]

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        """One a slot, in slot order."""
        return tuple(self._found)

    def before(self, slot: int) -> None:
        """Note every candidate's utility and who is closed out, before the pick."""
        relevance, diversity = self._strategy.parts(slot)
        self._relevance, self._diversity = relevance.copy(), diversity.copy()
        bonus = self._strategy.bonus
        self._bonus = np.zeros_like(relevance) if bonus is None else bonus
        self._utility = resolved(relevance + diversity + self._bonus)
        gate = self._plan.gate
        self._free = ~gate.taken & (gate.release <= slot + 1)
        self._closed = self._free & ~gate.is_open[gate.kind]

    def noted(self) -> None:
        """Note who else is closed out by now, as picks were proposed and refused."""
        gate = self._plan.gate
        self._closed = self._free & ~gate.is_open[gate.kind]

    def after(self, slot: int) -> None:
        """Explain the slot's pick."""
        gate = self._plan.gate
        pick = int(gate.picks[slot])
        pinned = gate.forced[slot] >= 0
        better = self._utility > self._utility[pick]
        better |= (self._utility == self._utility[pick]) & (np.arange(len(better)) < pick)
        blocked = np.flatnonzero(self._closed & better) if not pinned else np.zeros(0, np.intp)
        instead = 0
        if len(blocked):
            utilities = np.where(self._free, self._utility, -np.inf)
            instead = int(np.argmax(utilities)) + 1
        influences = self._influences(slot, pick, blocked)
        nearest_slot, nearest = self._nearest(slot, pick)
        exhausted = self._strategy.exhausted(float(self._diversity[pick]))
        passed = -1 if pinned else self._passed_over(slot, pick)
        self._found.append(
            Explanation(
                slot=slot + 1,
                gain=float(gate.gains[slot]),
                relevance_part=float(self._relevance[pick]),
                diversity_part=float(self._diversity[pick]),
                upstream_rank=pick + 1,
                displacement=pick - slot,
                nearest_slot=nearest_slot,
                nearest_similarity=nearest,
                pinned=bool(pinned),
                rank_exhausted=exhausted,
                forced_by=influences,
                instead_of_rank=instead,
                soft_part=float(self._bonus[pick]),
                text=self._sentence(slot, pick, bool(pinned), exhausted, influences, instead, passed),
            )
        )
        for table, counts in zip(self._plan.tables, self._counts, strict=True):
            counts[table.rows_of(pick)] += 1

    def _passed_over(self, slot: int, pick: int) -> int:
        """The candidate that would stand here if repetition cost nothing; -1 where that is the pick itself."""
        if self._repeats is None:
            return -1
        without = resolved(self._relevance + self._diversity + self._bonus + self._repeats.latest)
        best = int(np.argmax(np.where(self._free & ~self._closed, without, -np.inf)))
        if best == pick or not self._repeats.latest[best] > 0.0:  # a draw passes over who pays nothing, too
            return -1
        self._held[best] = self._repeats.dearest(slot, best)
        return best

    def _nearest(self, slot: int, pick: int) -> tuple[int, float | None]:
        """Slot and cosine of the most similar pick within reach; (0, None) when there is none."""
        if self._unit is None or not self._has[pick]:
            return 0, None
        picks = self._plan.gate.picks
        first = max(0, slot - self._strategy.reach)
        slots = first + np.flatnonzero(self._has[picks[first:slot]])
        if not len(slots):
            return 0, None
        cosines = self._unit[picks[slots]] @ self._unit[pick]
        best = int(np.argmax(cosines))
        return int(slots[best]) + 1, float(np.clip(cosines[best], -1.0, 1.0))

    def _influences(self, slot: int, pick: int, blocked: NDArray[np.intp]) -> tuple[QuotaInfluence, ...]:
        """The bounds that kept better candidates away, the most influential first."""
        tally: Counter[tuple[str, str, BoundKind]] = Counter()
        kinds = Counter(self._plan.gate.kind[blocked].tolist())
        for kind, count in kinds.items():
            reasons = self._cap_reasons(slot, kind) or self._owed_reasons(slot, pick)
            for reason in reasons:
                tally[reason] += count
        return tuple(QuotaInfluence(*reason, count) for reason, count in tally.most_common())

    def _cap_reasons(self, slot: int, kind: int) -> list[tuple[str, str, BoundKind]]:
        found = []
        for index, row in self._plan.kind_rows[kind]:
            table = self._plan.tables[index]
            if self._counts[index][row] >= table.upper[row, slot + 1]:
                named = self._counts[index][row] >= table.bounds.named_upper[row, slot + 1]
                found.append((table.attribute, _value(table, row), BoundKind.UPPER if named else BoundKind.WINDOW))
            elif any(self._recent(table, row, slot, window.window) >= window.limit for window in table.sliding):
                found.append((table.attribute, _value(table, row), BoundKind.WINDOW))
        return found

    def _recent(self, table: AttributeTable, row: int, slot: int, window: int) -> int:
        earlier = self._plan.gate.picks[max(0, slot - window + 1) : slot].tolist()
        return sum(row in table.rows_of(pick) for pick in earlier)

    def _owed_reasons(self, slot: int, pick: int) -> list[tuple[str, str, BoundKind]]:
        """Lower bounds that are still owed: those that the pick pays, else all of them."""
        paid: list[tuple[str, str, BoundKind]] = []
        owed: list[tuple[str, str, BoundKind]] = []
        for table, counts in zip(self._plan.tables, self._counts, strict=True):
            rows = set(table.rows_of(pick).tolist())
            for row in np.flatnonzero(table.lower[:, -1] > counts).tolist():
                reason = (table.attribute, _value(table, row), BoundKind.LOWER)
                (paid if row in rows else owed).append(reason)
        return paid or owed

    def _sentence(
        self,
        slot: int,
        pick: int,
        pinned: bool,
        exhausted: bool,
        influences: tuple[QuotaInfluence, ...],
        instead: int,
        passed: int,
    ) -> str:
        place = f"upstream rank {pick + 1}, slot {slot + 1}"
        if pinned:
            asked = slot in self._pool.fixed and slot not in self._pool.kept
            by = "the request fixed it there" if asked else "kept in its place by the policy"
            return f"{place}: {by}"
        if influences:
            first = influences[0]
            who = escaped(f"{first.attribute} {first.value}".rstrip())
            words = {BoundKind.LOWER: "was owed by this slot", BoundKind.UPPER: "had reached its most"}
            why = f"{who} {words.get(first.bound, 'had filled its window')}"
            candidates = "a better candidate" if first.blocked == 1 else f"{first.blocked} better candidates"
            return f"{place}: {why}, which kept {candidates} back, first of them upstream rank {instead}"
        if passed >= 0 and not (pick < slot and pick in self._held):
            attribute, by_spacing = self._held[passed]
            why = "would stand too near to" if by_spacing else "counts less after"
            return f"{place}: goes before upstream rank {passed + 1}, which {why} others of its {attribute}"
        if exhausted:
            return f"{place}: nothing new was left to add, so relevance decided"
        strategy = self._strategy
        if strategy.drawn:
            return f"{place}: drawn at random, by the request's seed"
        if pick == slot:
            return f"{place}: best of what was left, where upstream had it"
        reason = strategy.reason(slot) if strategy.problem.diversity > 0 else ""
        softly = self._softly(slot, pick)
        if softly:
            return f"{place}: {softly}"
        if pick > slot:
            why = "" if self._best_by_worth(pick) else reason
            return f"{place}: lifted, because {why or 'better candidates may not stand here'}"
        if pick in self._held:
            attribute, by_spacing = self._held[pick]
            why = "kept it at a distance" if by_spacing else "made it count less"
            return f"{place}: lower than upstream had it, because others of its {attribute} {why}"
        above = [earlier for earlier in self._found if earlier.upstream_rank > pick + 1]
        if all(earlier.pinned for earlier in above):
            return f"{place}: lower than upstream had it, because items fixed in their places stand above it"
        if not reason or any(earlier.forced_by for earlier in above):
            return f"{place}: lower than upstream had it, because bounds put other items above it"
        return f"{place}: lower than upstream had it, because items above it are worth more, or {strategy.otherwise}"

    def _softly(self, slot: int, pick: int) -> str:
        """How what earlier requests ask for, or a soft bound, moved the pick; empty where neither did."""
        lift = None if self._steer is None else self._steer.lift
        if self._steer is not None and lift is not None:
            said = self._priced(slot, pick, self._steer, lift)
            if said:
                return said
        return "lifted, because a soft bound asks for it" if pick > slot and self._bonus[pick] > 0 else ""

    def _priced(self, slot: int, pick: int, steer: Steer, lift: NDArray[np.float64]) -> str:
        """How prices moved the pick; empty where they did not."""
        if pick > slot:
            if lift[pick] > 0.0:
                who = escaped(" ".join(steer.why(pick, 1.0)))
                return f"lifted, because {who} has had less exposure than its target asks for"
            if np.any(self._free[:pick] & ~self._closed[:pick] & (lift[:pick] < lift[pick])):
                return "lifted, because targets of exposure hold better candidates back"
            return ""
        lower = "lower than upstream had it, because"
        if lift[pick] < 0.0:
            who = escaped(" ".join(steer.why(pick, -1.0)))
            if who.strip():
                return f"{lower} {who} has had more exposure than its target asks for"
            who = escaped(" ".join(steer.why(pick, 1.0)))
            return f"{lower} no more items of {who} are lifted than its target and band make"
        if any(lift[earlier.upstream_rank - 1] > 0.0 and earlier.upstream_rank > pick for earlier in self._found):
            return f"{lower} groups that have had too little exposure stand above it"
        return ""

    def _best_by_worth(self, pick: int) -> bool:
        """Whether diversity did not matter: of those that may stand here, the pick is worth most."""
        worth = resolved(self._relevance + self._bonus)
        return int(np.argmax(np.where(self._free & ~self._closed, worth, -np.inf))) == pick


def _value(table: AttributeTable, row: int) -> str:
    return "" if table.is_intersection else table.values[row]
