"""A k-DPP drawn with a seed: P(S) ~ det L_S, L = diag(q) S diag(q), q_i = exp((1 - delta) r_i / (2 delta))."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.dpp import CLAMP
from reranker.kernels.gate import Gate, open_kinds_now
from reranker.kernels.pick import resolved
from reranker.strategies.base import Problem, Strategy
from reranker.strategies.k_dpp import Directions, Floats, Spectrum


class SampledDppStrategy(Strategy):
    """Kulesza and Taskar 2012: delta log P(S) is rule 1's sum of relevance and log-determinant, up to a constant.

    Settled items and those of earlier pages are given: the rest is drawn from the k-DPP conditional on them, items in
    the order drawn. That is exact while no bound binds; where quotas or the guard close candidates, each draw is among
    those that are open, which is no exact k-DPP. Gains are what `dpp` would call them, so that the two compare. When
    all directions are spanned, relevance fills the rest. O(N D^2 + D^3 + N k (D + k)) for D < N.
    """

    kernel = open_kinds_now  # the only compiled step: who may stand is the gate's own business
    drawn = True

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        rows, dimension = self.unit_rows(), problem.dimension
        self._rows = rows[:, :dimension].astype(np.float64)
        lengths = np.linalg.norm(self._rows, axis=1)
        self._alone = lengths == 0.0  # without an embedding: a direction of its own
        self._rows /= np.where(self._alone, 1.0, lengths)[:, None]
        self._known = Directions(self._rows)  # what picks so far span, for gains
        self._absorbed = 0
        self._random = np.random.default_rng(problem.seed)
        self._drawn: Directions | None = None
        self._noise_of, self._noise = -1, np.zeros(0)
        self._by_relevance = False

    def select(self, first: int, last: int) -> None:
        """Fill slots first..last-1 of the gate's picks and gains; a pick of -1 means that no candidate was open."""
        gate = self.gate
        for slot in range(first, last):
            self._absorb(slot)
            self._by_relevance = False
            pick = int(gate.forced[slot])
            if pick < 0:
                pick = self._draw(slot)
            gate.picks[slot] = pick
            if pick < 0:
                return
            gate.taken[pick] = True
            gate.gains[slot] = resolved(self._adjusted[pick : pick + 1] + self._novelty()[pick : pick + 1])[0]
            if gate.bounded:
                gate.counts[gate.kind[pick]] += 1

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks, as `dpp` has them."""
        self._absorb(slot)
        return self._relevance, self._novelty()

    def exhausted(self, diversity_part: float) -> bool:
        """True when the last pick was not drawn, because no direction was left."""
        return self._by_relevance

    def _state(self) -> tuple[Any, ...]:
        return ()

    def _novelty(self) -> Floats:
        variance = np.where(self._alone, 1.0, self._known.left)
        novelty: Floats = self.problem.diversity * np.log(np.maximum(variance, CLAMP))
        return novelty

    def _absorb(self, slot: int) -> None:
        """Let the picks before `slot` count. Only now: until their slot is over they may be taken back."""
        for at in range(self._absorbed, slot):
            pick = int(self.gate.picks[at])
            self._known.take(pick)
            if self.gate.forced[at] < 0 and self._drawn is not None:
                self._drawn.take(pick)
        self._absorbed = max(self._absorbed, slot)

    def _draw(self, slot: int) -> int:
        """A candidate among the open ones, in proportion to what is left of it times what its bonus is worth.

        The largest of log weight + Gumbel noise is such a draw, and stays one when closed candidates are taken out:
        noise is kept for the slot, so asking again after a refusal is no second chance.
        """
        gate = self.gate
        if gate.bounded:
            open_kinds_now(slot, gate.lower, gate.upper, gate.counts, gate.is_open)
        standing = ~gate.taken & gate.is_open[gate.kind] & (gate.release <= slot + 1)
        if not standing.any():
            return -1
        if self._drawn is None:
            self._drawn = self._elementary()
        if self._noise_of != slot:
            self._noise_of, self._noise = slot, self._random.gumbel(size=len(standing))
        left = self._drawn.left
        able = standing & (left > 0.0)
        if not able.any():
            self._by_relevance = True
            return int(np.argmax(np.where(standing, resolved(self._adjusted), -np.inf)))
        weight = np.log(np.where(able, left, 1.0)) + self._noise
        if self.bonus is not None:
            weight = weight + self.bonus / self.problem.diversity
        return int(np.argmax(np.where(able, weight, -np.inf)))

    def _elementary(self) -> Directions:
        """The elementary DPP from which this slate's items are drawn."""
        settled = self.gate.forced[self.gate.forced >= 0]
        free = np.ones(len(self._rows), bool)
        free[settled] = False
        given = Directions(self._rows)
        rows = self._rows.copy()
        for pick in settled.tolist():
            direction = given.take(pick)
            if direction is not None:
                rows -= np.outer(rows @ direction, direction)
        rows[(given.left == 0.0) | ~free] = 0.0
        quality = self._quality(free)
        own = np.flatnonzero(self._alone & free)
        spectrum = Spectrum.of(rows * quality[:, None], own, quality[own] ** 2)
        size = len(self.gate.picks) - len(settled)
        chosen = spectrum.choose(size, self._random.random(len(spectrum.values)))
        return Directions(spectrum.vectors(chosen))

    def _quality(self, free: NDArray[np.bool_]) -> Floats:
        """Each q as a part of the largest free one: a common factor changes no probability, and nothing overflows."""
        relevance = self.problem.relevance
        top = relevance[free].max(initial=-np.inf)
        with np.errstate(under="ignore", over="ignore"):
            steep = min(0.5 / self.problem.diversity - 0.5, 1e300)  # next to no diversity: still a number
            below = np.minimum(relevance - top, 0.0) * steep
            quality: Floats = np.exp(below)
        return quality
