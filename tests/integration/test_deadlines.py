"""A real server under more work than it can do, with deadlines that are too short: late or refused, never wrong."""

from __future__ import annotations

import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from reranker.client import from_columns
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1 import slate_pb2
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.reference.judge import Case
from tests.reference.naive_quotas import broken

COUNT, SLOTS = 800, 40
POLICY = """
name = "tight"
[objective]
strategy = "dpp"
diversity = 0.7
[[quotas]]
attribute = "tone"
min_share = { b = 0.3, c = 0.2 }
"""
WORDS = {
    "objective": {"strategy": "dpp", "diversity": 0.7},
    "quotas": [{"attribute": "tone", "min_share": {"b": 0.3, "c": 0.2}}],
}


def case() -> Case:
    rng = np.random.default_rng(7)
    tones = rng.choice(["a", "b", "c"], COUNT, p=[0.8, 0.1, 0.1]).tolist()
    return Case(rng.random(COUNT), rng.normal(size=(COUNT, 64)).astype(np.float32), {"tone": tones}, WORDS, SLOTS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "tight.toml").write_text(POLICY)
    settings = Settings(
        listen="127.0.0.1:0", admin="127.0.0.1:0", policies=tmp_path, worker_threads=2, queue=16, grace=5.0
    )
    made = Server(settings)
    made.warm_up()
    yield made
    made.drain()


def judge(case: Case, whole: list[int], answer: messages.RerankResponse) -> str:
    """What an answer is; it is what it says it is, whatever there was time for."""
    picks = list(answer.positions)
    assert len(picks) == len(set(picks)) == SLOTS
    said = {(o.attribute, o.value) for o in answer.quotas if o.status == slate_pb2.OUTCOME_STATUS_BROKEN}
    assert said == {key[:2] for key in broken(case.instance(), picks)}
    if answer.degraded != messages.DEGRADED_REASON_DEADLINE:
        assert picks == whole
        return "whole"
    (note,) = [note for note in answer.notes if note.startswith("too little time")]
    assert not said or "upstream order" in note, "every rung but the last keeps what can be kept"
    return "degraded"


def test_under_load_answers_are_right_or_refused(server: Server) -> None:
    given = case()
    whole = given.run().positions.tolist()
    listed = from_columns(range(COUNT), given.scores, given.rows, attributes=given.columns)
    request = messages.RerankRequest(candidates=listed, slate_size=SLOTS, policy_name="tight")
    with grpc.insecure_channel(server.address) as channel:
        stub = RerankerServiceStub(channel)
        assert judge(given, whole, stub.Rerank(request, timeout=60)) == "whole"

        def ask(number: int) -> str:
            try:
                answer = stub.Rerank(request, timeout=(0.002, 0.005, 0.02, 0.1, 60.0)[number % 5])
            except grpc.RpcError as error:
                return str(error.code().name)
            return judge(given, whole, answer)

        with ThreadPoolExecutor(12) as callers:
            became = Counter(callers.map(ask, range(150)))
        assert became.total() == 150
        assert set(became) <= {"whole", "degraded", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
        assert became["whole"], "a minute is enough for anybody"
        assert judge(given, whole, stub.Rerank(request, timeout=60)) == "whole", "the load left nothing behind"
    with urllib.request.urlopen(f"http://{server.admin_address}/metrics", timeout=20) as page:
        text = page.read().decode()
    for name in ("reranker_queue_wait_seconds_count", "reranker_estimate_ratio_count", 'rungs_total{rung="mmr"}'):
        assert name in text
