"""The command line.

    python -m loadtest rate typical --rate 200          one rate, beside an echo of the same bytes
    python -m loadtest sweep typical                    to the knee: the highest rate that meets the SLO
    python -m loadtest soak mixed --seconds 3600        one rate for long: growth and drift
    python -m loadtest compare typical --with HEAD~1    another server or commit first, then this tree, in turn
    python -m loadtest ceiling                          the generator alone: what one process can drive
    python -m loadtest picture                          knee, latency, cost and stages for several sizes

Ends with 0 when every promise is met, 1 when one is missed, 2 when a scenario or a flag is wrong, 3 when the generator
was saturated, so that the figures say nothing about the server, 4 when a server or a client process failed.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from examples.display import Screen
from examples.server_process import ServerFailed
from loadtest.arrivals import KINDS, Arrivals
from loadtest.errors import GeneratorFailed, LoadtestError
from loadtest.modes import ceiling, compare, picture, rate, sweep
from loadtest.modes.session import opened
from loadtest.modes.verdict import Verdict
from loadtest.output import document as documents
from loadtest.output import markdown, page, report
from loadtest.output.live import Live
from loadtest.results.latencies import check_installed
from loadtest.workload.scenario import Scenario, load, names

FAILED = 4
SOAK_SECONDS = 600.0
_RUN = {"rate": float, "seconds": float, "warm_up": float, "deadline_ms": float, "processes": int, "connections": int}
_RUN["seed"] = int
_PARTS = {
    "sweep": (sweep.STEP_SECONDS, sweep.STEP_WARM_UP),
    "compare": (compare.BLOCK_SECONDS, compare.BLOCK_WARM_UP),
    "ceiling": (ceiling.STEP_SECONDS, ceiling.STEP_WARM_UP),
}
"""Seconds and warm-up of modes that consist of many short runs."""

_VERDICTS = {
    Verdict.MET: "met",
    Verdict.MISSED: "missed",
    Verdict.SATURATED: "the generator was saturated: these figures say nothing about the server",
}
Answer = tuple[dict[str, Any], Verdict]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a mode; returns the exit code."""
    options = _parser().parse_args(arguments)
    screen = Screen()
    signal.signal(signal.SIGTERM, _leave)
    try:
        check_installed()
        document, verdict = _MODES[options.mode](options, Live(screen))
    except KeyboardInterrupt:
        screen.line("\ninterrupted; everything that was started is stopped")
        return 130
    except LoadtestError as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 2
    except (ServerFailed, GeneratorFailed) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return FAILED
    document["verdict"] = _VERDICTS[verdict]
    report.show(screen, document)
    stem = f"{document['mode']}-{document['scenario']['name']}" if options.mode != "picture" else "picture"
    documents.write(document, options.out / f"{stem}.json")
    page.write(document, options.out / f"{stem}.html")
    if "picture" in document:
        (options.out / f"{stem}.md").write_text(markdown.picture(document), encoding="utf-8")
    screen.line(f"\nverdict: {document['verdict']}")
    screen.line(f"written: {options.out / stem}.json and {options.out / stem}.html")
    return int(verdict)


def _rate(options: argparse.Namespace, live: Live, soak: bool = False) -> Answer:
    scenario = _scenario(options)
    with opened(scenario, [options.server], flags=options.flag, pid=options.pid, echo=options.echo) as session:
        return rate.run(session, live, soak=soak)


def _soak(options: argparse.Namespace, live: Live) -> Answer:
    if options.seconds is None:
        options.seconds = SOAK_SECONDS
    return _rate(options, live, soak=True)


def _sweep(options: argparse.Namespace, live: Live) -> Answer:
    scenario = _scenario(options)
    with opened(scenario, [options.server], flags=options.flag, pid=options.pid, echo=False) as session:
        return sweep.run(session, live, options.longest)


def _compare(options: argparse.Namespace, live: Live) -> Answer:
    scenario = _scenario(options)
    with opened(scenario, [options.first, options.server], flags=options.flag, echo=False) as session:
        return compare.run(session, live, options.pairs)


def _ceiling(options: argparse.Namespace, live: Live) -> Answer:
    return ceiling.run(_scenario(options), live)


def _picture(options: argparse.Namespace, live: Live) -> Answer:
    scenarios = [_changed(load(name), options) for name in options.scenario or picture.SCENARIOS]
    return picture.run(scenarios, live, options.server, options.flag)


_MODES: dict[str, Callable[[argparse.Namespace, Live], Answer]] = {
    "rate": _rate,
    "sweep": _sweep,
    "soak": _soak,
    "compare": _compare,
    "ceiling": _ceiling,
    "picture": _picture,
}


def _scenario(options: argparse.Namespace) -> Scenario:
    scenario = load(options.scenario)
    if options.mode in _PARTS:
        seconds, warm_up = _PARTS[options.mode]
        scenario = replace(scenario, run=replace(scenario.run, seconds=seconds, warm_up=warm_up))
    return _changed(scenario, options)


def _changed(scenario: Scenario, options: argparse.Namespace) -> Scenario:
    """The scenario with what the command line says otherwise."""
    run = {name: getattr(options, name) for name in _RUN if getattr(options, name) is not None}
    wrong = [name for name, value in run.items() if value < 0 or (value == 0 and name not in ("warm_up", "seed"))]
    if wrong:
        raise LoadtestError(f"{', '.join(wrong)} must be above 0")
    arrivals = Arrivals(options.arrivals) if options.arrivals else scenario.arrivals
    return replace(scenario, arrivals=arrivals, run=replace(scenario.run, **run))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = parser.add_subparsers(dest="mode", required=True, metavar="MODE")
    known = f"one of {', '.join(names())}, or a .toml file"
    for mode in _MODES:
        command = modes.add_parser(mode)
        if mode == "picture":
            command.add_argument("scenario", nargs="*", help=f"{known}; by default {', '.join(picture.SCENARIOS)}")
        else:
            default = "small" if mode == "ceiling" else "typical"
            command.add_argument("scenario", nargs="?", default=default, help=f"{known}; by default {default}")
        command.add_argument("--arrivals", choices=KINDS, help="how requests arrive, instead of the scenario's way")
        for name, kind in _RUN.items():
            command.add_argument(f"--{name.replace('_', '-')}", type=kind, help="instead of the scenario's")
        command.add_argument(
            "--out", type=Path, default=Path("build/loadtest"), help="folder for the JSON and the page"
        )
        if mode != "ceiling":
            what = "this tree (.), host:port on this machine, a folder with the sources, or a commit"
            command.add_argument("--server", default=".", metavar="WHAT", help=f"{what}; by default this tree")
            command.add_argument("--flag", action="append", default=[], help="a flag for servers started here")
        if mode in ("rate", "soak", "sweep"):
            command.add_argument("--pid", type=int, help="the process of a server that was not started here")
        if mode in ("rate", "soak"):
            command.add_argument("--no-echo", dest="echo", action="store_false", help="leave the echo out")
        if mode == "sweep":
            command.add_argument("--longest", type=float, default=sweep.LONGEST, help="seconds for the search")
        if mode == "compare":
            command.add_argument("--with", dest="first", required=True, metavar="WHAT", help="what to compare with")
            command.add_argument("--pairs", type=int, default=compare.PAIRS, help="how often each is measured")
    return parser


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)  # through every `finally`, so that all is stopped
