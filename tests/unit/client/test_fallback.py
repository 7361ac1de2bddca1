"""The upstream order, made without a server."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import grpc
import numpy as np
import pytest

import reranker
from reranker import Candidates, Policy, rerank
from reranker.client import Client, ServerError, from_columns, request_context
from reranker.client.slate import upstream
from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.context_pb2 import Context, FixedItem


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens, and nobody else will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_the_upstream_order_is_by_score_then_position() -> None:
    candidates = from_columns(["a", "b", "c", "d"], [0.5, 0.9, 0.5, 0.9])
    assert upstream(candidates, 3, OSError()).ids == ["b", "d", "a"]
    assert upstream(candidates, 99, OSError()).positions.tolist() == [1, 3, 0, 2]
    assert len(upstream(candidates, -1, OSError())) == 0


def test_bad_scores_come_last() -> None:
    candidates = CandidateList(item_numbers=[1, 2, 3, 4], scores=[np.nan, 0.5, np.inf])
    assert upstream(candidates, 4, OSError()).ids == [3, 2, 1, 4]


def test_fixed_items_keep_their_slots_and_the_others_their_order() -> None:
    candidates = from_columns(["a", "b", "c", "d", "e"], [5, 4, 3, 2, 1])
    context = request_context(fixed={1: "e", 3: "a"})
    assert upstream(candidates, 4, OSError(), context).ids == ["e", "b", "a", "c"]
    assert upstream(candidates, 4, OSError(), request_context()).ids == ["a", "b", "c", "d"]
    assert upstream(candidates, 4, OSError(), None).ids == ["a", "b", "c", "d"]


def test_in_a_short_list_fixed_items_take_the_last_slots() -> None:
    candidates = from_columns([1, 2, 3], [3, 2, 1])
    assert upstream(candidates, 9, OSError(), request_context(fixed={9: 1})).ids == [2, 3, 1]
    assert upstream(candidates, 9, OSError(), request_context(fixed={8: 2, 3: 3, 9: 1})).ids == [3, 2, 1]


@pytest.mark.parametrize(
    "items",
    [
        [FixedItem(slot=1, item_id="z")],
        [FixedItem(slot=0, item_id="c")],
        [FixedItem(slot=4, item_id="c")],
        [FixedItem(slot=2**32 - 1, item_id="c")],
        [FixedItem(slot=1)],
        [FixedItem(slot=1, item_number=0)],
        [FixedItem(slot=1, item_id="a"), FixedItem(slot=1, item_id="c"), FixedItem(slot=2, item_id="a")],
    ],
    ids=["unknown", "slot 0", "beyond", "far beyond", "nobody", "number", "twice"],
)
def test_fixed_items_that_name_nobody_or_no_slot_are_left_out(items: list[FixedItem]) -> None:
    candidates = from_columns(["a", "b", "c"], [3, 2, 1])
    for size, expected in ((3, ["a", "b", "c"]), (0, []), (-1, [])):
        slate = upstream(candidates, size, OSError(), Context(fixed=items))
        assert slate.ids == expected


def test_a_number_that_was_not_sent_is_not_the_item_0() -> None:
    candidates = from_columns([5, 0], [2, 1])
    assert upstream(candidates, 2, OSError(), Context(fixed=[FixedItem(slot=1, item_id="a")])).ids == [5, 0]
    assert upstream(candidates, 2, OSError(), Context(fixed=[FixedItem(slot=1, item_number=0)])).ids == [0, 5]


def test_nothing_to_fix_in_an_empty_list() -> None:
    assert len(upstream(from_columns([], []), 5, OSError(), Context(fixed=[FixedItem(slot=1, item_id="a")]))) == 0


def test_the_fallback_is_the_engines_own_order_by_relevance() -> None:
    numbers = np.random.default_rng(6)
    policy = Policy.from_dict({"objective": {"strategy": "relevance"}})
    for _ in range(300):
        count, size = int(numbers.integers(1, 9)), int(numbers.integers(1, 12))
        scores = numbers.integers(0, 4, count).astype(float)
        slots = numbers.permutation(size)[: int(numbers.integers(0, min(count, size) + 1))] + 1
        fixed = dict(zip(slots.tolist(), numbers.permutation(count).tolist(), strict=False))
        slate = rerank(Candidates(range(count), scores), policy, size, context=reranker.Context(fixed=fixed))
        answer = upstream(from_columns(range(count), scores), size, OSError(), request_context(fixed=fixed))
        assert answer.positions.tobytes() == slate.positions.tobytes(), (scores, size, fixed)


def test_without_a_server_fixed_items_still_stand_in_their_slots(nobody: str) -> None:
    candidates = from_columns(["a", "b", "ad"], [3, 2, 1])
    with Client(nobody, deadline=5.0) as client:
        slate = client.rerank(candidates, 2, context=request_context(fixed={2: "ad"}))
    assert (slate.ids, slate.degraded) == (["a", "ad"], "CLIENT_FALLBACK")


def test_without_a_server_a_later_page_is_the_upstream_order_and_no_page_follows_it(nobody: str) -> None:
    context = request_context(cursor=b"page two", recent=["b"], refinement={"tone": ["dark"]})
    with Client(nobody, deadline=5.0) as client:
        slate = client.rerank(from_columns(["a", "b", "c"], [3, 2, 1]), 2, context=context)
    assert (slate.ids, slate.degraded, slate.cursor) == (["a", "b"], "CLIENT_FALLBACK", b"")


def test_no_server_means_the_upstream_order_flagged_and_counted(nobody: str) -> None:
    candidates = from_columns([10, 20, 30], [0.1, 0.3, 0.2])
    with Client(nobody, deadline=5.0) as client:
        slates = [client.rerank(candidates, 2) for _ in range(3)]
        assert client.fallbacks == {"UNAVAILABLE": 3}
        assert not client.rejections
    for slate in slates:
        assert slate.ids == [20, 30]
        assert slate.degraded == "CLIENT_FALLBACK"
        assert (slate.status, slate.policy_name, slate.response) == (None, "", None)
        assert isinstance(slate.error, ServerError)
        assert slate.error.code is grpc.StatusCode.UNAVAILABLE


def test_raise_raises(nobody: str) -> None:
    with Client(nobody, deadline=5.0, on_error="raise") as client, pytest.raises(ServerError, match="UNAVAILABLE"):
        client.rerank(from_columns(["a"], [1]), 1)


def test_a_client_that_waits_in_vain_says_so(nobody: str) -> None:
    with Client(nobody) as client:
        assert not client.wait_until_ready(0.2)


def test_bad_settings_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for arguments in ({"on_error": "ignore"}, {"deadline": 0.0}):
            with pytest.raises(ValueError, match="must be"):
                Client("127.0.0.1:1", **arguments)
