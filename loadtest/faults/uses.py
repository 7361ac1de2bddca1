"""The uses of the store that are on while faults happen, and what each has to show for itself afterwards.

A use prepares the store before the first request, may write while requests come, and says what is missing of what was
acknowledged. To add one: a class with these methods, and its name in `ALL`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import grpc
import numpy as np

from examples.server_process import ROOT, ServerFailed
from loadtest.servers.valkey import Valkey
from reranker.v1.candidates_pb2 import CandidateList, CatalogReference
from reranker.v1.context_pb2 import Context
from reranker.v1.reranker_service_pb2 import RerankRequest
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from reranker.v1.signal_service_pb2 import GetRequest, PutRequest
from reranker.v1.signal_service_pb2_grpc import SignalServiceStub

POLICY = """
name = "faults"
about = {{ purpose = "{purpose}" }}
[objective]
strategy = "dpp"
diversity = 0.5
[[quotas]]
attribute = "tone"
min_share = {{ dark = 0.2 }}
[[exposure]]
attribute = "tone"
target = {{ dark = 0.4, light = 0.6 }}
half_life = "1h"
"""
ITEMS, DIMENSION, ASKED = 3_000, 32, 200
_TAKEN, _DROPPED = "reranker_after_answer_taken_total", "reranker_after_answer_dropped_total"
_OWN = '{consumer="ledger"'
_REGISTER = "reranker:{policies}:register"
_SLATES = "reranker_exposure_slates_total"
_SECONDS = 20.0
_WRITES = 0.1  # seconds between two


class Bench:
    """The server under test: its address, its metrics and its store."""

    def __init__(self, address: str, admin: str, valkey: Valkey, folder: Path) -> None:
        self.address, self.admin, self.valkey, self.folder = address, admin, valkey, folder
        self.password_file = folder / "password"
        self.channel = grpc.insecure_channel(address)

    def close(self) -> None:
        """Let go of the connection."""
        self.channel.close()

    def metrics(self) -> defaultdict[str, float]:
        """Every sample by name and labels."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=_SECONDS) as answer:
            lines = answer.read().decode().splitlines()
        found: defaultdict[str, float] = defaultdict(float)
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        found.update({name: float(value) for name, value in pairs})
        return found

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Return when it holds; raises `ServerFailed` when it does not for long."""
        end = time.monotonic() + _SECONDS
        while not holds():
            if time.monotonic() > end:
                raise ServerFailed(f"{what}: not after {_SECONDS:.0f} seconds")
            time.sleep(0.05)


class Connected(Protocol):
    """A server that can be called."""

    channel: grpc.Channel


class Use(Protocol):
    """One use of the store; `flags` are the server's for it."""

    flags: tuple[str, ...]

    def prepare(self, bench: Bench) -> None:
        """Bring the store into the state in which requests find everything; called anew after each fault."""

    def begin(self, bench: Bench, empties: bool) -> None:
        """A fault's run begins."""

    def missing(self, bench: Bench) -> str:
        """What is missing of what was acknowledged, in words, now that the store works again."""


class Items:
    """Requests look items up; meanwhile somebody puts new ones, and every acknowledged one must be there afterwards."""

    flags: tuple[str, ...] = ("--store-items", "--store-items-fresh", "0.5", "--signal-writes")

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self._vectors = rng.standard_normal((ITEMS, DIMENSION)).astype("<f2")
        self._codes = (rng.random(ITEMS) < 0.3).astype(int) + 1
        self.acknowledged: list[str] = []
        self._refused = 0
        self._stop = threading.Event()
        self._writer: threading.Thread | None = None

    def prepare(self, bench: Bench) -> None:
        """Put all of them."""
        stub = SignalServiceStub(bench.channel)
        for first in range(0, ITEMS, 1_000):
            rows = slice(first, first + 1_000)
            items = CandidateList(item_ids=[f"item-{n}" for n in range(first, min(first + 1_000, ITEMS))])
            items.embeddings.add(dimension=DIMENSION, float16=self._vectors[rows].tobytes())
            items.attributes.add(name="tone", dictionary=["light", "dark"], codes=self._codes[rows].tolist())
            bench.until(lambda items=items: _puts(stub, items), "putting items")  # type: ignore[misc]

    def begin(self, bench: Connected, empties: bool) -> None:
        """Write until `missing` is asked."""
        self._stop.clear()
        self.acknowledged, self._refused = [], 0
        self._writer = threading.Thread(target=self._write, args=(bench, empties), daemon=True)
        self._writer.start()

    def missing(self, bench: Connected) -> str:
        """How many of the items that were put are not there."""
        self.stop()
        ids = self.acknowledged
        if not ids:
            return ""
        unknown = SignalServiceStub(bench.channel).Get(GetRequest(item_ids=ids), timeout=_SECONDS).unknown
        return f"{len(unknown)} of {len(ids)} puts" if unknown else ""

    def stop(self) -> None:
        """Write no more."""
        assert self._writer is not None
        self._stop.set()
        self._writer.join()

    def _write(self, bench: Connected, empties: bool) -> None:
        stub, number = SignalServiceStub(bench.channel), 0
        run = time.monotonic_ns()
        while not self._stop.wait(_WRITES):
            items = CandidateList(item_ids=[f"new-{run}-{number}"])
            items.embeddings.add(dimension=DIMENSION, float16=self._vectors[:1].tobytes())
            number += 1
            if _puts(stub, items, 1.0) and not empties:  # what is emptied is lost, acknowledged or not
                self.acknowledged += items.item_ids


class Ledger:
    """Every slate goes to the exposure ledger, once: those of a store that is away wait."""

    flags: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._before: defaultdict[str, float] = defaultdict(float)

    def prepare(self, bench: Bench) -> None:
        """Nothing to prepare."""

    def begin(self, bench: Bench, empties: bool) -> None:
        """Remember how many slates it has."""
        self._before = bench.metrics()

    def missing(self, bench: Bench) -> str:
        """How many of the slates that were meant for it it did not get, once nothing waits any more."""
        bench.until(lambda: not self._waiting(bench), "writing the ledger")
        now = bench.metrics()
        meant = self._grown(now, f"{_TAKEN}{_OWN}", f"{_DROPPED}{_OWN}")
        recorded = self._grown(now, *(f'{_SLATES}{{result="{result}"' for result in ("new", "repeated")))
        return f"{meant - recorded} of {meant} slates" if recorded < meant else ""

    def _grown(self, now: defaultdict[str, float], *names: str) -> int:
        return round(sum(value - self._before[name] for name, value in now.items() if name.startswith(names)))

    @staticmethod
    def _waiting(bench: Bench) -> bool:
        queues = ("reranker_exposure_spool", "reranker_after_answer_queue")
        return any(value > 0 for name, value in bench.metrics().items() if name.startswith(queues))


class Policies:
    """The policy that requests name is published in the store, over a file of the same name."""

    flags: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._filed = self._published = ""

    def prepare(self, bench: Bench) -> None:
        """Publish it, where it is not."""
        self._filed = self._filed or self._serving(bench)
        own = bench.folder / "faults.toml"
        own.write_text(POLICY.format(purpose="published"))
        store = ["--store", f"redis://127.0.0.1:{bench.valkey.port}", "--store-password-file", str(bench.password_file)]
        if bench.valkey.ask("EXISTS", _REGISTER) != b":1\r\n":
            said = _command("publish", str(own), *store, "--by", "ann", "--note", "for the faults")
            number = re.search(r"\b(\d+)\b", said)
            assert number, said
            _command("approve", number[1], *store, "--by", "bob")
        bench.until(lambda: self._serving(bench) != self._filed, "serving what was published")
        self._published = self._serving(bench)

    def begin(self, bench: Bench, empties: bool) -> None:
        """Nothing begins."""

    def missing(self, bench: Bench) -> str:
        """Whether something else serves now."""
        return "" if self._serving(bench) == self._published else "the published policy"

    @staticmethod
    def _serving(bench: Bench) -> str:
        answer = RerankerServiceStub(bench.channel).Rerank(bodies(1, "probe")[0], timeout=_SECONDS)
        return str(answer.policy_revision)


def bodies(count: int, run: str) -> list[RerankRequest]:
    """Requests by reference: few items are asked for often and many now and then."""
    rng = np.random.default_rng(len(run) + count)
    made = []
    for number in range(count):
        rows = np.unique(np.minimum(rng.zipf(1.2, 4 * ASKED) - 1, ITEMS - 1))
        rows = np.union1d(rows[:ASKED], rng.choice(ITEMS, ASKED - min(len(rows), ASKED), replace=False))
        candidates = CandidateList(
            item_ids=[f"item-{row}" for row in rows], scores=rng.random(len(rows)).tolist(), catalog=CatalogReference()
        )
        made.append(
            RerankRequest(
                request_id=f"{run}-{number}",
                candidates=candidates,
                slate_size=20,
                policy_name="faults",
                context=Context(surface="search"),
            )
        )
    return made


ALL: Sequence[Callable[[], Use]] = (Items, Ledger, Policies)


def _puts(stub: SignalServiceStub, items: CandidateList, seconds: float = _SECONDS) -> bool:
    try:
        stub.Put(PutRequest(items=items), timeout=seconds)
    except grpc.RpcError:
        return False
    return True


def _command(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "reranker.cli", "policy", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ServerFailed(f"reranker policy {words[0]}: {re.sub(r'redis://.*', '', done.stderr)[-300:]}")
    return done.stdout
