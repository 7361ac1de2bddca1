"""The rules that `benchmarks.exposure` compares: ours with its ledger, ours without one, FairCo's, and none."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.exposure_traffic import SLOTS, Traffic
from reranker import Candidates, Context, Policy, rerank
from reranker.engine import Outlook, rerank_traced
from reranker.exposure.board import Board
from reranker.exposure.memory import MemoryBoard
from reranker.exposure.receipt import Receipt, make_receipt
from reranker.exposure.sqlite import SqliteLedger
from reranker.measures.exposure import slot_attention

_SECONDS = 60.0  # that the disk may take
_ATTENTION = slot_attention(SLOTS)


class Rule(Protocol):
    """Whoever puts slates together, and what the table calls it."""

    name: str

    def choose(self, candidates: Candidates, time: float, surface: str) -> NDArray[np.int32]:
        """Positions of one slate at `time`, in seconds."""
        ...


class Upstream:
    """The strategy, with nothing asked of exposure."""

    name = "nothing asked"

    def __init__(self, strategy: str) -> None:
        self._policy = Policy.from_dict(_words(strategy))

    def choose(self, candidates: Candidates, time: float, surface: str) -> NDArray[np.int32]:
        """The slate."""
        return rerank(candidates, self._policy, SLOTS).positions


class Stateless:
    """The target as least shares at every prefix: what a policy does without a ledger."""

    name = "a quota on each slate"

    def __init__(self, strategy: str, traffic: Traffic) -> None:
        self._policy = steered(strategy, traffic, traffic.target)

    def choose(self, candidates: Candidates, time: float, surface: str) -> NDArray[np.int32]:
        """The slate."""
        return rerank(candidates, self._policy, SLOTS).positions


class FairCo:
    """score + K · error: the scores min-max normalised, merit the target, exposure known without delay."""

    def __init__(self, gain: float, traffic: Traffic, remark: str = "") -> None:
        self.name, self.gain = f"FairCo, K = {gain:g}{remark}", gain
        self._attribute, self._values = traffic.attribute, tuple(traffic.target)
        self._target = np.array(list(traffic.target.values()))
        self._given, self._due = np.zeros(len(self._values)), np.zeros(len(self._values))
        self._requests = 0

    def choose(self, candidates: Candidates, time: float, surface: str) -> NDArray[np.int32]:
        """The slate."""
        column = candidates.attributes[self._attribute]
        value_of = np.array([-1, *(self._values.index(value) for value in column.values)])
        values = value_of[column.codes]
        ratio = self._given / np.maximum(self._due, 1e-4)
        error = np.append(self.gain * self._requests * (ratio.max() - ratio), 0.0)
        scores = candidates.scores
        relevance = (scores - scores.min()) / max(float(np.ptp(scores)), 1e-300)
        picks = np.argsort(-(relevance + error[values]), kind="stable")[:SLOTS]
        known = values[picks] >= 0
        attention = _ATTENTION[: len(picks)][known]
        np.add.at(self._given, values[picks][known], attention)
        self._due += self._target * attention.sum()
        self._requests += 1
        return picks.astype(np.int32)


class Ours:
    """The policy with a ledger: one in memory, read afresh for each request, or one in SQLite, read every so many."""

    def __init__(self, strategy: str, traffic: Traffic, every: int, band: float = 0.1) -> None:
        self._strategy, self._traffic, self._every, self._band = strategy, traffic, every, band
        self._policy = steered(strategy, traffic, traffic.target, band)
        self.read = "read each time" if every == 1 else f"read every {every} requests"
        self.name = f"[[exposure]], {self.read}{'' if band < 1.0 else ', band = 1'}"
        self._now, self._requests = 0.0, 0
        self._board: MemoryBoard | Board = MemoryBoard(lambda: self._now)
        self._waiting: list[Receipt] = []
        self._ledger: SqliteLedger | None = None

    def __enter__(self) -> Ours:
        if self._every > 1:
            self._folder = tempfile.TemporaryDirectory()
            self._ledger = SqliteLedger(Path(self._folder.name), clock=lambda: self._now)
            self._board = Board(lambda: self._now)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._ledger is not None:
            self._ledger.close()
            self._folder.cleanup()

    def aim_at(self, target: Mapping[str, float]) -> None:
        """Another revision of the policy, with another target; the stream goes on."""
        self._policy = steered(self._strategy, self._traffic, target, self._band)
        self._started = self._now

    _started = 0.0

    def choose(self, candidates: Candidates, time: float, surface: str) -> NDArray[np.int32]:
        """The slate; what it gave goes to the ledger."""
        self._now = self._started + time
        slate, trace = rerank_traced(
            candidates, self._policy, SLOTS, context=Context(surface=surface), outlook=Outlook(self._board)
        )
        self._requests += 1
        if isinstance(self._board, MemoryBoard):
            self._board.record(trace.exposure)
        elif self._ledger is not None:
            self._waiting.append(make_receipt(f"r{self._requests}", self._now, trace.exposure))
            if len(self._waiting) == self._every:
                self._ledger.record(self._waiting, _SECONDS)
                self._waiting.clear()
                self._board.refresh(self._ledger, _SECONDS)
        return slate.positions


def steered(strategy: str, traffic: Traffic, target: Mapping[str, float], band: float = 0.1) -> Policy:
    """The policy that steers the traffic's attribute to a target."""
    block = {"attribute": traffic.attribute, "target": dict(target), "band": band}
    return Policy.from_dict({**_words(strategy), "name": "steered", "exposure": [block]})


def _words(strategy: str) -> dict[str, Any]:
    return {"objective": {"strategy": strategy}}
