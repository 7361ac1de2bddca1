"""A fault under steady load: what became of every request, and what is missing of what was acknowledged."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from loadtest.faults.uses import Items
from loadtest.server_faults.acts import Fault
from loadtest.server_faults.bench import Bench
from loadtest.server_faults.cases import HURRIED, Case
from loadtest.server_faults.clock import ShiftedClock
from loadtest.server_faults.judge import mistake_of, rung_of
from loadtest.server_faults.load import Load, Sent, answer_of, record
from loadtest.servers.valkey import Valkey
from reranker.v1.exposure_service_pb2_grpc import ExposureServiceStub

SHED, LATE = "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"
_LEAST_ANSWERED = 0.5
"""Of what was sent: a service that sheds everything gives no wrong answer either."""


@dataclass(frozen=True)
class Pace:
    """Requests a second; seconds before a fault, of it, and after it; deadlines in seconds, which take turns."""

    rate: float = 100.0
    before: float = 1.0
    during: float = 6.0
    after: float = 1.5
    deadlines: tuple[float, ...] = (0.25, 0.25, 0.05)


@dataclass
class Outcome:
    """What a fault did. Every request was answered, shed, late or failed; `failed` are its codes with their counts.

    `unexplained` are failures that the fault does not excuse; `wrong` what was wrong with answers; milliseconds are of
    answers. `lost` is what was acknowledged and is not there. `unrecorded` answers, of those looked for, never got into
    the ledger, which only a process that is killed may do to those that are on their way to it.
    """

    fault: Fault
    sent: int = 0
    answered: int = 0
    shed: int = 0
    late: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unexplained: int = 0
    rungs: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    p50: float = 0.0
    p99: float = 0.0
    acknowledged: int = 0
    lost: tuple[str, ...] = ()
    unrecorded: int = 0
    left: str = ""
    """What was wrong with the server's own end; "" where it ended with 0, and nothing of it was left."""

    @property
    def degraded(self) -> int:
        """Answers from a rung below the whole policy."""
        return self.rungs.total() - self.rungs["whole"] - self.rungs[HURRIED]

    @property
    def forgot(self) -> int:
        """Answered slates that are not in the ledger though no process was killed."""
        return 0 if self.fault.kills else self.unrecorded

    @property
    def has_few_failures(self) -> bool:
        """Whether no more requests failed than the fault may fail."""
        return self.failed.total() <= self.fault.most * self.sent

    @property
    def is_kept(self) -> bool:
        """Whether the goals are: most answered, all right, failures explained, nothing lost, an end in order."""
        return (
            self.answered > _LEAST_ANSWERED * self.sent
            and self.has_few_failures
            and not (self.wrong or self.unexplained or self.lost or self.left or self.forgot)
        )


def suffer(fault: Fault, cases: Sequence[Case], valkey: Valkey, pace: Pace) -> Outcome:
    """Start a server, put it under load, do it, and judge. Raises `ServerFailed` and `LoadtestError`."""
    outcome = Outcome(fault)
    with tempfile.TemporaryDirectory(prefix="server-faults-") as folder:
        clock = ShiftedClock(Path(folder)) if fault.clock else None
        bench = Bench(Path(folder), valkey, fault.flags, fault.start, fault.tls, clock)
        items = Items()
        with bench.running():
            processes = bench.processes()
            with _steady_load(bench, cases, pace, items) as load:
                time.sleep(pace.before)
                fault.act(bench, pace.during)
                if not fault.ends:
                    time.sleep(pace.after)
            if not fault.ends:
                _look_for_what_is_lost(outcome, bench, items, load)
        code = bench.stop()
        alive = [pid for pid in processes if Path(f"/proc/{pid}").exists()]
        outcome.left = "" if code == 0 and not alive else f"exit code {code}, {len(alive)} processes left"
        if fault.ends:
            with bench.running():
                _look_for_what_is_lost(outcome, bench, items, load)
        outcome.acknowledged = len(load.acknowledged) + len(items.acknowledged)
    _judge(outcome, load.sent, bench.moments)
    return outcome


@contextmanager
def _steady_load(bench: Bench, cases: Sequence[Case], pace: Pace, items: Items) -> Iterator[Load]:
    with Load(bench, cases, pace.rate, pace.deadlines) as load:
        bench.stop_load = load.stop
        items.begin(bench, empties=False)
        try:
            yield load
        finally:
            items.stop()


def _look_for_what_is_lost(outcome: Outcome, bench: Bench, items: Items, load: Load) -> None:
    """What was acknowledged by the same calls again: a report that is there already is told from one that is new."""
    reports, stub = load.acknowledged, ExposureServiceStub(bench.channel)
    waiting = ("reranker_after_answer_queue", "reranker_exposure_spool")
    bench.until(lambda: not sum(map(bench.metric, waiting)), "writing the ledger")
    known = record(stub, reports).repeated_ids
    words = (f"{len(reports) - known} of {len(reports)} reports" if known < len(reports) else "", items.missing(bench))
    outcome.lost = tuple(word for word in words if word)
    outcome.unrecorded = record(stub, load.unknown).unknown_ids


def _judge(outcome: Outcome, sent: Sequence[Sent], moments: Sequence[int]) -> None:
    outcome.sent = len(sent)
    waited = []
    for one in sent:
        if one.code == SHED:
            outcome.shed += 1
        elif one.code == LATE:
            outcome.late += 1
        elif one.code != "OK":
            outcome.failed[one.code or "UNANSWERED"] += 1
            outcome.unexplained += not _is_explained(outcome.fault, one, moments)
        else:
            answer = answer_of(one)
            outcome.answered += 1
            outcome.rungs[rung_of(answer)] += 1
            waited.append((one.done - one.began) / 1e6)
            if mistake := mistake_of(one.case, one.request_id, answer):
                outcome.wrong[mistake] += 1
    if waited:
        outcome.p50, outcome.p99 = (float(value) for value in np.percentile(waited, (50, 99)))


def _is_explained(fault: Fault, one: Sent, moments: Sequence[int]) -> bool:
    """Whether the fault may fail a request so, and something was done while it was under way or shortly before."""
    near = any(one.began - fault.reach * 1e9 <= moment <= one.done for moment in moments)
    return near and one.code in fault.excuses
