"""What choosing a policy costs a request: `python -m benchmarks.routing`, beside the smallest slate and a bare hash.

The calls take turns, a hundred at a time, so that whatever else the machine does falls on all of them alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from benchmarks.timing import medians
from reranker import Candidates, Policy, rerank
from reranker.engine import warm_up
from reranker.policy import PolicyBook
from reranker.policy.routes import Routes
from reranker.v1 import context_pb2

ROUNDS, CALLS = 200, 100
SLATE = "a slate of 10 among 100, 16 dimensions"


def main() -> int:
    """Print medians of the rounds, and each as a share of a slate's."""
    warm_up()
    found = medians({name: _often(call) for name, call in _work().items()}, ROUNDS)
    for name, milliseconds in found.items():
        print(f"{name:<42} {milliseconds / CALLS * 1e3:8.2f} µs  {milliseconds / found[SLATE]:8.2%} of a slate")
    return 0


def _work() -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    numbers = np.random.default_rng(0)
    candidates = Candidates(list(range(100)), numbers.random(100), numbers.standard_normal((100, 16), np.float32))
    policy = Policy.from_dict({})
    met = context_pb2.Context(surface="search", country="GB", intent="beauty", unit="unit-17")
    missed = context_pb2.Context(surface="nowhere", unit="unit-17")
    few, many = _book(1), _book(20)
    return {
        "SHA-256 of a unit, a bare hash": lambda: hashlib.sha256(b"salt\0unit-17").digest(),
        "an arm of the only route": lambda: few.routed(met),
        "an arm of the last of 20 routes": lambda: many.routed(met),
        "none of 20 routes": lambda: many.routed(missed),
        SLATE: lambda: rerank(candidates, policy, 10),
    }


def _book(routes: int) -> PolicyBook:
    """Routes of which the last matches."""
    when = {"country": ["US", "GB"], "intent": ["beauty", "fashion"]}
    arms = {"upstream": 0.02, "a": 0.1, "default": 0.88}
    surfaces = [*(f"surface-{number}" for number in range(routes - 1)), "search"]
    tree = [{"when": {"surface": [surface], **when}, "salt": "s", "arms": arms} for surface in surfaces]
    return PolicyBook([Policy.from_dict({"name": "a"})], Routes.from_dict({"routes": tree}))


def _often(call: Callable[[], object]) -> Callable[[], None]:
    """So many calls in a row: one alone is hardly longer than a look at the clock."""

    def calls() -> None:
        for _ in range(CALLS):
            call()

    return calls


if __name__ == "__main__":
    raise SystemExit(main())
