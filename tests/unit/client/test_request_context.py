"""The context's builder: the server reads what `Context` would have been, and what it would refuse is refused here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reranker.candidates import Candidates
from reranker.client import CandidateBuilder, from_columns, recent_items, request_context
from reranker.codec import decode_request
from reranker.codec.limits import Limits
from reranker.context import Context
from reranker.errors import InvalidInput, Violation
from reranker.v1.reranker_service_pb2 import RerankRequest

Tone = Enum("Tone", {"DARK": "dark"}, type=str)


def read_by_the_server(ids: list[Any], **words: Any) -> Context:
    """The engine's context after a journey as bytes."""
    message = RerankRequest(
        candidates=from_columns(ids, range(len(ids))), slate_size=len(ids), context=request_context(**words)
    )
    found: list[Violation] = []
    context = decode_request(RerankRequest.FromString(message.SerializeToString()), Limits(), found).context
    assert found == []
    return context


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["a"], {}),
        (["a", "b", "c"], {"fixed": {3: "a", 1: "b"}}),
        ([7, 0, 2**64 - 1], {"fixed": {1: 2**64 - 1, np.int64(3): np.uint64(7), 2: 0}}),
        (["a"], {"targets": {"gender": {"f": 1 / 3, "m": np.float32(0.1)}, "size": {3: 0.5, True: Fraction(1, 7)}}}),
        (["a"], {"targets": {"tone": {Tone.DARK: 1, "none": 0.0}, "nothing": {}}}),
        (["a"], {"surface": "search", "language": "en-GB", "country": "GB", "intent": "beauty", "unit": "u"}),
        (["a"], {"without_profiling": True, "seed": 0}),
        (["a"], {"recent": ["z", "a"], "cursor": b"\0\xff"}),
        ([7], {"recent": np.array([2**64 - 1, 7], np.uint64).tolist()}),
        (["a"], {"refinement": {"tone": [Tone.DARK, "mid"], "size": (3, True, 0.5)}}),
        (["a"], {"recent": (), "cursor": b"", "refinement": {}}),
        (["a"], {"fixed": {1: "a"}, "targets": {"tone": {"dark": 0.25}}, "seed": np.uint64(2**64 - 1)}),
    ],
)
def test_the_server_reads_what_python_would_have_made(ids: list[Any], words: dict[str, Any]) -> None:
    assert read_by_the_server(ids, **words) == Context(**words)


def test_recently_shown_items_come_from_rows_without_scores() -> None:
    builder = CandidateBuilder(id_key="sku", score_key="score", embeddings="vector", attributes={"tone": "label"})
    rows = [{"sku": "x", "vector": [1.0, 0.0], "label": "dark"}, {"sku": "y", "vector": None, "label": None}]
    sent = builder.build_recent(rows)
    assert not sent.scores
    read = read_by_the_server(["a"], recent=sent).recent
    assert isinstance(read, Candidates)
    assert read.ids == ["x", "y"]
    assert read.embeddings[""].norms.tolist() == [1, 0]
    assert read.attributes["tone"].listed() == [["dark"], []]


def test_recently_shown_items_come_from_columns() -> None:
    read = read_by_the_server(["a"], recent=recent_items(["x"], {"image": [[3.0, 4.0]]}, half_precision=True)).recent
    assert isinstance(read, Candidates)
    assert read.embeddings["image"].norms.tolist() == [5]


def test_rows_of_recently_shown_items_are_held_to_the_rules_of_candidates() -> None:
    with pytest.raises(InvalidInput) as absent:
        CandidateBuilder(attributes=["tone"]).build_recent([{"id": "x"}])
    assert [violation.path for violation in absent.value.violations] == ["tone"]


def test_an_item_may_have_been_shown_twice() -> None:
    assert list(CandidateBuilder().build_recent([{"id": "x"}, {"id": "x"}]).item_ids) == ["x", "x"]
    assert list(request_context(recent=["x", "y", "x"]).recent.item_ids) == ["x", "y", "x"]


class Table:
    """What a data frame looks like to who asks no more: its entries are the names of its columns."""

    columns = ("id", "tone")

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        ({"surface": 3, "unit": None}, ["context.surface", "context.unit"]),
        ({"targets": [("gender", 1)]}, ["context.targets"]),
        ({"targets": {"": {}}}, ["context.targets"]),
        ({"targets": {"g": [0.5]}}, ["context.targets['g']"]),
        ({"targets": {"g": {"f": "half"}}}, ["context.targets['g']"]),
        ({"targets": {"g": {"f": True}}}, ["context.targets['g']"]),
        ({"targets": {"g": {"f": 1.5}}}, ["context.targets['g']"]),
        ({"targets": {"g": {"f": math.nan}}}, ["context.targets['g']"]),
        ({"targets": {"g": {"f": 0.6, "m": 0.6}}}, ["context.targets['g']"]),
        ({"targets": {"g": {1: 0.5, "1": 0.5}}}, ["context.targets['g']"]),
        ({"targets": {"g": {None: 0.5}}}, ["context.targets['g']"]),
        ({"fixed": ["a"]}, ["context.fixed"]),
        ({"fixed": {"1": "a"}}, ["context.fixed"]),
        ({"fixed": {True: "a"}}, ["context.fixed"]),
        ({"fixed": {0: "a", 2**32: "b"}}, ["context.fixed[0]", "context.fixed[4294967296]"]),
        ({"fixed": {1: ""}}, ["context.fixed"]),
        ({"fixed": {1: None}}, ["context.fixed"]),
        ({"fixed": {1: -1}}, ["context.fixed"]),
        ({"fixed": {1: 2**64}}, ["context.fixed"]),
        ({"fixed": {1: ["a"]}}, ["context.fixed"]),
        ({"fixed": {1: "a", 2: "a"}}, ["context.fixed"]),
        ({"fixed": {1: "a", 2: 2}}, ["context.fixed"]),
        ({"recent": "abc"}, ["context.recent"]),
        ({"recent": {"a": 1}}, ["context.recent"]),
        ({"recent": {"a"}}, ["context.recent"]),
        ({"recent": 5}, ["context.recent"]),
        ({"recent": Table()}, ["context.recent"]),
        ({"recent": [{"id": "a"}]}, ["context.recent.ids[0]"]),
        ({"recent": ["a", ""]}, ["context.recent.ids[1]"]),
        ({"recent": [-1]}, ["context.recent.ids[0]"]),
        ({"cursor": "text"}, ["context.cursor"]),
        ({"cursor": None}, ["context.cursor"]),
        ({"refinement": ["tone"]}, ["context.refinement"]),
        ({"refinement": {"": ["a"]}}, ["context.refinement"]),
        ({"refinement": {"tone": "dark"}}, ["context.refinement['tone']"]),
        ({"refinement": {"tone": []}}, ["context.refinement['tone']"]),
        ({"refinement": {"tone": ["a", None]}}, ["context.refinement['tone']"]),
        ({"refinement": {"tone": {"a"}}}, ["context.refinement['tone']"]),
        ({"without_profiling": 1}, ["context.without_profiling"]),
        ({"seed": -1}, ["context.seed"]),
        ({"seed": 2**64}, ["context.seed"]),
        ({"seed": 1.0}, ["context.seed"]),
        ({"seed": True, "fixed": {0: "a"}, "intent": 1}, ["context.intent", "context.fixed[0]", "context.seed"]),
    ],
)
def test_every_violation_is_named_by_its_path(words: dict[str, Any], paths: list[str]) -> None:
    with pytest.raises(InvalidInput) as raised:
        request_context(**words)
    assert [violation.path for violation in raised.value.violations] == paths


def test_a_refusal_quotes_neither_values_nor_ids() -> None:
    words: Any = {
        "targets": {"gender": {"secret": 7.25}},
        "fixed": {0: "alice", "bob": "carol"},
        "recent": ["alice", "alice"],
        "refinement": {"gender": ["secret", None]},
        "cursor": "secret",
    }
    with pytest.raises(InvalidInput) as raised:
        request_context(**words)
    assert not any(word in str(raised.value) for word in ("secret", "7.25", "alice", "bob", "carol"))
