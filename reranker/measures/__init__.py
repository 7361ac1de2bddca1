"""What a slate is worth: one source for the answer, the metrics and the replay. Pure functions on arrays."""

from reranker.measures.concentration import entropy, gini
from reranker.measures.distance import intra_list_distances, unit_rows
from reranker.measures.exposure import (
    attention_gap,
    attention_shares,
    awrf,
    exposure_parity,
    in_group_fairness,
    mean_exposure,
    slot_attention,
)
from reranker.measures.groups import Membership, membership, ndkl, shares, skews
from reranker.measures.orders import displacements, kendall_tau, overlap, rank_biased_overlap
from reranker.measures.presence import div, div_ceiling
from reranker.measures.ranked_groups import calibration_kl, rkl, rnd, rrd
from reranker.measures.relevance import ndcg, relevance_gains, relevance_retained
from reranker.measures.subtopics import alpha_ndcg, err_ia, stop_chances, subtopic_recall, value_coverage
from reranker.measures.summary import measure_slate
from reranker.measures.variety import log_determinant, vendi_score

__all__ = [
    "Membership",
    "alpha_ndcg",
    "attention_gap",
    "attention_shares",
    "awrf",
    "calibration_kl",
    "displacements",
    "div",
    "div_ceiling",
    "entropy",
    "err_ia",
    "exposure_parity",
    "gini",
    "in_group_fairness",
    "intra_list_distances",
    "kendall_tau",
    "log_determinant",
    "mean_exposure",
    "measure_slate",
    "membership",
    "ndcg",
    "ndkl",
    "overlap",
    "rank_biased_overlap",
    "relevance_gains",
    "relevance_retained",
    "rkl",
    "rnd",
    "rrd",
    "shares",
    "skews",
    "slot_attention",
    "stop_chances",
    "subtopic_recall",
    "unit_rows",
    "value_coverage",
    "vendi_score",
]
