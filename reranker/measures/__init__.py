"""What a slate is worth: one source for the answer, the metrics and the replay. Pure functions on arrays."""

from reranker.measures.distance import intra_list_distances, unit_rows
from reranker.measures.groups import Membership, membership, ndkl, shares, skews
from reranker.measures.presence import div, div_ceiling
from reranker.measures.relevance import ndcg, relevance_gains, relevance_retained
from reranker.measures.subtopics import alpha_ndcg, err_ia, stop_chances, subtopic_recall, value_coverage
from reranker.measures.summary import measure_slate
from reranker.measures.variety import log_determinant, vendi_score

__all__ = [
    "Membership",
    "alpha_ndcg",
    "div",
    "div_ceiling",
    "err_ia",
    "intra_list_distances",
    "log_determinant",
    "measure_slate",
    "membership",
    "ndcg",
    "ndkl",
    "relevance_gains",
    "relevance_retained",
    "shares",
    "skews",
    "stop_chances",
    "subtopic_recall",
    "unit_rows",
    "value_coverage",
    "vendi_score",
]
