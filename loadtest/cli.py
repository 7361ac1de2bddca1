"""The command line.

    python -m loadtest rate typical --rate 200          one rate, beside an echo of the same bytes
    python -m loadtest sweep typical                    to the knee: the highest rate that meets the SLO
    python -m loadtest soak mixed --seconds 3600        one rate for long: growth and drift
    python -m loadtest compare typical --with HEAD~1    another server or commit first, then this tree, in turn
    python -m loadtest ceiling                          the generator alone: what one process can drive
    python -m loadtest overload heavy                   several times the peak: goodput, refusals, health
    python -m loadtest scaling small                    two workers beside one: CPU a request, share of each
    python -m loadtest picture                          knee, latency, cost and stages for several sizes

Ends with 0 when every promise is met, 1 when one is missed, 2 when a scenario or a flag is wrong, 3 when the generator
was saturated, so that the figures say nothing about the server, 4 when a server, a client process or the load test
itself failed, 5 when the figures do not decide it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from examples.display import Screen
from examples.server_process import ServerFailed
from loadtest.arrivals import KINDS, Arrivals
from loadtest.errors import GeneratorFailed, LoadtestError
from loadtest.modes import capacity, ceiling, compare, overload, picture, rate, scaling, sweep
from loadtest.modes.session import opened
from loadtest.modes.verdict import IN_WORDS, Verdict
from loadtest.output import document as documents
from loadtest.output import markdown, page, report
from loadtest.output.folder import check_folder, keep_earlier
from loadtest.output.live import Live
from loadtest.results.latencies import check_installed
from loadtest.servers.affinity import staying_on, two_cores
from loadtest.workload.limits import LONGEST_SECONDS
from loadtest.workload.scenario import Scenario, check, load, names

FAILED = 4
PIPE_CLOSED = 128 + int(signal.SIGPIPE)
DEBUG = "LOADTEST_DEBUG"
"""Set in the environment, it adds the traceback of what went wrong unexpectedly."""

SOAK_SECONDS = 600.0
_RUN = {"rate": float, "seconds": float, "warm_up": float, "deadline_ms": float, "processes": int, "connections": int}
_RUN["seed"] = int
_PARTS = {
    "sweep": (sweep.STEP_SECONDS, sweep.STEP_WARM_UP),
    "compare": (compare.BLOCK_SECONDS, compare.BLOCK_WARM_UP),
    "ceiling": (ceiling.STEP_SECONDS, ceiling.STEP_WARM_UP),
}
"""Seconds and warm-up of modes that consist of many short runs."""

Answer = tuple[dict[str, Any], Verdict]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a mode; returns the exit code. Nothing that goes wrong here ends with that of a missed promise."""
    options = _parser().parse_args(arguments)
    with _stopped_by_signals():
        try:
            return _run(options, Screen())
        except KeyboardInterrupt:
            return _said("interrupted; everything that was started is stopped", 128 + int(signal.SIGINT))
        except LoadtestError as error:
            return _said(str(error), 2)
        except (ServerFailed, GeneratorFailed) as error:
            return _said(str(error), FAILED)
        except BrokenPipeError:
            _forget_output()
            return PIPE_CLOSED
        except Exception as error:
            if os.environ.get(DEBUG):
                traceback.print_exc()
            return _said(f"failed unexpectedly: {type(error).__name__}: {error} ({DEBUG}=1 shows where)", FAILED)


def _run(options: argparse.Namespace, screen: Screen) -> int:
    check_installed()
    check_folder(options.out)
    document, verdict = _MODES[options.mode](options, Live(screen))
    document["verdict"] = IN_WORDS[verdict]
    report.show(screen, document)
    stem = f"{document['mode']}-{document['scenario']['name']}" if options.mode != "picture" else "picture"
    kept = keep_earlier(options.out, stem)
    documents.write(document, options.out / f"{stem}.json")
    page.write(document, options.out / f"{stem}.html")
    if "picture" in document:
        documents.write_text(options.out / f"{stem}.md", markdown.picture(document))
    screen.line(f"\nverdict: {document['verdict']}")
    screen.line(f"written: {options.out / stem}.json and {options.out / stem}.html")
    if kept:
        screen.line(f"the earlier ones are {options.out / kept}.*")
    return int(verdict)


def _said(text: str, code: int) -> int:
    """One line on standard error, if anybody still reads it."""
    with suppress(OSError):
        print(f"loadtest: {text}", file=sys.stderr, flush=True)
    return code


def _forget_output() -> None:
    """Nobody reads it any more; without this the interpreter complains of that at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """The first signal to stop ends the test through every `finally`; further ones do not disturb that."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` wants it ignored
        numbers.append(signal.SIGHUP)

    def leave(number: int, _: FrameType | None) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _rate(options: argparse.Namespace, live: Live, soak: bool = False) -> Answer:
    scenario = _scenario(options)
    server, flags = [options.server], options.flag
    with opened(scenario, server, flags=flags, pid=options.pid, echo=options.echo, say=live.note) as session:
        if soak and options.of_peak is not None:
            found = capacity.measure(session, live)
            session = replace(session, trial=session.trial.at(rate=options.of_peak * found.peak))
        return rate.run(session, live, soak=soak)


def _soak(options: argparse.Namespace, live: Live) -> Answer:
    if options.seconds is None:
        options.seconds = SOAK_SECONDS
    return _rate(options, live, soak=True)


def _sweep(options: argparse.Namespace, live: Live) -> Answer:
    scenario = _scenario(options)
    if not 0 < options.longest <= LONGEST_SECONDS:
        raise LoadtestError(f"longest must be above 0 and at most {LONGEST_SECONDS:,.0f}")
    server, flags = [options.server], options.flag
    with opened(scenario, server, flags=flags, pid=options.pid, echo=False, say=live.note) as session:
        return sweep.run(session, live, options.longest)


def _compare(options: argparse.Namespace, live: Live) -> Answer:
    scenario = _scenario(options)
    compare.check_pairs(options.pairs)
    servers = [options.first, options.server]
    with opened(scenario, servers, flags=options.flag, echo=False, say=live.note) as session:
        return compare.run(session, live, options.pairs)


def _ceiling(options: argparse.Namespace, live: Live) -> Answer:
    return ceiling.run(_scenario(options), live)


def _overload(options: argparse.Namespace, live: Live) -> Answer:
    cores = two_cores()
    if cores is None:
        live.note("there is one core alone: server and clients share it")
    with (
        opened(
            _scenario(options), [options.server], flags=options.flag, echo=False, cores=cores, say=live.note
        ) as session,
        staying_on(cores[1] if cores else None),
    ):
        return overload.run(session, live, cores[1] if cores else None)


def _scaling(options: argparse.Namespace, live: Live) -> Answer:
    return scaling.run(_scenario(options), live, options.server, options.flag)


def _picture(options: argparse.Namespace, live: Live) -> Answer:
    scenarios = [_changed(load(name), options) for name in options.scenario or picture.SCENARIOS]
    return picture.run(scenarios, live, options.server, options.flag)


_MODES: dict[str, Callable[[argparse.Namespace, Live], Answer]] = {
    "rate": _rate,
    "sweep": _sweep,
    "soak": _soak,
    "compare": _compare,
    "ceiling": _ceiling,
    "overload": _overload,
    "scaling": _scaling,
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
    arrivals = Arrivals(options.arrivals) if options.arrivals else scenario.arrivals
    changed = replace(scenario, arrivals=arrivals, run=replace(scenario.run, **run))
    check(changed)
    return changed


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1")
    return value


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
            default = "small" if mode in ("ceiling", "overload", "scaling") else "typical"
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
        if mode == "soak":
            text = "measure the most answers in time first, and ask for this share of it instead of the scenario's rate"
            command.add_argument("--of-peak", type=_share, metavar="0.7", help=text)
        if mode == "sweep":
            command.add_argument("--longest", type=float, default=sweep.LONGEST, help="seconds for the search")
        if mode == "compare":
            command.add_argument("--with", dest="first", required=True, metavar="WHAT", help="what to compare with")
            command.add_argument("--pairs", type=int, default=compare.PAIRS, help="how often each is measured")
    return parser
