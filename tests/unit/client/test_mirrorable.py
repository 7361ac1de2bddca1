"""Which calls the client marks as fit for a shadow, as a server sees them."""

from __future__ import annotations

import numpy as np
import pytest

from reranker.client import Client, from_columns, request_context
from reranker.client.context import MIRRORABLE
from reranker.v1.context_pb2 import Context
from tests.integration.envoy import running_shadow

LIST = from_columns(["a", "b"], np.array([2.0, 1.0]))
CONTEXTS = {
    "none": None,
    "empty": Context(),
    "plain": request_context(surface="search", unit="u", targets={"tone": {"dark": 0.5}}, recent=["b"]),
    "refined": request_context(refinement={"tone": ["dark"]}),
    "page": request_context(cursor=b"cursor"),
    "private": request_context(without_profiling=True),
}


def test_calls_are_marked_unless_somebody_narrowed_them_by_hand_or_wants_no_profile() -> None:
    marked = {}
    with running_shadow() as (server, address), Client(address, deadline=20, metadata=[("tenant", "t")]) as client:
        for name, context in CONTEXTS.items():
            client.rerank(LIST, 1, context=context)
            assert server.metadata[-1]["tenant"] == "t"
            marked[name] = server.metadata[-1].get(MIRRORABLE)
    assert marked == {"none": "1", "empty": "1", "plain": "1", "refined": None, "page": None, "private": None}


@pytest.mark.parametrize("key", [MIRRORABLE, MIRRORABLE.upper()])
def test_a_caller_cannot_mark_all_of_its_calls(key: str) -> None:
    with pytest.raises(ValueError, match="leave it out of metadata"):
        Client("127.0.0.1:1", metadata=[(key, "1")])
