"""Candidates that the catalog does not know, or that have no embedding, and what `[signals]` makes of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, list_rows
from reranker.errors import Violation
from reranker.policy.compile import CompiledPolicy


def lacking_violations(rules: CompiledPolicy, candidates: Candidates) -> list[Violation]:
    """The candidates of a request whose policy refuses them for what they lack, by their position in it."""
    found: list[Violation] = []
    if rules.unknown_id == "reject" and candidates.unknown is not None:
        reason = "is not in the catalog, and the policy refuses such items (signals.unknown_id)"
        list_rows("candidates.ids", candidates.unknown, reason, found)
    if rules.missing_embedding == "reject":
        reason = "has no embedding, and the policy refuses such items (signals.missing_embedding)"
        list_rows("candidates.ids", _without_embedding(rules, candidates), reason, found)
    return found


def stand_still(rules: CompiledPolicy, candidates: Candidates, order: NDArray[np.int32]) -> NDArray[np.bool_] | None:
    """Who may neither rise nor fall: bool (N,) in upstream order; None when nobody has to keep still."""
    still = None
    if rules.unknown_id == "keep_in_place" and candidates.unknown is not None:
        still = candidates.unknown
    if rules.missing_embedding == "keep_in_place":
        bare = _without_embedding(rules, candidates)
        still = bare if still is None else still | bare
    return None if still is None or not still.any() else still[order]


def places_of(still: NDArray[np.bool_], fixed: Mapping[int, int], keep_top: int, slots: int) -> dict[int, int]:
    """Upstream rank by slot, both from 0, of those who stand still: each at its rank.

    Left out are those whom `keep_top` holds there anyway, whom the request fixes, and whose slot it gives away.
    """
    taken = set(fixed.values())
    ranks = np.flatnonzero(still[:slots]).tolist()
    return {rank: rank for rank in ranks if rank >= keep_top and rank not in taken and rank not in fixed}


def _without_embedding(rules: CompiledPolicy, candidates: Candidates) -> NDArray[np.bool_]:
    """Who has none of the embeddings that the policy compares: those of its signals, or else the first. Bool (N,)."""
    if rules.signals:
        names = [signal.name for signal in rules.signals if signal.is_embedding]
        if not names:  # it compares attributes alone
            return np.zeros(len(candidates), bool)
        columns = [candidates.embeddings[name] for name in names if name in candidates.embeddings]
    else:
        columns = list(candidates.embeddings.values())[:1]
    bare = np.ones(len(candidates), bool)
    for column in columns:
        bare &= column.norms == 0.0
    return bare
