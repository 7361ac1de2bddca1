"""All measures of one attribute: what belongs to the candidates is laid out once, then each order is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.measures.concentration import entropy, gini
from reranker.measures.exposure import awrf, exposure_parity, in_group_fairness
from reranker.measures.groups import Membership, carried_values, membership, ndkl, shares, skews
from reranker.measures.presence import div, div_ceiling
from reranker.measures.ranked_groups import calibration_kl, rkl, rnd, rrd
from reranker.measures.subtopics import alpha_ndcg, err_ia, subtopic_recall, value_coverage
from reranker.slate import GroupMeasures

Floats = NDArray[np.float64]
Positions = NDArray[np.integer]
_PROTECTED = 32  # rND, rKL and rRD take each value in turn as the protected one; of more values none is
_LEAST_SHARE = 0.5e-6  # less is no share for bounds either, which know millionths; and ratios to less would overflow


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredAttribute:
    """One attribute of one candidate list: values, membership, and the distribution to compare with."""

    attribute: str
    values: tuple[str, ...]
    asked: int  # DIV@k and the subtopics are the first so many values
    members: Membership
    grouped: Membership  # the same with a group for labelled items that carry none of the values, if there are any
    reference: Floats  # NaN where nothing is declared for the value
    is_declared: bool

    @classmethod
    def of(
        cls,
        candidates: Candidates,
        attribute: str,
        declared: Mapping[str, float] | None,
        domain: tuple[str, ...],
        threshold: float,
    ) -> MeasuredAttribute:
        """Lay out the candidates; see `measure_slate` for the words."""
        column = candidates.attributes.get(attribute)
        carried = carried_values(column, threshold) if column is not None else ()
        asked = domain or tuple(value for value, share in (declared or {}).items() if share > 0.0) or carried
        values = tuple(dict.fromkeys((*asked, *(declared if declared else carried))))
        if column is None:
            members = Membership.of_nobody(len(candidates), len(values))
        else:
            members = membership(column, values, threshold)
        has_others = bool((members.labelled & (members.lengths == 0)).any())
        reference = shares(members)
        if declared:
            reference = np.array([declared.get(value, np.nan) for value in values], np.float64)
            reference[reference < _LEAST_SHARE] = 0.0
        grouped = members.with_others() if has_others else members
        return cls(attribute, values, len(asked), members, grouped, reference, bool(declared))

    def ceilings(self, may_be_lifted: NDArray[np.bool_] | None, slots: int) -> tuple[float | None, float | None]:
        """DIV@k's ceiling without and with the guard."""
        asked = self.members.first(self.asked)
        free = div_ceiling(asked, None, slots)
        return free, free if may_be_lifted is None else div_ceiling(asked, may_be_lifted, slots)

    def measures(
        self,
        listed: Positions,
        upstream_order: Positions,
        gains: Floats | None,
        ceilings: tuple[float | None, float | None],
    ) -> GroupMeasures:
        """The measures of one order. `gains` (N,) is the candidates' relevance, None if it has no zero."""
        members, grouped = self.members.of(listed), self.grouped.of(listed)
        asked = members.first(self.asked)
        can_be_had = self.members.first(self.asked).of(upstream_order)  # upstream decides between equal gains
        skew = skews(members, self.reference)
        is_protectable = len(self.values) <= _PROTECTED
        ranked = (members, self.members, self.reference)
        return GroupMeasures(
            attribute=self.attribute,
            values=self.values,
            shares=tuple(shares(members).tolist()),
            reference_shares=tuple(np.nan_to_num(self.reference).tolist()),
            reference_declared=self.is_declared,
            label_coverage=float(members.labelled.mean()) if len(listed) else 0.0,
            div=div(asked),
            div_ceiling=ceilings[0],
            div_ceiling_guarded=ceilings[1],
            min_skew=skew[0] if skew else None,
            max_skew=skew[1] if skew else None,
            ndkl=ndkl(members, self.reference),
            value_coverage=value_coverage(asked),
            subtopic_recall=subtopic_recall(asked, can_be_had),
            alpha_ndcg=alpha_ndcg(asked, can_be_had),
            err_ia=err_ia(asked, can_be_had),
            entropy=entropy(grouped.counts),
            gini=gini(grouped.counts),
            awrf=awrf(members, self.reference),
            exposure_parity=exposure_parity(grouped, self.grouped),
            in_group_fairness=_least(in_group_fairness(self.members, gains, listed)) if gains is not None else None,
            calibration_kl=calibration_kl(members, self.reference),
            rnd=_largest(rnd(*ranked)) if is_protectable else None,
            rkl=_largest(rkl(*ranked)) if is_protectable else None,
            rrd=_largest(rrd(*ranked)) if is_protectable else None,
        )


def _least(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.min()) if len(known) else None


def _largest(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else None
