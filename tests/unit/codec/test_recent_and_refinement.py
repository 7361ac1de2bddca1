"""Recently shown items, cursor and refinement on the wire: as the engine knows them, and every refusal by its path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker.candidates import Candidates
from reranker.client import from_columns
from reranker.codec import decode_request
from reranker.codec.limits import Limits
from reranker.context import Context
from reranker.errors import Violation
from reranker.v1 import context_pb2
from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.reranker_service_pb2 import RerankRequest

TEXTS = from_columns(["a", "b", "c"], [3, 2, 1], np.eye(3))
NUMBERS = from_columns([5, 6, 7], [3, 2, 1], np.eye(3))
NOBODY = CandidateList()
LIMITS = Limits()


def decoded(candidates: CandidateList = TEXTS, limits: Limits = LIMITS, **words: Any) -> tuple[Context, list[str]]:
    """The context after a journey as bytes, and every violation as one text."""
    request = RerankRequest(candidates=candidates, slate_size=3, context=context_pb2.Context(**words))
    found: list[Violation] = []
    context = decode_request(RerankRequest.FromString(request.SerializeToString()), limits, found).context
    return context, [str(violation) for violation in found]


def violations(candidates: CandidateList = TEXTS, limits: Limits = LIMITS, **words: Any) -> list[str]:
    return decoded(candidates, limits, **words)[1]


def test_items_come_with_their_signals_and_without_scores() -> None:
    sent = CandidateList(item_ids=["y", "a"])
    sent.embeddings.add(dimension=3, int8=bytes([1, 0, 0, 0, 1, 0]))
    sent.attributes.add(name="tone", dictionary=["dark"], codes=[0, 1])
    context, found = decoded(recent=sent)
    assert found == []
    assert isinstance(context.recent, Candidates)
    assert (context.recent.ids, context.recent.scores.tolist()) == (["y", "a"], [0, 0])
    assert context.recent.embeddings[""].norms.tolist() == [1, 1]
    assert context.recent.attributes["tone"].listed() == [[], ["dark"]]


@pytest.mark.parametrize("scores", [[], [1, 2]])
def test_items_without_signals_are_ids_to_look_up(scores: list[float]) -> None:
    assert decoded(recent=CandidateList(item_ids=["y", "a"], scores=scores)) == (Context(recent=["y", "a"]), [])
    assert decoded(NUMBERS, recent=CandidateList(item_numbers=[9, 5])) == (Context(recent=[9, 5]), [])


def test_nobody_shown_recently_is_nobody() -> None:
    assert decoded(recent=NOBODY)[1] == []
    assert len(decoded(recent=NOBODY)[0].recent) == 0


@pytest.mark.parametrize(
    ("candidates", "recent", "violation"),
    [
        (TEXTS, {"item_numbers": [5]}, ".item_numbers: must be given as item_ids, as the candidates' ids are"),
        (NUMBERS, {"item_ids": ["5"]}, ".item_ids: must be given as item_numbers, as the candidates' ids are"),
        (TEXTS, {"item_ids": ["y"], "scores": [1, 2]}, ".scores: must have one score per id: 1, has 2"),
        (
            TEXTS,
            {"item_ids": ["y"], "embeddings": [{"dimension": 2, "int8": bytes(2)}]},
            ".embeddings[0].dimension: must be 3, as the candidates' is, is 2",
        ),
        (
            TEXTS,
            {"item_ids": ["y"], "embeddings": [{"dimension": 3, "int8": bytes(2)}]},
            ".embeddings[0].int8: must hold 1 items x 3 = 3 bytes, holds 2",
        ),
        (
            TEXTS,
            {"item_ids": ["y"], "attributes": [{"name": "tone", "codes": [1, 1]}]},
            ".attributes[0].codes: must be one per item: 1, are 2",
        ),
    ],
)
def test_a_violation_has_its_path_and_speaks_of_items(
    candidates: CandidateList, recent: dict[str, Any], violation: str
) -> None:
    assert violations(candidates, recent=CandidateList(**recent)) == [f"context.recent{violation}"]


def test_limits_are_those_of_the_candidates_except_for_the_number() -> None:
    limits = Limits(recent=2, dictionary=1, text_length=3, attributes=1)
    many = CandidateList(item_ids=["x", "y", "z"])
    assert violations(limits=limits, recent=many) == ["context.recent.item_ids: must be at most 2 items, are 3"]
    wide = CandidateList(item_ids=["long"], attributes=[{"name": "t", "dictionary": ["a", "b"], "codes": [1]}])
    assert violations(limits=limits, recent=wide) == [
        "context.recent.item_ids[0]: must have at most 3 characters",
        "context.recent.attributes[0].dictionary: must be at most 1 values, are 2",
    ]


def test_a_list_of_any_form_fits_no_candidates_and_a_list_that_cannot_be_read() -> None:
    sent = CandidateList(item_numbers=[5])
    assert violations(NOBODY, recent=sent) == []
    assert violations(TEXTS, Limits(candidates=2), recent=sent) == [
        "candidates.item_ids: must be at most 2 candidates, are 3"
    ]


def test_vectors_that_the_candidates_do_not_have_may_be_of_any_length() -> None:
    sent = CandidateList(item_ids=["y"], embeddings=[{"name": "image", "dimension": 9, "int8": bytes(9)}])
    assert violations(recent=sent) == []


def test_a_cursor_is_bytes_up_to_a_limit() -> None:
    assert decoded(cursor=b"\0\xff") == (Context(cursor=b"\0\xff"), [])
    assert violations(limits=Limits(cursor_bytes=4), cursor=bytes(4)) == []
    assert violations(limits=Limits(cursor_bytes=4), cursor=bytes(5)) == [
        "context.cursor: must be at most 4 bytes, is 5"
    ]


def test_a_refinement_is_values_by_attribute() -> None:
    chosen = [{"attribute": "tone", "values": ["dark", "mid"]}, {"attribute": "hair", "values": ["coily"]}]
    assert decoded(refinement=chosen) == (Context(refinement={"tone": ["dark", "mid"], "hair": ["coily"]}), [])


@pytest.mark.parametrize(
    ("refinement", "found"),
    [
        ([{"values": ["a"]}], ["context.refinement[0].attribute: must have 1 to 5 characters"]),
        ([{"attribute": "longer", "values": ["a"]}], ["context.refinement[0].attribute: must have 1 to 5 characters"]),
        ([{"attribute": "tone"}], ["context.refinement[0].values: must be 1 to 2 values, are 0"]),
        (
            [{"attribute": "tone", "values": list("abc")}],
            ["context.refinement[0].values: must be 1 to 2 values, are 3"],
        ),
        (
            [{"attribute": "tone", "values": ["", "longer"]}],
            [
                "context.refinement[0].values[0]: must not be empty",
                "context.refinement[0].values[1]: must have at most 5 characters",
            ],
        ),
        (
            [{"attribute": "tone", "values": ["a"]}] * 2,
            ["context.refinement[1].attribute: must be unique within the refinement"],
        ),
        ([{"attribute": "tone"}] * 3, ["context.refinement: must be of at most 2 attributes, is of 3"]),
    ],
)
def test_a_bad_refinement_is_named_by_its_places(refinement: list[dict[str, Any]], found: list[str]) -> None:
    limits = Limits(attributes=2, dictionary=2, text_length=5)
    assert violations(limits=limits, refinement=refinement) == found


def test_a_refusal_quotes_neither_values_nor_ids() -> None:
    text = "secret" * 200
    recent = CandidateList(item_ids=[text, text], attributes=[{"name": "t", "dictionary": [text] * 2, "codes": [9, 9]}])
    found = violations(recent=recent, refinement=[{"attribute": text, "values": [text]}] * 2, cursor=text.encode())
    assert found
    assert "secret" not in "".join(found)


def test_an_item_may_have_been_shown_twice() -> None:
    context, said = decoded(recent=CandidateList(item_ids=["y", "y"]))
    assert context.recent == ["y", "y"]
    assert not said
