"""`python -m loadtest.crosscheck --k6 PATH`: k6 and our generator in turn, on the same server at the same rate.

k6 is a tool for this check alone; nothing else needs it. It counts from when a request leaves, so it is compared with
our figures since it left; at a rate far below the knee both see the same server.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from examples.display import Screen
from examples.server_process import ServerFailed
from loadtest.arrivals import Arrivals
from loadtest.errors import GeneratorFailed, LoadtestError
from loadtest.modes.session import Session, opened
from loadtest.output.live import Live
from loadtest.results.confidence import FEWEST_PAIRS, ratio_of
from loadtest.results.latencies import check_installed
from loadtest.workload.scenario import check, load
from reranker.v1.reranker_service_pb2 import RerankRequest

ROOT = Path(__file__).resolve().parents[2]
FIGURES = {"p50": ("med", 50.0), "p90": ("p(90)", 90.0), "p95": ("p(95)", 95.0), "p99": ("p(99)", 99.0)}
NOT_KNOWN = 5
_CLIENTS = 50
_DISTINCT = 50


def main() -> int:
    """Print both tools' percentiles and their ratio; 1 when the ratio of a median is beyond a tenth for sure.

    2 when there are no figures, 5 when the medians cannot be compared.
    """
    parser = argparse.ArgumentParser(prog="python -m loadtest.crosscheck", description=__doc__)
    parser.add_argument("--k6", default="k6", help="the program; by default the one on PATH")
    parser.add_argument("--scenario", default="small")
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    if options.pairs < FEWEST_PAIRS:
        parser.error(f"--pairs: {FEWEST_PAIRS} at least")
    screen = Screen()
    try:
        check_installed()
        scenario = load(options.scenario)
        groups = tuple(replace(group, distinct=min(group.distinct, _DISTINCT)) for group in scenario.requests)
        run = replace(scenario.run, rate=options.rate, seconds=options.seconds, warm_up=2.0)
        scenario = replace(scenario, arrivals=Arrivals("constant"), requests=groups, run=run)
        check(scenario)
        with opened(scenario, ["."], echo=False) as session:
            ours, theirs = in_turn(session, options.k6, options.pairs, screen)
    except (LoadtestError, GeneratorFailed, ServerFailed) as error:
        print(f"crosscheck: {error}", file=sys.stderr)
        return 2
    rows, beyond, unknown = [], False, False
    for name in FIGURES:
        ratio = ratio_of([found[name] for found in ours], [found[name] for found in theirs])
        rows.append([name, f"{ratio.ratio:.3f}", f"{ratio.low:.3f}", f"{ratio.high:.3f}"])
        unknown |= name == "p50" and ratio.pairs < options.pairs
        beyond |= name == "p50" and (ratio.low > 1.1 or ratio.high < 0.9)
    screen.table(["k6 beside ours", "ratio", "low", "high"], rows)
    return NOT_KNOWN if unknown else int(beyond)


def in_turn(
    session: Session, k6: str, pairs: int, screen: Screen
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Milliseconds by figure, for each pair, of our generator and of k6."""
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for pair in range(pairs):
        outcome = session.trial.at(seed=pair + 1).measure(session.servers[0], Live.silent)
        ours.append({name: outcome.service.percentile(percent) for name, (_, percent) in FIGURES.items()})
        theirs.append(measured_by_k6(session, k6))
        for tool, found in (("ours", ours[-1]), ("k6", theirs[-1])):
            screen.line(f"{tool:>5}: " + ", ".join(f"{name} {value:.2f}" for name, value in found.items()) + " ms")
    return ours, theirs


def measured_by_k6(session: Session, k6: str) -> dict[str, float]:
    """One run of k6. Raises `LoadtestError` when it does not run, or had requests without an answer."""
    run = session.trial.run
    requests = [json_format.MessageToDict(RerankRequest.FromString(body)) for body in session.trial.workload.bodies]
    with tempfile.TemporaryDirectory(prefix="loadtest-k6-") as folder:
        bodies, summary = Path(folder) / "requests.json", Path(folder) / "summary.json"
        bodies.write_text(json.dumps(requests))
        settings = {
            "REQUESTS": str(bodies),
            "PROTO": str(ROOT / "proto"),
            "ADDRESS": session.servers[0].address,
            "RATE": f"{run.rate:g}",
            "SECONDS": f"{run.seconds:g}",
            "WARM_UP": f"{run.warm_up:g}",
            "DEADLINE": f"{run.deadline_ms:g}ms",
            "CLIENTS": str(_CLIENTS),
        }
        script = str(Path(__file__).with_name("k6.js"))
        command = [k6, "run", "--quiet", "--no-usage-report", f"--summary-export={summary}", script]
        limit = run.seconds + run.warm_up + 60
        try:
            done = subprocess.run(
                command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=limit, check=False
            )
        except OSError as error:
            raise LoadtestError(f"cannot run {k6}: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise LoadtestError(f"k6 did not end within {limit:.0f} seconds") from None
        if done.returncode:
            raise LoadtestError(f"k6 left with exit code {done.returncode}: {done.stderr.strip()[-500:]}")
        metrics: dict[str, dict[str, Any]] = json.loads(summary.read_text())["metrics"]
    checks = metrics["checks{scenario:measured}"]
    if checks["fails"] or "dropped_iterations" in metrics:
        raise LoadtestError(f"k6 had {checks['fails']} requests without an answer, or dropped some")
    durations = metrics["grpc_req_duration{scenario:measured}"]
    return {name: float(durations[key]) for name, (key, _) in FIGURES.items()}


if __name__ == "__main__":
    sys.exit(main())
