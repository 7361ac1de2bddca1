"""Overload: what is left of a server's best when many times as much is asked of it, and whether its health is told."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

from loadtest.generator.prober import Probes, probing
from loadtest.modes import capacity
from loadtest.modes.capacity import Capacity, goodput, in_time, late
from loadtest.modes.session import Session
from loadtest.modes.verdict import Verdict, of_gates
from loadtest.output.document import beginning, number
from loadtest.output.document import of_gates as gates_in_words
from loadtest.output.live import Live
from loadtest.results.gates import Gate
from loadtest.results.outcome import Outcome

MULTIPLES = (1.5, 3.0, 10.0)
"""How many times as much as the server can do is asked of it."""

LONG_US = 10_000.0
"""CPU microseconds from which a request counts as long: beside it a refusal costs next to nothing."""

MOST_LOST = 0.20
"""Of the peak, or of what is left of it by the model."""

HEALTH_MS = 50.0
MOST_LATE = 0.01
"""Of the requests that were let in."""

SECONDS, WARM_UP = 8.0, 2.0
FLOOD = 1_500.0
"""Requests a second above which frames are made ahead: gRPC's own client falls behind on one core."""

LARGEST = 60_000
"""Bytes up to which a request fits into the room that a server gives a new call."""

_REFUSED = ("RESOURCE_EXHAUSTED", "UNAVAILABLE")


def run(session: Session, live: Live, core: int | None) -> tuple[dict[str, Any], Verdict]:
    """Find the peak, then ask for multiples of it. `core` is where the health probes run, None is anywhere."""
    document = beginning("overload", session.scenario, session.trial.workload)
    rows: list[dict[str, Any]] = []
    outcomes: list[Outcome] = []
    with probing(session.servers[0].address, core) as prober:
        found = capacity.measure(session, live)
        prober.taken()
        runs = list(found.runs)
        for multiple in MULTIPLES:
            trial = session.trial.at(rate=multiple * found.peak, seconds=SECONDS, warm_up=WARM_UP)
            trial = replace(trial, is_flood=trial.run.rate > FLOOD and session.trial.workload.largest < LARGEST)
            outcome = capacity.step(session, live, trial, runs)
            outcomes.append(outcome)
            rows.append(_row(multiple, outcome, found, prober.taken()))
    shed = _shed_us(rows)
    for row in rows:
        row["allowed"] = 1.0 if found.request_us >= LONG_US else allowed(row["offered_times"], shed, found.request_us)
    gates = _gates(rows)
    document["runs"], document["gates"] = runs, gates_in_words(gates)
    document["overload"] = {
        "peak": found.peak,
        "request_us": number(found.request_us),
        "shed_us": number(shed),
        "rows": [
            {key: number(value) if isinstance(value, float) else value for key, value in row.items()} for row in rows
        ],
    }
    document["findings"] = _findings(found, shed, rows)
    return document, of_gates(gates, [])


def allowed(multiple: float, shed_us: float, request_us: float) -> float:
    """The share of the peak that refusals leave, when of `multiple` requests one is answered and the rest refused."""
    return 1.0 / (1.0 + (multiple - 1.0) * shed_us / request_us)


def attainable(multiple: float, shed_us: float, request_us: float) -> float:
    """The share of the peak that is left when as many come whatever happens, and all but the answered are refused.

    `allowed` takes nine refusals for each answer. Where refusals alone fill a core there are many more for each.
    """
    cost = shed_us / request_us
    return min(1.0, max(0.0, 1.0 - multiple * cost) / (1.0 - cost)) if cost < 1.0 else 0.0


def _row(multiple: float, outcome: Outcome, found: Capacity, probes: Probes) -> dict[str, Any]:
    codes, cpu = outcome.counts.codes, outcome.machine.server_cpu
    admitted = codes["OK"] + codes["DEADLINE_EXCEEDED"]
    refused = sum(codes[name] for name in _REFUSED)
    answering = outcome.machine.answered * found.request_us / 1e6
    return {
        "multiple": multiple,
        "offered": outcome.offered,
        "offered_times": outcome.offered / found.peak,
        "goodput": goodput(outcome),
        "of_peak": goodput(outcome) / found.peak,
        "in_time": in_time(outcome),
        "degraded": outcome.counts.degraded,
        "refused": refused,
        "never_sent": codes["NOT_SENT"],
        "late": late(outcome) + codes["DEADLINE_EXCEEDED"],
        "late_share": (late(outcome) + codes["DEADLINE_EXCEEDED"]) / admitted if admitted else 0.0,
        "shed_us": math.nan if cpu is None else max(0.0, cpu - answering) / refused * 1e6 if refused else 0.0,
        "saturated": [
            reason for reason in outcome.saturated if "of a core" in reason
        ],  # what waits, waits for the server
        "client_cores": max((usage.share for usage in outcome.machine.clients), default=math.nan),
        "others_share": math.nan if outcome.machine.others_share is None else outcome.machine.others_share,
        "server_cores": math.nan if cpu is None else cpu / outcome.machine.wall,
        **{f"health_{key}": value for key, value in asdict(probes).items()},
    }


def _shed_us(rows: list[dict[str, Any]]) -> float:
    """CPU microseconds of one refusal: what the server used beyond its answers, by how many it refused.

    Of the largest multiple, which refuses most for each that it answers.
    """
    return float(rows[-1]["shed_us"])


def _gates(rows: list[dict[str, Any]]) -> list[Gate]:
    gates = []
    for row in (rows[0], rows[-1]):
        allowed_share = 1.0 if row is rows[0] else row["allowed"]
        lost = max(1.0 - row["of_peak"] / allowed_share, 0.0)
        short = row["offered_times"] < 0.95 * row["multiple"]
        unknown = f"the generator reached {row['offered_times']:.1f} times" if short and lost <= MOST_LOST else ""
        if math.isnan(lost):
            unknown = "the server's CPU is not known, so neither is what refusals leave"
        if row["saturated"] and lost > MOST_LOST:
            unknown = "the generator was saturated"
        gates.append(Gate(f"goodput_lost_{row['multiple']:g}x", MOST_LOST, lost, unknown))
    gates.append(Gate("admitted_late", MOST_LATE, max(row["late_share"] for row in rows)))
    longest = max(math.inf if row["health_failed"] else row["health_longest"] for row in rows)
    gates.append(Gate("health_max_ms", HEALTH_MS, longest))
    return gates


def _findings(found: Capacity, shed: float, rows: list[dict[str, Any]]) -> list[str]:
    last = rows[-1]
    model = (
        f"A request costs the server {found.request_us:,.0f} µs of CPU, a refusal {shed:,.0f} µs: "
        f"1 / (1 + {last['offered_times'] - 1:.1f} × {shed:,.0f} / {found.request_us:,.0f}) = "
        f"{allowed(last['offered_times'], shed, found.request_us):.0%} of the peak is what refusals leave."
    )
    if found.request_us >= LONG_US:
        model += " Of requests this long the whole peak is asked for all the same."
    elif shed > 0.0:
        offered, times = last["offered"], last["offered_times"]
        model += (
            f" That counts {times - 1:.1f} refusals for each answer. As {offered:,.0f} a second come whatever happens, "
            f"to refuse as many takes {offered * shed / 1e6:.0%} of a core, and "
            f"{attainable(times, shed, found.request_us):.0%} of the peak is all that can be answered "
            f"beside that; {last['of_peak']:.0%} was."
        )
    others = max(row["others_share"] for row in rows)
    doubt = (
        [f"Other programs took up to {others:.0%} of this machine: measure again without them."] if others > 0.1 else []
    )
    return [*doubt, f"At its best the server gives {found.peak:,.1f} answers in time a second.", model]
