"""The context's builder: the server reads what `Context` would have been, and what it would refuse is refused here."""

from __future__ import annotations

import math
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reranker.client import from_columns, request_context
from reranker.context import Context
from reranker.errors import InvalidInput, Violation
from reranker.service.codec import decode_request
from reranker.service.limits import Limits
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
        (["a"], {"fixed": {1: "a"}, "targets": {"tone": {"dark": 0.25}}, "seed": np.uint64(2**64 - 1)}),
    ],
)
def test_the_server_reads_what_python_would_have_made(ids: list[Any], words: dict[str, Any]) -> None:
    assert read_by_the_server(ids, **words) == Context(**words)


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
    words: Any = {"targets": {"gender": {"secret": 7.25}}, "fixed": {0: "alice", "bob": "carol"}}
    with pytest.raises(InvalidInput) as raised:
        request_context(**words)
    assert not any(word in str(raised.value) for word in ("secret", "7.25", "alice", "bob", "carol"))
