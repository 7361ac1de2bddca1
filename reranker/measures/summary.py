"""All measures of one slate beside the upstream order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, EmbeddingColumn
from reranker.measures.attribute import MeasuredAttribute
from reranker.measures.distance import intra_list_distances, unit_rows
from reranker.measures.orders import displacements, kendall_tau, rank_biased_overlap
from reranker.measures.relevance import ndcg, relevance_gains
from reranker.measures.variety import log_determinant, vendi_score
from reranker.slate import ListMeasures, OrderMeasures, SlateMeasures

_THRESHOLD = 0.5  # of a hard label, where the policy says nothing
Positions = NDArray[np.integer]


def measure_slate(
    candidates: Candidates,
    positions: Positions,
    upstream_order: Positions,
    slate_size: int,
    *,
    attributes: Iterable[str],
    declared: Mapping[str, Mapping[str, float]],
    threshold_by_attribute: Mapping[str, float],
    guarded: NDArray[np.bool_] | None,
    embedding: EmbeddingColumn | None,
    score_zero: float | None = None,
    domains: Mapping[str, Sequence[str]] | None = None,
) -> SlateMeasures:
    """Measures of the slate `positions` (int, k) and of the upstream order at the same length.

    `upstream_order` (int, N) holds all positions by score descending; `slate_size` is what the caller asked for.
    `attributes` are measured one by one, also those that no candidate has. `declared` maps an attribute to target
    shares (of labelled items); where it is silent the candidate list's own distribution is the reference. `domains`
    names the values that DIV@k and the subtopic measures ask for; without it: the declared values with a share above 0,
    else all that the candidates carry. `threshold_by_attribute` is the least probability of a hard label. `guarded`
    bool (N,) marks who passes the guard, None: there is none. `score_zero` is the policy's, None when it has none.
    """
    length = min(slate_size, len(candidates))
    upstream_order = np.asarray(upstream_order)
    before, after = upstream_order[:length], np.asarray(positions)
    may_be_lifted = None
    if guarded is not None:
        may_be_lifted = guarded.copy()
        may_be_lifted[before] = True
    gains = relevance_gains(candidates.scores, score_zero)
    groups = [
        MeasuredAttribute.of(
            candidates,
            name,
            declared.get(name),
            tuple((domains or {}).get(name, ())),
            threshold_by_attribute.get(name, _THRESHOLD),
        )
        for name in attributes
    ]
    ceilings = [group.ceilings(may_be_lifted, length) for group in groups]

    def measures(listed: Positions) -> ListMeasures:
        average, least, vendi, volume = (None, None, None, None)
        if embedding is not None:
            average, least = intra_list_distances(embedding.matrix, embedding.norms, listed)
            unit = unit_rows(embedding.matrix, embedding.norms, listed)
            vendi, volume = vendi_score(unit), log_determinant(unit)
        return ListMeasures(
            ndcg=ndcg(candidates.scores, listed, upstream_order, score_zero),
            intra_list_average_distance=average,
            intra_list_minimum_distance=least,
            vendi_score=vendi,
            log_determinant=volume,
            groups={
                group.attribute: group.measures(listed, upstream_order, gains, ceiling)
                for group, ceiling in zip(groups, ceilings, strict=True)
            },
        )

    return SlateMeasures(measures(before), measures(after), _change(after, before, upstream_order))


def _change(after: Positions, before: Positions, upstream_order: Positions) -> OrderMeasures:
    """How far the slate is from the upstream order: overlaps at the same length, places in the whole of it."""
    moved = np.abs(displacements(after, upstream_order))
    return OrderMeasures(
        rank_biased_overlap=rank_biased_overlap(after, before),
        kendall_tau=kendall_tau(after, before),
        mean_displacement=float(moved.mean()) if len(moved) else None,
        max_displacement=int(moved.max()) if len(moved) else None,
    )
