"""A fault under steady load: when it is done and ended, and what became of the requests meanwhile."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from examples.server_process import running_process
from loadtest.faults.acts import Fault
from loadtest.faults.uses import ALL, POLICY, Bench, Use, bodies
from loadtest.generator.fleet import hired
from loadtest.generator.records import OK, Order, Records
from loadtest.servers.valkey import free_port, running_valkey

_FAILURES = "reranker_store_failures_total"


@dataclass(frozen=True)
class Pace:
    """Requests a second; seconds that are not counted, before a fault, of it, and after it; what a request may take."""

    rate: float = 50.0
    warm_up: float = 1.0
    before: float = 2.0
    during: float = 3.0
    after: float = 3.0
    deadline: float = 0.25
    budget: float = 0.05


@dataclass(frozen=True)
class Outcome:
    """What a fault did. Milliseconds are from when requests were due; `whole_after` seconds from the fault's end."""

    fault: Fault
    requests: int
    failed: int
    degraded: int
    p50: float
    p99: float
    whole_after: float | None
    missing: tuple[str, ...]
    reasons: Counter[str]


@contextmanager
def bench_with_everything(store_timeout: float = 0.02) -> Iterator[tuple[Bench, list[Use]]]:
    """A server whose every use of the store is on, and a Valkey that keeps what it is given, both gone afterwards.

    `store_timeout` is how many seconds a request waits for the store at most.
    """
    uses = [make() for make in ALL]
    with tempfile.TemporaryDirectory() as name, running_valkey("--appendonly", "yes") as valkey:
        folder = Path(name)
        (folder / "policies").mkdir()
        (folder / "policies" / "faults.toml").write_text(POLICY.format(purpose="filed"))
        (folder / "password").write_text(valkey.password)
        admin = f"127.0.0.1:{free_port()}"
        flags = ["--admin", admin, "--store", f"redis://127.0.0.1:{valkey.port}"]
        flags += [
            "--store-timeout",
            str(store_timeout),
            "--store-password-file",
            str(folder / "password"),
            *(flag for use in uses for flag in use.flags),
        ]
        with running_process(folder / "policies", flags) as server:
            bench = Bench(server.address, admin, valkey, folder)
            try:
                yield bench, uses
            finally:
                bench.close()


def suffer(fault: Fault, bench: Bench, uses: Sequence[Use], pace: Pace) -> Outcome:
    """Steady requests while a fault is done and ended; then what is missing."""
    for use in uses:
        use.prepare(bench)
    for use in uses:
        use.begin(bench, fault.empties)
    before = bench.metrics()
    records, ended = _load(_Director(fault, bench, uses, pace), bench, pace)
    bench.until(lambda: bench.metrics()["reranker_store_servers_down"] == 0, "finding the store again")
    missing = tuple(words for use in uses if (words := use.missing(bench)))
    records = records[records["due"] >= pace.warm_up * 1e9]
    sound = records["code"] == OK
    now = bench.metrics()
    failures = {name: int(now[name] - before[name]) for name in now if name.startswith(_FAILURES)}
    reasons = Counter({name.split('"')[1]: count for name, count in failures.items() if count})
    waited = (records["done"] - records["due"]) / 1e6
    worst = records["done"][~sound | records["degraded"]]
    whole = None if not len(worst) else max(0.0, worst.max() / 1e9 - ended)
    return Outcome(
        fault,
        len(records),
        int((~sound).sum()),
        int(records["degraded"].sum()),
        float(np.percentile(waited, 50)),
        float(np.percentile(waited, 99)),
        whole,
        missing,
        reasons,
    )


def _load(director: _Director, bench: Bench, pace: Pace) -> tuple[Records, float]:
    """The records of all requests, and when the fault was ended, in seconds after the start."""
    seconds = pace.warm_up + pace.before + pace.during + pace.after
    count = round(pace.rate * seconds)
    requests = bodies(count, f"run-{time.time_ns()}")
    due = (np.arange(count) / pace.rate * 1e9).astype(np.int64)
    order = Order(bench.address, due, np.arange(count, dtype=np.int32), pace.deadline, 1, 0)
    parts: list[Records] = []
    with hired(1, [request.SerializeToString() for request in requests]) as fleet:
        fleet.run(order, parts.append, director.tick)
    return np.concatenate(parts), director.close()


class _Director:
    """Does and ends the fault at its time, on a thread of its own: starting a server takes longer than a tick.

    What was emptied is filled again by its owners when the fault ends.
    """

    def __init__(self, fault: Fault, bench: Bench, uses: Sequence[Use], pace: Pace) -> None:
        self._fault, self._bench, self._uses, self._pace = fault, bench, uses, pace
        self._thread = threading.Thread(target=self._act, daemon=True)
        self._start = self._ended = 0.0
        self._error: Exception | None = None

    def tick(self, seconds: float) -> None:
        """The run is so many seconds old, negative before it begins; the first call sets the clock."""
        if not self._thread.ident:
            self._start = time.monotonic() - seconds
            self._thread.start()

    def close(self) -> float:
        """When the fault had been ended, in seconds after the start; raises what went wrong with it."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._ended

    def _act(self) -> None:
        try:
            self._sleep(self._pace.warm_up + self._pace.before)
            self._fault.begin(self._bench.valkey)
            self._sleep(self._pace.warm_up + self._pace.before + self._pace.during)
            self._fault.end(self._bench.valkey)
            for use in self._uses if self._fault.empties else ():
                use.prepare(self._bench)
        except Exception as error:
            self._error = error
        self._ended = time.monotonic() - self._start

    def _sleep(self, until: float) -> None:
        time.sleep(max(0.0, self._start + until - time.monotonic()))
