"""Figures as people read them."""

from __future__ import annotations

import math
from typing import Any

from loadtest.output.document import UNANSWERED


def milliseconds(value: Any) -> str:
    """A duration in milliseconds, three digits or so."""
    if value is None or value == UNANSWERED:
        return "–" if value is None else UNANSWERED
    if math.isinf(value):
        return UNANSWERED
    if math.isnan(value):
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def count(value: float | None) -> str:
    """A number of things, or microseconds."""
    return "–" if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """A share as a percentage."""
    return "–" if value is None else f"{value:.2%}" if 0 < value < 0.01 else f"{value:.0%}"


def rate(value: float) -> str:
    """Requests a second."""
    return "∞" if math.isinf(value) else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def scenario_figures(row: dict[str, Any]) -> list[str]:
    """A scenario's figures in the picture: size, knee, latency at half of it, and cost."""
    return [
        count(row["candidates"]),
        f"{row['bytes'] / 1e3:.0f}",
        row["knee"],
        rate(row["rate"]),
        *(milliseconds(row[name]) for name in ("p50", "p99", "p99.9", "echo_p50")),
        count(row["server_us"]),
        count(row["beyond_echo_us"]),
    ]


GATES = {
    "p50_ms": "p50, ms",
    "p95_ms": "p95, ms",
    "p99_ms": "p99, ms",
    "p999_ms": "p99.9, ms",
    "errors": "requests without an answer",
    "degraded": "degraded answers",
    "deadline_misses": "deadline misses",
    "memory_growth": "growth of the server's memory",
    "goodput_lost_1.5x": "goodput lost at 1.5 times the peak",
    "goodput_lost_10x": "goodput lost at 10 times, of what refusals leave",
    "admitted_late": "let in, and not answered in time",
    "health_max_ms": "health, the slowest answer, ms",
    "cpu_ratio": "CPU a request with two workers, of one's",
    "least_share": "requests missing to a worker's 40 %",
    "p99_rise": "rise of p99 over the run, for sure",
    "memory_rise": "rise of the server's memory over the run, for sure",
    "p99_drift": "p99 at the end beside the beginning",
}


def gate_value(name: str, value: Any) -> str:
    """The limit of a gate, or what was measured for it."""
    if name.endswith("_ms"):
        return milliseconds(value)
    if value is None:
        return "–"
    return f"{value:.2f}×" if name in ("p99_drift", "cpu_ratio") else share(value)
