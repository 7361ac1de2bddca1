"""Load on a server process over several connections, with every answer checked."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import grpc
import numpy as np

from reranker import Candidates, Policy, rerank
from reranker.client import Client, ServerError, from_columns
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


class Tally:
    """What became of calls, by code; each answer is compared with the engine's."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.wrong = 0
        self._right = right_answer()
        self._stop = threading.Event()
        self._lock = threading.Lock()

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

    def await_answers(self, count: int) -> None:
        """Until there have been so many more."""
        goal = self.answered + count
        wait_for(lambda: self.answered >= goal)

    def stop(self) -> None:
        """No new calls; those under way end."""
        self._stop.set()

    def _failed(self, code: str) -> None:
        with self._lock:
            self.codes[code] += 1

    def _answered(self, positions: Iterable[int]) -> None:
        with self._lock:
            self.codes["OK"] += 1
            self.wrong += list(positions) != self._right


class Load(Tally):
    """`with Load(address) as load:` callers at work, each of whom waits for its answer before it calls again."""

    def __init__(self, *addresses: str, callers: int = 8, authority: Path | None = None, token: str = "") -> None:
        super().__init__()
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

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _call(self, address: str) -> None:
        request = messages.RerankRequest(candidates=LIST, slate_size=SLOTS)
        with self._channel(address) as channel:
            stub = RerankerServiceStub(channel)
            while not self._stop.is_set():
                try:
                    # Whoever has no connection waits for one: what fails was in flight.
                    answer = stub.Rerank(request, timeout=20, wait_for_ready=True, metadata=self._metadata)
                except grpc.RpcError as error:
                    self._failed(error.code().name)
                else:
                    self._answered(answer.positions)

    def _channel(self, address: str) -> grpc.Channel:
        if self._authority is None:
            return grpc.insecure_channel(address, self._options)
        credentials = grpc.ssl_channel_credentials(self._authority.read_bytes())
        return grpc.secure_channel(address, credentials, self._options)


class SteadyLoad(Tally):
    """`with SteadyLoad(address, rate) as load:` so many calls a second through our client, each when it is due."""

    def __init__(self, address: str, rate: float, connections: int = 8) -> None:
        super().__init__()
        options = {"grpc.use_local_subchannel_pool": 1}
        # Deadlines are generous, as a busy machine must not fail a test.
        self._clients = [Client(address, deadline=20.0, on_error="raise", options=options) for _ in range(connections)]
        self._rate = rate
        self._pool = ThreadPoolExecutor(32)
        self._sender = threading.Thread(target=self._send)

    def __enter__(self) -> SteadyLoad:
        self._sender.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._sender.join(30)
        self._pool.shutdown()
        for client in self._clients:
            client.close()

    def _send(self) -> None:
        start = time.monotonic()
        for number, client in enumerate(itertools.cycle(self._clients)):
            if self._stop.wait(max(0.0, start + number / self._rate - time.monotonic())):
                return
            self._pool.submit(self._call, client)

    def _call(self, client: Client) -> None:
        try:
            slate = client.rerank(LIST, SLOTS)
        except ServerError as error:
            self._failed(error.code.name)
        else:
            self._answered(slate.positions.tolist())
