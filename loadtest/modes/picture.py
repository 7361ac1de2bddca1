"""The picture of the service: for lists of several sizes the knee, the latency at half of it, where the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loadtest.modes import rate, sweep
from loadtest.modes.knee import Knee
from loadtest.modes.session import Session, opened
from loadtest.modes.verdict import IN_WORDS, Verdict, gravest
from loadtest.output.document import beginning
from loadtest.output.live import Live
from loadtest.output.words import rate as rate_in_words
from loadtest.workload.scenario import Scenario

SCENARIOS = ("small", "typical", "large_inline")
"""100, 300 and 1,000 candidates."""

OF_THE_KNEE = 0.5


def run(
    scenarios: Sequence[Scenario], live: Live, server: str = ".", flags: Sequence[str] = ()
) -> tuple[dict[str, Any], Verdict]:
    """One after the other, each with a server of its own that has met nothing else."""
    document: dict[str, Any] = {}
    verdicts = []
    for scenario in scenarios:
        live.note(f"\n{scenario.name}: {scenario.about}")
        with opened(scenario, [server], flags=flags, say=live.note) as session:
            document = document or beginning("picture", scenario, session.trial.workload)
            row, runs, verdict = _one(session, live)
        document.setdefault("picture", []).append(row)
        document.setdefault("runs", []).extend(runs)
        verdicts.append(verdict)
    return document, gravest(verdicts)


def _one(session: Session, live: Live) -> tuple[dict[str, Any], list[dict[str, Any]], Verdict]:
    """A scenario's row, its runs at half of its knee, and whether its own rate is below the knee."""
    name = session.scenario.name
    steps = session.trial.at(seconds=sweep.STEP_SECONDS, warm_up=sweep.STEP_WARM_UP)
    _, knee = sweep.steps_to_the_knee(replace(session, trial=steps), live)
    live.note(sweep.sentence(knee))
    at = OF_THE_KNEE * knee.met if knee.met else session.trial.run.rate
    found, at_half = rate.run(replace(session, trial=session.trial.at(rate=at)), live)
    echo, server = found["runs"]
    beyond = None
    if server["server_cpu_us"] is not None and echo["server_cpu_us"] is not None:
        beyond = server["server_cpu_us"] - echo["server_cpu_us"]
    row = {
        "scenario": name,
        "candidates": session.scenario.requests[0].candidates,
        "bytes": session.trial.workload.mean_bytes,
        "knee": knee_in_words(knee),
        "rate": at,
        "doubts": doubts(knee, at_half),
        **{key: server["latency_ms"].get(key) for key in ("p50", "p99", "p99.9")},
        "echo_p50": echo["latency_ms"].get("p50"),
        "server_us": server["server_cpu_us"],
        "beyond_echo_us": beyond,
        "stages_us": server["stages_us"],
    }
    runs = [{**echo, "role": f"{name}, echo"}, {**server, "role": name}]
    return row, runs, gravest([sweep.judged(knee, session.trial.run.rate), at_half])


def knee_in_words(knee: Knee) -> str:
    """The knee in a word; ≥ where the generator or the time gave out first, < where nothing that was tried met it."""
    if knee.met == 0:
        return "not known" if knee.why is not Verdict.MISSED else f"< {rate_in_words(knee.beyond)}"
    return f"{'' if knee.closed else '≥ '}{rate_in_words(knee.met)}"


def doubts(knee: Knee, at_half: Verdict) -> list[str]:
    """What must be said beside a row wherever it is shown."""
    found = []
    if knee.met == 0:
        found.append("no knee was found: the latency is at the scenario's own rate")
    if at_half is not Verdict.MET:
        found.append(f"at that rate: {IN_WORDS[at_half]}")
    return found
