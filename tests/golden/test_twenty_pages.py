"""Twenty pages of real lists, one cursor after the other: nothing twice, and bounds hold over all pages together."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from reranker import Candidates, Context, Policy, rerank
from reranker.slate import SlateStatus
from tests.golden.recorded import recorded

PAGES, SIZE = 20, 25
CAPS = [{"attribute": "creator", "max_per_value": 2, "window": 10}, {"attribute": "creator", "max_per_value": 40}]
SHADES = [{"attribute": "skin_tone", "min_share": {"light": 0.1, "medium": 0.1, "dark": 0.04}}, *CAPS]
BOOKS = [
    {"attribute": "popularity_tier", "min_share": {"mid": 0.2, "tail": 0.02}, "max_share": {"head": 0.8}},
    *CAPS,
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("corpus", "kind", "attribute", "quotas", "lists"),
    [("shades", "dense_search", "skin_tone", SHADES, 6), ("books", "user_home", "popularity_tier", BOOKS, 4)],
)
@pytest.mark.parametrize("strategy", ["dpp", "mmr"])
def test_twenty_pages(
    corpus: str, kind: str, attribute: str, quotas: list[dict[str, Any]], lists: int, strategy: str
) -> None:
    long = (r for r in recorded(corpus, kind) if len(r.candidates) >= PAGES * SIZE)
    policy = Policy.from_dict({"name": "paged", "objective": {"strategy": strategy}, "quotas": quotas})
    tried = 0
    for request in long:
        shown, satisfied = walk(request.candidates, policy)
        assert len(shown) == len(set(shown)) == PAGES * SIZE
        values = [request.candidates.attributes[attribute].listed()[position] for position in shown]
        creators = [request.candidates.attributes["creator"].listed()[position] for position in shown]
        upto = SIZE * satisfied  # from the first page that ran out of candidates on, bounds are kept as far as can be
        check_shares(values[:upto], quotas[0])
        check_windows(creators[:upto], 10, 2)
        assert all(count <= 40 for count in Counter(v for item in creators[:upto] for v in item).values())
        assert satisfied >= 8, "a long way before supply runs out"
        tried += 1
        if tried == lists:
            return
    assert tried >= 3


def walk(candidates: Candidates, policy: Policy) -> tuple[list[int], int]:
    """Positions of all pages, and how many pages from the first on kept every bound."""
    shown: list[int] = []
    cursor, satisfied = b"", -1
    for page in range(PAGES):
        slate = rerank(candidates, policy, SIZE, context=Context(cursor=cursor))
        shown += slate.positions.tolist()
        cursor = slate.cursor
        if satisfied < 0 and slate.report.status is not SlateStatus.SATISFIED:
            satisfied = page
    return shown, PAGES if satisfied < 0 else satisfied


def check_shares(values: list[list[str]], quota: dict[str, Any]) -> None:
    for prefix in range(1, len(values) + 1):
        counts = Counter(value for item in values[:prefix] for value in item)
        for value, share in quota["min_share"].items():
            assert counts[value] >= prefix * Fraction(str(share)) // 1, (prefix, value)
        for value, share in quota.get("max_share", {}).items():
            assert counts[value] <= -(-prefix * Fraction(str(share)) // 1), (prefix, value)


def check_windows(items: list[list[str]], window: int, limit: int) -> None:
    for end in range(1, len(items) + 1):
        counts = Counter(value for item in items[max(0, end - window) : end] for value in item)
        assert all(count <= limit for count in counts.values()), end
