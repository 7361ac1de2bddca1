"""Steady load on a server process from threads that check every answer, each over a connection of its own."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from types import TracebackType

import grpc
import numpy as np

from reranker import Candidates, Policy, rerank
from reranker.client import from_columns
from reranker.policy.snapshots import built_in
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.waiting import wait_for

IDS = [f"p{i}" for i in range(60)]
SCORES = np.linspace(1, 0, 60)
VECTORS = np.random.default_rng(5).standard_normal((60, 16)).astype(np.float32)
LIST = from_columns(IDS, SCORES, VECTORS)
SLOTS = 10


def right_answer(policy: Policy | None = None) -> list[int]:
    """What the engine itself makes of the list."""
    candidates = Candidates(ids=IDS, scores=SCORES, embeddings=VECTORS)
    return [int(position) for position in rerank(candidates, policy or built_in(), SLOTS).positions]


class Load:
    """`with Load(address) as load:` callers at work, who count answers by code and compare each with the engine's."""

    def __init__(self, *addresses: str, callers: int = 8, authority: Path | None = None, token: str = "") -> None:
        self.codes: Counter[str] = Counter()
        self.wrong = 0
        self._right = right_answer()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        # Channels to one address share a connection unless told otherwise, and so would all meet one worker.
        self._options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 50),
        ]
        self._authority = authority
        self._metadata = [("authorization", f"Bearer {token}")] if token else []
        self._threads = [
            threading.Thread(target=self._call, args=(addresses[number % len(addresses)],)) for number in range(callers)
        ]

    @property
    def answered(self) -> int:
        """Answers so far."""
        with self._lock:
            return self.codes["OK"]

    @property
    def failed(self) -> int:
        """Calls so far that ended without an answer."""
        with self._lock:
            return self.codes.total() - self.codes["OK"]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def await_answers(self, count: int) -> None:
        """Until there have been so many more."""
        goal = self.answered + count
        wait_for(lambda: self.answered >= goal)

    def stop(self) -> None:
        """No new calls; those under way end."""
        self._stop.set()

    def _call(self, address: str) -> None:
        request = messages.RerankRequest(candidates=LIST, slate_size=SLOTS)
        with self._channel(address) as channel:
            stub = RerankerServiceStub(channel)
            while not self._stop.is_set():
                try:
                    # Whoever has no connection waits for one: what fails was in flight.
                    answer = stub.Rerank(request, timeout=20, wait_for_ready=True, metadata=self._metadata)
                except grpc.RpcError as error:
                    self._count(error.code().name, is_right=True)
                else:
                    self._count("OK", is_right=list(answer.positions) == self._right)

    def _channel(self, address: str) -> grpc.Channel:
        if self._authority is None:
            return grpc.insecure_channel(address, self._options)
        credentials = grpc.ssl_channel_credentials(self._authority.read_bytes())
        return grpc.secure_channel(address, credentials, self._options)

    def _count(self, code: str, *, is_right: bool) -> None:
        with self._lock:
            self.codes[code] += 1
            self.wrong += not is_right
