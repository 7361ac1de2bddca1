"""Columns by reference in the client's words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker.client import CandidateBuilder, by_reference, from_columns, from_rows, recent_items
from reranker.errors import InvalidInput
from reranker.v1.candidates_pb2 import CandidateList, CatalogReference

IDS, SCORES = ["a", "b"], [2.0, 1.0]


def test_true_means_every_column_and_false_none() -> None:
    full = CandidateList(item_ids=IDS, scores=SCORES, catalog=CatalogReference())
    assert from_columns(IDS, SCORES, catalog=True) == full
    assert not from_columns(IDS, SCORES).HasField("catalog")
    assert recent_items(IDS, catalog=True) == CandidateList(item_ids=IDS, catalog=CatalogReference())


def test_columns_by_name() -> None:
    named = by_reference(embeddings=["", "image"], attributes="tone")
    assert named == CatalogReference(embeddings=["", "image"], attributes=["tone"])
    assert by_reference() == CatalogReference()
    message = from_columns(IDS, SCORES, attributes={"genre": ["x", "y"]}, catalog=named)
    assert message.catalog == named
    assert [column.name for column in message.attributes] == ["genre"]


def test_rows_by_reference() -> None:
    rows = [{"id": "a", "score": 2, "price": "low"}, {"id": "b", "score": 1, "price": "high"}]
    expected = from_columns(IDS, SCORES, attributes={"price": ["low", "high"]}, catalog=True)
    builder = CandidateBuilder(attributes="price", catalog=True)
    assert builder.build(rows) == from_rows(rows, attributes="price", catalog=True) == expected
    assert builder.build_recent(rows).HasField("catalog")


@pytest.mark.parametrize(
    ("embeddings", "attributes", "paths"),
    [
        (["a", 5], (), {"catalog.embeddings[1]"}),
        (["a", "a"], ["", "\ud800"], {"catalog.embeddings", "catalog.attributes", "catalog.attributes[1]"}),
    ],
)
def test_names_that_cannot_be(embeddings: Any, attributes: Any, paths: set[str]) -> None:
    with pytest.raises(InvalidInput) as raised:
        by_reference(embeddings=embeddings, attributes=attributes)
    assert {violation.path for violation in raised.value.violations} == paths


def test_what_travels_inline_is_not_referred_to_as_well() -> None:
    named = by_reference(embeddings=["image", ""], attributes=["tone"])
    with pytest.raises(InvalidInput) as raised:
        from_columns(IDS, SCORES, np.eye(2), {"tone": ["x", "y"]}, catalog=named)
    paths = [violation.path for violation in raised.value.violations]
    assert paths == ["catalog.embeddings[1]", "catalog.attributes[0]"]
    with pytest.raises(InvalidInput, match="must be True, False or what by_reference makes"):
        from_columns(IDS, SCORES, catalog="tone")  # type: ignore[arg-type]
