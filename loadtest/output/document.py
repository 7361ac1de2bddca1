"""The JSON document of a load test: every figure, and what it was measured on. Tables and page show the same."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from loadtest.generator.records import STAGES
from loadtest.results.gates import Gate
from loadtest.results.latencies import Latencies
from loadtest.results.outcome import PERCENTS, Outcome, Second, percentile_name
from loadtest.workload.bodies import Workload
from loadtest.workload.scenario import Scenario

FORMAT = 1
UNANSWERED = "unanswered"
"""Stands where a percentile lies among requests that were never answered."""

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("grpcio", "protobuf", "numpy", "numba", "hdrhistogram")


def beginning(mode: str, scenario: Scenario, workload: Workload) -> dict[str, Any]:
    """What is known before the first figure."""
    return {
        "format": FORMAT,
        "mode": mode,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "scenario": {
            "name": scenario.name,
            "about": scenario.about,
            "arrivals": {"kind": scenario.arrivals.kind, **scenario.arrivals.words},
            "requests": [asdict(group) for group in scenario.requests],
            "slo": {name: limit for name, limit in asdict(scenario.slo).items() if limit is not None},
            "run": asdict(scenario.run),
        },
        "workload": {"distinct": len(workload.bodies), "mean_bytes": round(workload.mean_bytes)},
        "environment": environment(),
    }


def environment() -> dict[str, Any]:
    """The machine and the versions that figures depend on."""
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def of_outcome(outcome: Outcome, role: str) -> dict[str, Any]:
    """One run. Percentiles are in milliseconds, stages in microseconds, `histogram` in HdrHistogram's text form."""
    counts = outcome.counts
    return {
        "role": role,
        "target": outcome.target,
        "rate": outcome.rate,
        "offered": outcome.offered,
        "seconds": outcome.seconds,
        "deadline_s": outcome.deadline,
        "requests": counts.due,
        "codes": dict(counts.codes),
        "errors": counts.errors,
        "degraded": counts.degraded,
        "deadline_misses": counts.deadline_misses,
        "latency_ms": of_latencies(outcome.latency),
        "service_ms": of_latencies(outcome.service),
        "late_ms": of_latencies(outcome.late),
        "groups_ms": {name: of_latencies(found) for name, found in outcome.groups.items()},
        "server_cpu_us": outcome.server_us,
        "server_memory": outcome.machine.server_memory,
        "client_cpu_shares": [usage.share for usage in outcome.machine.clients],
        "others_share": outcome.machine.others_share,
        "stages_us": None
        if outcome.stages is None
        else {
            name: dict(zip(("mean", "p50", "p99"), map(number, row), strict=True))
            for name, row in zip(STAGES, outcome.stages.tolist(), strict=True)
        },
        "saturated": list(outcome.saturated),
        "server_gone": outcome.machine.server_gone,
        "series": [_of_second(second) for second in outcome.series],
        "histogram": outcome.latency.encoded(),
    }


def of_latencies(found: Latencies) -> dict[str, Any]:
    """Percentiles, the extremes and the mean of the answers.

    A percentile that rests on less than one request beyond it is left out: p99.9 wants a thousand.
    """
    shown = [percent for percent in PERCENTS if found.knows(percent)]
    values = {percentile_name(p): value for p, value in zip(shown, found.percentiles(shown), strict=True)}
    return {key: number(value) for key, value in {**values, "max": found.longest, "mean": found.mean}.items()}


def number(value: float) -> float | str | None:
    """JSON has neither infinity nor NaN."""
    if math.isinf(value):
        return UNANSWERED
    return None if math.isnan(value) else value


def of_gates(gates: Sequence[Gate]) -> list[dict[str, Any]]:
    """Each promise, what was measured, and whether it holds."""
    return [
        {
            "name": gate.name,
            "limit": gate.limit,
            "measured": number(gate.measured),
            "met": gate.met,
            "unknown": gate.unknown,
        }
        for gate in gates
    ]


def write(document: dict[str, Any], path: Path) -> None:
    """The document as a file."""
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """A file in one piece: whoever reads it meanwhile sees the whole of the old one or the whole of the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _of_second(second: Second) -> dict[str, Any]:
    return {key: number(value) if isinstance(value, float) else value for key, value in asdict(second).items()}


def _commit() -> str | None:
    """The commit of this tree, with a plus when files differ from it; None outside a repository."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
