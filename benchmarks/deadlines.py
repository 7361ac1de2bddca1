"""What knowing the time costs a request that has enough of it: `python -m benchmarks.deadlines`.

Each in turn, again and again, so that whatever else the machine does falls on all of them alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.timing import medians
from reranker import Candidates, Policy, rerank
from reranker.engine import Paces, Presence, Schedule, rerank_traced, warm_up
from reranker.service.patience import Patience
from reranker.service.timekeeper import Timekeeper
from reranker.service.wire import Call
from reranker.v1.reranker_service_pb2 import RerankRequest

ROUNDS = 5_000
COUNT, SLOTS = 200, 20
SLATE = f"a slate of {SLOTS} among {COUNT}, 32 dimensions, mmr"
STAGES = {"policy": 1e-5, "plan": 1e-5, "select": 1e-4, "report": 1e-5, "encode": 1e-5}


def main() -> int:
    """Print medians, and by how much each slate is above one without a deadline."""
    warm_up()
    found = {name: milliseconds * 1e3 for name, milliseconds in medians(_work(), ROUNDS).items()}
    for name, microseconds in found.items():
        beside = f"{microseconds - found[SLATE]:+8.2f}" if name.startswith("the same") else ""
        print(f"{name:<50} {microseconds:8.2f} µs {beside}")
    return 0


def _work() -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    numbers = np.random.default_rng(0)
    rows = numbers.standard_normal((COUNT, 32), np.float32)
    candidates = Candidates(list(range(COUNT)), numbers.random(COUNT), rows)
    policy = Policy.from_dict({"objective": {"strategy": "mmr"}})
    paces, keeper, patience, request = Paces(), Timekeeper(), Patience(), RerankRequest()

    def scheduled(paces: Paces | None) -> Callable[[], object]:
        def call() -> object:
            schedule = Schedule(time.perf_counter() + 1.0, Presence(), paces, degrades=paces is not None)
            return rerank_traced(candidates, policy, SLOTS, schedule=schedule)

        return call

    def edge() -> None:
        now = time.perf_counter()
        call = Call(now, now + 1.0, present=Presence(), size=50_000)
        patience.seen(1.0)
        call = keeper.admit(call)
        keeper.schedule(call, request, COUNT)
        keeper.learn(call, request, COUNT, STAGES, 1e-3)

    return {
        SLATE: lambda: rerank(candidates, policy, SLOTS),
        "the same with a deadline": scheduled(None),
        "the same with a ladder": scheduled(paces),
        "what the service does beside": edge,
    }


if __name__ == "__main__":
    raise SystemExit(main())
