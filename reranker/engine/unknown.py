"""Candidates that the item catalog does not know, and what `signals.unknown_id` of the policy makes of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, list_rows
from reranker.errors import Violation
from reranker.policy.compile import CompiledPolicy


def unknown_violations(rules: CompiledPolicy, candidates: Candidates) -> list[Violation]:
    """The unknown candidates of a request whose policy refuses them, by their position in it."""
    found: list[Violation] = []
    if rules.unknown_id == "reject" and candidates.unknown is not None:
        reason = "is not in the catalog, and the policy refuses such items (signals.unknown_id)"
        list_rows("candidates.ids", candidates.unknown, reason, found)
    return found


def stand_still(rules: CompiledPolicy, candidates: Candidates, order: NDArray[np.int32]) -> NDArray[np.bool_] | None:
    """Who may neither rise nor fall: bool (N,) in upstream order; None when nobody has to keep still."""
    if rules.unknown_id != "keep_in_place" or candidates.unknown is None or not candidates.unknown.any():
        return None
    return candidates.unknown[order]


def places_of(still: NDArray[np.bool_], fixed: Mapping[int, int], keep_top: int, slots: int) -> dict[int, int]:
    """Upstream rank by slot, both from 0, of those who stand still: each at its rank.

    Left out are those whom `keep_top` holds there anyway, whom the request fixes, and whose slot it gives away.
    """
    taken = set(fixed.values())
    ranks = np.flatnonzero(still[:slots]).tolist()
    return {rank: rank for rank in ranks if rank >= keep_top and rank not in taken and rank not in fixed}
