"""Who takes part: the request's candidates without what was shown on earlier pages, as the user narrowed them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine.page import Page
from reranker.kernels.ranking import COUNTS, key_scores, order_keys, spread_scores
from reranker.policy import Policy, defaults
from reranker.policy.compile import refinement_mode
from reranker.quotas.pool import carries
from reranker.texts import escaped

_MANY = 512  # candidates, up to which NumPy sorts their keys as fast


@dataclass(slots=True, eq=False)
class Listing:
    """The candidates that take part, and the context as far as it concerns them.

    `rows` int32 (N,) are their positions in the request, None when nobody was left out. `scores` float64 (N,) decide
    who stands where upstream: the user's choice comes first where the policy boosts it. `order` int32 (N,) are rows of
    `candidates` in that order, `falling` their `scores`. `refined` are the attributes that the user narrowed.
    """

    candidates: Candidates
    context: Context
    rows: NDArray[np.int32] | None
    scores: NDArray[np.float64]
    order: NDArray[np.int32]
    falling: NDArray[np.float64]
    refined: frozenset[str]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def upstream(self) -> NDArray[np.int32]:
        """The order by the scores as they came."""
        return self.order if self.scores is self.candidates.scores else upstream_order(self.candidates.scores)

    @property
    def own_falling(self) -> NDArray[np.float64]:
        """The scores as they came, in `order`."""
        return self.falling if self.scores is self.candidates.scores else self.candidates.scores[self.order]

    def in_request(self, positions: NDArray[np.int32]) -> NDArray[np.int32]:
        """Positions in the request of positions in `candidates`."""
        return positions if self.rows is None else self.rows[positions]


def upstream_order(scores: NDArray[np.float64]) -> NDArray[np.int32]:
    """Candidates by score descending, ties by input position: int32 (N,)."""
    return _ranked(scores)[0]


def _ranked(scores: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The upstream order of finite scores, and the scores in it. O(N) where they come in it, else O(N log N)."""
    count = len(scores)
    order, falling, keys = np.empty(count, np.int32), np.empty(count), np.empty(count, np.int64)
    if key_scores(scores, scores.view(np.int64), keys, order, falling):
        return order, falling
    if count > _MANY:
        work, counts = np.empty((2, count), np.int32), np.empty(COUNTS, np.int32)
        if spread_scores(scores, work, counts, order, falling):
            return order, falling
    keys.sort()
    if not order_keys(scores, keys, order, falling):
        order = np.argsort(-scores, kind="stable").astype(np.int32)
        falling = scores[order]
    return order, falling


def list_candidates(policy: Policy, candidates: Candidates, context: Context, page: Page) -> Listing:
    """Who takes part in this request (rules 12 and 13). O(N) where nothing was shown or narrowed."""
    refined = frozenset(context.refinement)
    if not refined and not page.shown:
        order, falling = _ranked(candidates.scores)
        return Listing(candidates, context, None, candidates.scores, order, falling, refined)
    mode = refinement_mode(policy) if refined else ""
    chosen = _chosen(policy, candidates, context) if mode in ("filter", "boost") else np.ones(len(candidates), bool)
    keep = chosen.copy() if mode == "filter" else np.ones(len(candidates), bool)
    if page.shown:
        shown = set(page.cursor.items)
        keep &= np.array([key not in shown for key in page.seal.items(candidates.ids)], bool)
    rows = np.flatnonzero(keep).astype(np.int32)
    left = candidates.take(rows)
    here = set(left.ids)
    fixed = {slot: item for slot, item in context.fixed.items() if item in here}
    known = set(candidates.ids)
    dropped = sum(item in known for item in context.fixed.values()) - len(fixed)
    unknown = {slot: item for slot, item in context.fixed.items() if item not in known}  # a mistake, said later
    scores = left.scores
    order, falling = _ranked(scores)
    if mode == "boost":
        scores, order = _boosted(left.scores, chosen[rows])
        falling = scores[order]
    notes = _notes(mode, dropped) + _missing(candidates, context, mode)
    here_context = replace(context, fixed={**fixed, **unknown})
    return Listing(left, here_context, rows, scores, order, falling, refined, notes)


def _chosen(policy: Policy, candidates: Candidates, context: Context) -> NDArray[np.bool_]:
    """Who carries one of the chosen values of every narrowed attribute; unknown ones do not."""
    chosen, message = np.ones(len(candidates), bool), policy.message
    for attribute, values in context.refinement.items():
        column = candidates.attributes.get(attribute)
        threshold = defaults.get_label(message, attribute, "threshold")
        hard = None if column is None else column.hard(threshold)
        chosen &= carries(hard, frozenset(values), len(candidates))
    return chosen


def _boosted(scores: NDArray[np.float64], chosen: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Scores that put every chosen item above every other, in the same unit, and the order that they make."""
    if not len(scores):
        return scores, upstream_order(scores)
    with np.errstate(over="ignore"):
        spread = float(scores.max() - scores.min()) or 1.0
        lifted = scores + spread * chosen
    if not np.isfinite(lifted).all():  # scores that fill the whole range of numbers
        lifted = scores / 4.0 + np.abs(scores).max() / 2.0 * chosen
    order = np.lexsort((np.arange(len(scores)), -scores, ~chosen)).astype(np.int32)
    return lifted, order


def _notes(mode: str, dropped: int) -> tuple[str, ...]:
    notes = []
    if mode == "filter":
        notes.append("the user narrowed the list: only what was chosen takes part")
    elif mode == "boost":
        notes.append("the user narrowed the list: what was chosen comes first")
    elif mode == "ignore":
        notes.append("the user narrowed the list, and the policy does not: only quotas on it are suspended")
    if dropped:
        items = "a fixed item was" if dropped == 1 else f"{dropped} fixed items were"
        notes.append(f"{items} narrowed away or shown on an earlier page, and left out")
    return tuple(notes)


def _missing(candidates: Candidates, context: Context, mode: str) -> tuple[str, ...]:
    """Narrowed attributes, or values of them, that no candidate has: what a mistake in a name looks like."""
    if mode == "ignore" or not len(candidates):
        return ()
    notes = []
    for attribute, values in context.refinement.items():
        column = candidates.attributes.get(attribute)
        if column is None:
            notes.append(f"no candidate carries the attribute {escaped(attribute)} that the user narrowed")
        elif not set(values).intersection(column.values):
            notes.append(f"no candidate carries a value that the user chose of {escaped(attribute)}")
    return tuple(notes)
