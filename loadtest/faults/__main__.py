"""The command: one table of what each fault did; ends with 0 when no request failed and none was too slow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from examples.display import Screen
from examples.server_process import ServerFailed
from loadtest.errors import GeneratorFailed, LoadtestError
from loadtest.faults import __doc__ as words
from loadtest.faults.acts import FAULTS
from loadtest.faults.run import Outcome, Pace, bench_with_everything, suffer
from loadtest.results.latencies import check_installed

_HEADER = ("fault", "", "requests", "failed", "degraded", "p50 ms", "p99 ms", "whole after", "missing", "reasons")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults; returns the exit code: 0 kept, 1 missed, 2 a wrong flag, 4 something else failed."""
    options = _parser().parse_args(arguments)
    unknown = sorted(set(options.fault) - set(FAULTS))
    if unknown:
        print(f"faults: there is no {unknown[0]}; there are {', '.join(FAULTS)}", file=sys.stderr)
        return 2
    pace = Pace(
        rate=options.rate,
        during=options.seconds,
        after=options.seconds,
        deadline=options.deadline_ms / 1e3,
        budget=options.budget_ms / 1e3,
    )
    screen = Screen()
    outcomes = []
    try:
        check_installed()
        with bench_with_everything() as (bench, uses):
            for name in options.fault or FAULTS:
                screen.line(f"{name}: {FAULTS[name].words}")
                outcomes.append(suffer(FAULTS[name], bench, uses, pace))
    except (ServerFailed, GeneratorFailed, LoadtestError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return 4
    screen.line()
    screen.table(_HEADER, [row(outcome) for outcome in outcomes], left=2)
    kept = [is_kept(outcome, pace) for outcome in outcomes]
    screen.line()
    within = f"p99 within {pace.budget * 1e3:.0f} ms"
    screen.line(f"{sum(kept)} of {len(kept)} kept: no request failed, {within}, nothing missing that was acknowledged")
    return 0 if all(kept) else 1


def is_kept(outcome: Outcome, pace: Pace) -> bool:
    """Whether no request failed, 99 of 100 were within the budget, and nothing that was acknowledged is missing."""
    return not outcome.failed and outcome.p99 <= pace.budget * 1e3 and not outcome.missing


def row(outcome: Outcome) -> list[str]:
    """The line of the table."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in outcome.reasons.most_common())
    return [
        outcome.fault.name,
        outcome.fault.words,
        str(outcome.requests),
        str(outcome.failed),
        str(outcome.degraded),
        f"{outcome.p50:.1f}",
        f"{outcome.p99:.1f}",
        "–" if outcome.whole_after is None else f"{outcome.whole_after:.1f} s",
        ", ".join(outcome.missing) or "–",
        reasons or "–",
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.faults", description=words, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fault", nargs="*", metavar="FAULT", help=f"some of {', '.join(FAULTS)}; by default all")
    numbers = {
        "--rate": (50.0, "requests a second"),
        "--seconds": (3.0, "of each fault, and after it"),
        "--deadline-ms": (250.0, "of each request"),
        "--budget-ms": (50.0, "that 99 of 100 requests are to keep"),
    }
    for flag, (default, meaning) in numbers.items():
        parser.add_argument(flag, type=float, default=default, help=f"{meaning} (default {default:g})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
