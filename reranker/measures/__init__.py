"""What a slate is worth: one source for the answer, the metrics and the replay. Pure functions on arrays."""

from reranker.measures.distance import intra_list_distances, unit_rows
from reranker.measures.groups import Membership, membership, ndkl, shares, skews
from reranker.measures.presence import div, div_ceiling
from reranker.measures.relevance import ndcg, relevance_gains, relevance_retained
from reranker.measures.summary import measure_slate

__all__ = [
    "Membership",
    "div",
    "div_ceiling",
    "intra_list_distances",
    "measure_slate",
    "membership",
    "ndcg",
    "ndkl",
    "relevance_gains",
    "relevance_retained",
    "shares",
    "skews",
    "unit_rows",
]
