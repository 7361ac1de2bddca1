"""The tables that are printed when figures are there; they read the document that is written to JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from examples.display import Screen
from loadtest.generator.records import STAGES
from loadtest.output.words import GATES, count, gate_value, milliseconds, rate, scenario_figures, share

_PERCENTILES = ("p50", "p90", "p95", "p99", "p99.9", "max")
_STAGES = {
    "decode": "bytes to candidates",
    "policy": "find and compile the policy",
    "signals": "signals by reference",
    "plan": "plan the quotas",
    "select": "the strategy's picks",
    "report": "report and explanations",
    "encode": "slate to message",
    "total": "the handler, all of it",
}


def latencies(screen: Screen, runs: Sequence[dict[str, Any]]) -> None:
    """Percentiles of each run, from when requests were due; then from when they left, and by group."""
    rows = []
    for run in runs:
        rows.append([run["role"], *(milliseconds(run["latency_ms"].get(name)) for name in _PERCENTILES)])
        rows.append(["  since it left", *(milliseconds(run["service_ms"].get(name)) for name in _PERCENTILES)])
        if len(run["groups_ms"]) > 1 and run["role"] != "echo":
            for group, found in run["groups_ms"].items():
                rows.append([f"  {group}", *(milliseconds(found.get(name)) for name in _PERCENTILES)])
    screen.table(["latency, ms", *_PERCENTILES], rows)


def costs(screen: Screen, runs: Sequence[dict[str, Any]]) -> None:
    """What was sent, what became of it, and what it cost."""
    header = ["cost", "offered/s", "requests", "errors", "degraded", "too late", "server µs", "client core", "others"]
    rows = [
        [
            run["role"],
            rate(run["offered"]),
            count(run["requests"]),
            count(run["errors"]),
            count(run["degraded"]),
            count(run["deadline_misses"]),
            count(run["server_cpu_us"]),
            share(max(run["client_cpu_shares"], default=None)),
            share(run["others_share"]),
        ]
        for run in runs
    ]
    screen.table(header, rows)
    for run in runs:
        codes = {name: number for name, number in run["codes"].items() if name != "OK"}
        if codes:
            screen.line(f"{run['role']}: " + ", ".join(f"{number:,} {name}" for name, number in codes.items()))


def stages(screen: Screen, run: dict[str, Any], echo: dict[str, Any] | None) -> None:
    """Where the time goes: the server's own clock, and what CPU there is beyond it."""
    found = run["stages_us"]
    if found is None:
        return
    rows = [
        [f"{name}: {_STAGES[name]}", *(count(found[name][key]) for key in ("mean", "p50", "p99"))]
        for name in STAGES
        if found[name]["mean"] > 0
    ]
    screen.table(["stage, µs", "mean", "p50", "p99"], rows)
    cpu, floor = run["server_cpu_us"], echo["server_cpu_us"] if echo is not None else None
    if cpu is not None:
        outside = max(0.0, cpu - found["total"]["mean"])
        screen.line(
            f"CPU of the whole server: {count(cpu)} µs a request, about {count(outside)} of them outside the handler"
        )
    if cpu is not None and floor is not None:
        screen.line(
            f"beyond an echo of the same bytes, which takes {count(floor)} µs: {count(cpu - floor)} µs a request"
        )
    screen.line("stages are by the clock: on busy cores they hold time in which others worked")


def gates(screen: Screen, found: Sequence[dict[str, Any]]) -> None:
    """What was promised and what was measured."""
    rows = [
        [
            GATES.get(gate["name"], gate["name"]),
            gate_value(gate["name"], gate["limit"]),
            gate_value(gate["name"], gate["measured"]),
            "met" if gate["met"] else f"not known: {gate['unknown']}" if gate["unknown"] else "MISSED",
        ]
        for gate in found
    ]
    if rows:
        screen.table(["promise", "at most", "measured", ""], rows)


def steps(screen: Screen, found: Sequence[dict[str, Any]]) -> None:
    """The rates of a sweep, lowest first."""
    header = ["rate/s", "p50 ms", "p99 ms", "p99.9 ms", "errors", "server µs", "server cores", "client core", ""]
    rows = []
    for step in sorted(found, key=lambda step: float(step["rate"])):
        cpu = step["server_cpu_us"]
        rows.append(
            [
                rate(step["rate"]),
                *(milliseconds(step["latency_ms"].get(name)) for name in ("p50", "p99", "p99.9")),
                count(step["errors"]),
                count(cpu),
                "–" if cpu is None else f"{cpu * (step['requests'] - step['errors']) / step['seconds'] / 1e6:.2f}",
                share(max(step["client_cpu_shares"], default=None)),
                step["verdict"],
            ]
        )
    screen.table(header, rows)


def comparison(screen: Screen, found: Sequence[dict[str, Any]]) -> None:
    """The second server beside the first, by figure."""
    rows = [
        [
            row["name"],
            *(milliseconds(row[key]) if row["unit"] == "ms" else count(row[key]) for key in ("first", "second")),
            *("–" if row[key] is None else f"{row[key]:.3f}" for key in ("ratio", "low", "high")),
            row["verdict"],
        ]
        for row in found
    ]
    screen.table(["figure", "first", "second", "ratio", "low", "high", ""], rows)


def picture(screen: Screen, found: Sequence[dict[str, Any]]) -> None:
    """One row a scenario."""
    header = [
        "scenario",
        "N",
        "kB",
        "knee/s",
        "at/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "echo p50",
        "server µs",
        "beyond",
    ]
    screen.table(header, [[row["scenario"], *scenario_figures(row)] for row in found])
    for row in found:
        for doubt in row["doubts"]:
            screen.line(f"{row['scenario']}: {doubt}")


def overload(screen: Screen, found: dict[str, Any]) -> None:
    """One row a multiple of the peak."""
    header = ["offered", "in time/s", "of peak", "of model", "refused", "held back", "late", "degraded", "µs a refusal"]
    header += ["server cores", "client core", "others", "health p50", "p99", "max ms"]
    rows = [
        [
            f"{row['offered_times']:.1f}×",
            rate(row["goodput"]),
            share(row["of_peak"]),
            "–" if row["allowed"] is None else share(row["of_peak"] / row["allowed"]),
            count(row["refused"]),
            count(row["never_sent"]),
            count(row["late"]),
            count(row["degraded"]),
            count(row["shed_us"]),
            "–" if row["server_cores"] is None else f"{row['server_cores']:.2f}",
            share(row["client_cores"]),
            share(row["others_share"]),
            *(milliseconds(row[f"health_{key}"]) for key in ("p50", "p99", "longest")),
        ]
        for row in found["rows"]
    ]
    screen.table(header, rows)
    failed = sum(row["health_failed"] for row in found["rows"])
    screen.line(f"health: {sum(row['health_count'] for row in found['rows']):,} probes, {failed} without SERVING")


def scaling(screen: Screen, found: dict[str, Any]) -> None:
    """A row a number of workers."""
    rows = [
        [
            str(row["workers"]),
            count(row["requests"]),
            count(row["errors"]),
            count(row["cpu_us"]),
            milliseconds(row["p50"]),
            milliseconds(row["p99"]),
            ", ".join(share(part) for part in row["shares"]),
        ]
        for row in found["rows"]
    ]
    screen.table(["workers", "requests", "errors", "µs a request", "p50 ms", "p99 ms", "share of each worker"], rows)


def slopes(screen: Screen, found: Sequence[dict[str, Any]]) -> None:
    """How p99 and memory went: their change over the run, with its 95 % interval."""
    rows = [
        [
            row["name"],
            "–" if row["mean"] is None else f"{row['mean']:.4g} {row['unit']}",
            *("–" if row[key] is None else f"{row[key]:+.2%}" for key in ("change", "low", "high")),
            row["verdict"],
        ]
        for row in found
    ]
    screen.table(["over the whole run", "mean", "change", "low", "high", ""], rows)
