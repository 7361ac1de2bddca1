"""Two workers beside one, each worker asked as much: what a request costs, and how requests spread over the two."""

from __future__ import annotations

import math
import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtest.modes.session import Session, opened
from loadtest.modes.verdict import Verdict, of_gates
from loadtest.output.document import beginning, number, of_outcome
from loadtest.output.document import of_gates as gates_in_words
from loadtest.output.live import Live
from loadtest.output.words import count
from loadtest.results.confidence import ratio_of
from loadtest.results.gates import Gate
from loadtest.results.outcome import Outcome
from loadtest.workload.scenario import Scenario

WORKERS = (1, 2)
CONNECTIONS = 64
"""The system deals connections to workers by chance: of 64, each gets 40 to 60 % nine times in ten."""

PAIRS, SECONDS, WARM_UP = 5, 6.0, 1.0
MOST_CPU = 1.05
LEAST_SHARE = 0.40
_SAMPLE = re.compile(r"^grpc_server_handled_total\{([^}]*)\} ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True)
class _Side:
    """One of the two services, with what its workers say of themselves."""

    workers: int
    session: Session
    admin: str
    outcomes: list[Outcome]
    answered: dict[str, float]


def run(scenario: Scenario, live: Live, server: str, flags: list[str]) -> tuple[dict[str, Any], Verdict]:
    """Both services at once, asked in turn; two workers get twice the rate.

    A busy process takes several requests each time it wakes up, so the same rate for both would compare that.
    """
    with _side(scenario, 1, live, server, flags) as one, _side(scenario, 2, live, server, flags) as two:
        document = beginning("scaling", scenario, one.session.trial.workload)
        runs: list[dict[str, Any]] = []
        live.note(f"{PAIRS} times {SECONDS:.0f} s each, in turn")
        for pair in range(PAIRS):
            for side in (one, two) if pair % 2 == 0 else (two, one):
                _measure(side, pair, live, runs)
        ratio = ratio_of(*([outcome.server_us or math.nan for outcome in side.outcomes] for side in (one, two)))
        rows = [_row(side) for side in (one, two)]
    document["servers"], document["runs"] = ["one worker", "two workers"], runs
    document["scaling"] = {"rows": rows, **{key: number(getattr(ratio, key)) for key in ("ratio", "low", "high")}}
    document["findings"] = [
        f"A request costs two workers {ratio.ratio:.3f} times what it costs one "
        f"(95 % interval {ratio.low:.3f} to {ratio.high:.3f}, {ratio.pairs} pairs)."
    ]
    shares = rows[1]["shares"]
    gates = [
        Gate("cpu_ratio", MOST_CPU, ratio.ratio, "" if ratio.pairs == PAIRS else "too little CPU was used to tell"),
        Gate("least_share", 0.0, max(0.0, LEAST_SHARE - min(shares)) if len(shares) == 2 else math.inf),
        Gate("errors", 0.001, max(row["errors"] / row["requests"] for row in rows)),
    ]
    document["gates"] = gates_in_words(gates)
    return document, of_gates(gates, [*one.outcomes, *two.outcomes])


@contextmanager
def _side(scenario: Scenario, workers: int, live: Live, server: str, flags: list[str]) -> Iterator[_Side]:
    admin = f"127.0.0.1:{_free_port()}"
    words = [*flags, "--workers", str(workers), "--admin", admin]
    with opened(scenario, [server], flags=words, echo=False, say=live.note) as session:
        yield _Side(workers, session, admin, [], {})


def _measure(side: _Side, pair: int, live: Live, runs: list[dict[str, Any]]) -> None:
    settings = side.session.trial.run
    trial = side.session.trial.at(
        rate=settings.rate * side.workers,
        seconds=SECONDS,
        warm_up=WARM_UP,
        seed=settings.seed + pair,
        connections=max(CONNECTIONS, settings.connections),
    )
    before = _answered_by_worker(side.admin)
    outcome = trial.measure(side.session.servers[0], live.silent)
    for worker, answered in _answered_by_worker(side.admin).items():
        side.answered[worker] = side.answered.get(worker, 0.0) + answered - before.get(worker, 0.0)
    side.outcomes.append(outcome)
    runs.append({**of_outcome(outcome, "block"), "server": side.workers - 1, "pair": pair})
    live.note(f"  {side.workers} at work: {count(outcome.server_us)} µs a request, {outcome.counts.errors} errors")


def _row(side: _Side) -> dict[str, Any]:
    whole = sum(side.answered.values())
    return {
        "workers": side.workers,
        "requests": sum(outcome.counts.due for outcome in side.outcomes),
        "errors": sum(outcome.counts.errors for outcome in side.outcomes),
        "cpu_us": number(float(np.median([outcome.server_us or math.nan for outcome in side.outcomes]))),
        "p50": number(float(np.median([outcome.latency.percentile(50) for outcome in side.outcomes]))),
        "p99": number(float(np.median([outcome.latency.known([99])[0] for outcome in side.outcomes]))),
        "shares": [answered / whole for _, answered in sorted(side.answered.items())] if whole else [],
    }


def _answered_by_worker(admin: str) -> dict[str, float]:
    """How many requests each worker has answered, by its number; one without a number is alone."""
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=10) as page:
        text = page.read().decode()
    found: dict[str, float] = {}
    for labels, value in _SAMPLE.findall(text):
        if 'grpc_method="Rerank"' in labels and 'grpc_code="OK"' in labels:
            worker = re.search(r'worker="(\d+)"', labels)
            found[worker[1] if worker else "0"] = float(value)
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
