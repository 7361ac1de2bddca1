"""The command: one table of what each fault did; ends with 0 when every goal is kept."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from examples.display import Screen
from examples.server_process import ROOT, ServerFailed
from loadtest.errors import LoadtestError
from loadtest.output.document import environment, number, write
from loadtest.server_faults import __doc__ as words
from loadtest.server_faults.acts import FAULTS
from loadtest.server_faults.cases import HURRIED, make_cases
from loadtest.server_faults.run import Outcome, Pace, suffer
from loadtest.servers.valkey import running_valkey

_COUNTS = ("sent", "answered", "failed", "shed", "late", "degraded", "hurried", "wrong")
_HEADER = ("fault", "", *_COUNTS, "lost", "p50 ms", "p99 ms")
_DOCUMENT = ROOT / "build" / "faults" / "server.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults; returns the exit code: 0 kept, 1 missed, 2 a wrong flag, 4 something else failed."""
    options = _parser().parse_args(arguments)
    unknown = sorted(set(options.fault) - set(FAULTS))
    if unknown:
        print(f"faults-server: there is no {unknown[0]}; there are {', '.join(FAULTS)}", file=sys.stderr)
        return 2
    deadline = options.deadline_ms / 1e3
    pace = Pace(rate=options.rate, during=options.seconds, deadlines=(deadline, deadline, deadline / 5))
    screen = Screen()
    outcomes: list[Outcome] = []
    try:
        cases = make_cases()
        with running_valkey() as valkey:
            for name in options.fault or FAULTS:
                screen.line(f"{name}: {FAULTS[name].words}")
                outcomes.append(suffer(FAULTS[name], cases, valkey, pace))
    except (ServerFailed, LoadtestError) as error:
        print(f"faults-server: {error}", file=sys.stderr)
        return 4
    _show(screen, outcomes)
    document = {"environment": environment(), "pace": asdict(pace), "faults": [as_json(one) for one in outcomes]}
    write(document, options.output)
    screen.line(f"written to {options.output}")
    return 0 if all(outcome.is_kept for outcome in outcomes) else 1


def _show(screen: Screen, outcomes: Sequence[Outcome]) -> None:
    """The table, what explains each failure, and what is broken."""
    screen.line()
    screen.table(_HEADER, [row(outcome) for outcome in outcomes], left=2)
    screen.line()
    for outcome in outcomes:
        for line in (*explanations(outcome), *problems(outcome)):
            screen.line(f"{outcome.fault.name}: {line}")
    kept = sum(outcome.is_kept for outcome in outcomes)
    screen.line(
        f"{kept} of {len(outcomes)} kept: every answer right, every failure explained and few, nothing lost that was "
        "acknowledged, servers that end in good order"
    )


def row(outcome: Outcome) -> list[str]:
    """The line of the table."""
    figures = (
        outcome.sent,
        outcome.answered,
        outcome.failed.total(),
        outcome.shed,
        outcome.late,
        outcome.degraded,
        outcome.rungs[HURRIED],
        outcome.wrong.total(),
    )
    lost = f"{', '.join(outcome.lost) or 0} of {outcome.acknowledged}"
    times = (f"{outcome.p50:.1f}", f"{outcome.p99:.1f}")
    return [outcome.fault.name, outcome.fault.words, *map(str, figures), lost, *times]


def explanations(outcome: Outcome) -> list[str]:
    """Why it failed what it failed."""
    excuses = outcome.fault.excuses
    lines = [f"{count} × {code}: {excuses[code]}" for code, count in outcome.failed.items() if code in excuses]
    if outcome.unrecorded and outcome.fault.kills:
        lines.append(f"{outcome.unrecorded} slates were on their way to the ledger in a process that was killed")
    return lines


def problems(outcome: Outcome) -> list[str]:
    """What breaks a goal, in words."""
    lines = [f"WRONG, {count} ×: {mistake}" for mistake, count in outcome.wrong.items()]
    if outcome.unexplained:
        codes = ", ".join(f"{count} × {code}" for code, count in outcome.failed.items())
        lines.append(f"UNEXPLAINED: {outcome.unexplained} failures of {codes}")
    if not outcome.has_few_failures:
        lines.append(f"TOO MANY failures: more than {outcome.fault.most:.0%} of what was sent")
    lines += [f"LOST: {lost}" for lost in outcome.lost]
    if outcome.forgot:
        lines.append(f"NOT IN THE LEDGER: {outcome.forgot} answered slates")
    return lines + ([f"THE END: {outcome.left}"] if outcome.left else [])


def as_json(outcome: Outcome) -> dict[str, Any]:
    """All that is known of it."""
    return {
        "fault": outcome.fault.name,
        "words": outcome.fault.words,
        "sent": outcome.sent,
        "answered": outcome.answered,
        "failed": dict(outcome.failed),
        "unexplained": outcome.unexplained,
        "shed": outcome.shed,
        "late": outcome.late,
        "rungs": dict(outcome.rungs),
        "wrong": dict(outcome.wrong),
        "acknowledged": outcome.acknowledged,
        "lost": list(outcome.lost),
        "unrecorded": outcome.unrecorded,
        "end": outcome.left,
        "p50_ms": number(outcome.p50),
        "p99_ms": number(outcome.p99),
        "kept": outcome.is_kept,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.server_faults", description=words, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fault", nargs="*", metavar="FAULT", help=f"some of {', '.join(FAULTS)}; by default all")
    numbers = {
        "--rate": (100.0, "requests a second"),
        "--seconds": (6.0, "of each fault"),
        "--deadline-ms": (250.0, "of a request; every third has a fifth of it"),
    }
    for flag, (default, meaning) in numbers.items():
        parser.add_argument(flag, type=float, default=default, help=f"{meaning} (default {default:g})")
    parser.add_argument("--output", type=Path, default=_DOCUMENT, help="the JSON (default build/faults/server.json)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
