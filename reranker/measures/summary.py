"""All measures of one slate beside the upstream order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, EmbeddingColumn
from reranker.measures.distance import intra_list_distances
from reranker.measures.groups import Membership, carried_values, membership, ndkl, shares, skews
from reranker.measures.presence import div, div_ceiling
from reranker.measures.relevance import ndcg
from reranker.slate import GroupMeasures, ListMeasures, SlateMeasures

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
    names the values that DIV@k asks for; without it: the declared values with a share above 0, else all that the
    candidates carry. `threshold_by_attribute` is the least probability of a hard label. `guarded` bool (N,) marks who
    passes the guard, None: there is none. `score_zero` is the policy's, None when it has none.
    """
    length = min(slate_size, len(candidates))
    before = np.asarray(upstream_order)[:length]
    may_be_lifted = None
    if guarded is not None:
        may_be_lifted = guarded.copy()
        may_be_lifted[before] = True
    groups = [
        _Group.of(
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
        average, least = (None, None)
        if embedding is not None:
            average, least = intra_list_distances(embedding.matrix, embedding.norms, listed)
        return ListMeasures(
            ndcg=ndcg(candidates.scores, listed, upstream_order, score_zero),
            intra_list_average_distance=average,
            intra_list_minimum_distance=least,
            groups={
                group.attribute: group.measures(listed, ceiling)
                for group, ceiling in zip(groups, ceilings, strict=True)
            },
        )

    return SlateMeasures(before=measures(before), after=measures(np.asarray(positions)))


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """One attribute of one candidate list: values, membership, and the distribution to compare with."""

    attribute: str
    values: tuple[str, ...]
    asked: int  # DIV@k asks for the first so many values
    members: Membership
    reference: NDArray[np.float64]  # NaN where nothing is declared for the value
    is_declared: bool

    @classmethod
    def of(
        cls,
        candidates: Candidates,
        attribute: str,
        declared: Mapping[str, float] | None,
        domain: tuple[str, ...],
        threshold: float,
    ) -> _Group:
        column = candidates.attributes.get(attribute)
        carried = carried_values(column, threshold) if column is not None else ()
        asked = domain or tuple(value for value, share in (declared or {}).items() if share > 0.0) or carried
        values = tuple(dict.fromkeys((*asked, *(declared if declared else carried))))
        if column is None:
            members = Membership.of_nobody(len(candidates), len(values))
        else:
            members = membership(column, values, threshold)
        reference = shares(members)
        if declared:
            reference = np.array([declared.get(value, np.nan) for value in values], np.float64)
        return cls(attribute, values, len(asked), members, reference, bool(declared))

    def ceilings(self, may_be_lifted: NDArray[np.bool_] | None, slots: int) -> tuple[float | None, float | None]:
        """DIV@k's ceiling without and with the guard."""
        asked = self.members.first(self.asked)
        free = div_ceiling(asked, None, slots)
        return free, free if may_be_lifted is None else div_ceiling(asked, may_be_lifted, slots)

    def measures(self, listed: Positions, ceilings: tuple[float | None, float | None]) -> GroupMeasures:
        """The measures of one order."""
        members = self.members.of(listed)
        skew = skews(members, self.reference)
        return GroupMeasures(
            attribute=self.attribute,
            values=self.values,
            shares=tuple(shares(members).tolist()),
            reference_shares=tuple(np.nan_to_num(self.reference).tolist()),
            reference_declared=self.is_declared,
            label_coverage=float(members.labelled.mean()) if len(listed) else 0.0,
            div=div(members.first(self.asked)),
            div_ceiling=ceilings[0],
            div_ceiling_guarded=ceilings[1],
            min_skew=skew[0] if skew else None,
            max_skew=skew[1] if skew else None,
            ndkl=ndkl(members, self.reference),
        )
