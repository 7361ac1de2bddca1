"""`reranker replay --against`: the flags that name servers, and the calls to them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from reranker.cli.progress import Progress
from reranker.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from reranker.client import Client
    from reranker.replay.plan import Plan, Timing
    from reranker.replay.shards import RunFolder
    from reranker.replay.survey import Traffic
    from reranker.signals import Catalog

SERVED = "served"
_DEFAULTS = {"time_factor": 1.0, "deadline": 0.25, "in_flight": 64}


def add_live_flags(parser: argparse.ArgumentParser) -> None:
    """What `replay` takes for servers."""
    parser.add_argument("--against", metavar="SERVERS", help="let these servers make the slates: HOST:PORT,HOST:PORT")
    parser.add_argument(
        "--time-factor", type=float, metavar="N", help="times as fast as the requests were recorded (default 1)"
    )
    parser.add_argument("--rate", type=float, metavar="N", help="requests a second, whatever times were recorded")
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help="of each call (default 0.25)")
    parser.add_argument(
        "--in-flight", type=int, metavar="N", help="calls under way at once; one more is sent late (default 64)"
    )
    parser.add_argument("--token-file", metavar="FILE", help="the bearer token for these servers")
    parser.add_argument("--ca", metavar="FILE", help="authorities to trust, as PEM: the servers speak TLS")


def check_live_flags(options: argparse.Namespace) -> None:
    """Raises `InvalidInput` naming every flag whose number is none, or that goes with --against alone."""
    found = []
    for name in ("time_factor", "rate", "deadline", "in_flight", "token_file", "ca"):
        value, flag = getattr(options, name), f"--{name.replace('_', '-')}"
        if value is None:
            continue
        if not options.against:
            found.append(Violation(flag, "goes with --against, which names servers"))
        elif not isinstance(value, str) and not 0 < value < float("inf"):
            found.append(Violation(flag, "must be more than 0"))
    if options.against and options.engine != "local":
        found.append(Violation("--engine", "makes slates itself: leave it out with --against"))
    if options.rate is not None and options.time_factor is not None:
        found.append(Violation("--rate", "leaves no times for --time-factor: give one of them"))
    if found:
        raise InvalidInput(found)


def timing_of(options: argparse.Namespace) -> Timing | None:
    """When servers are to be asked; None where slates are made here."""
    from reranker.replay.plan import Timing

    if not options.against:
        return None
    given = {name: getattr(options, name) for name in _DEFAULTS if getattr(options, name) is not None}
    spent = {**_DEFAULTS, **given}
    return Timing(spent["time_factor"], options.rate, spent["deadline"], int(spent["in_flight"]))


def ask_servers(
    options: argparse.Namespace, plan: Plan, traffic: Traffic, folder: RunFolder, catalog: Catalog | None
) -> None:
    """Ask what is not answered yet and keep the answers in the run's folder. Raises as `live.send`."""
    from reranker.replay.live import send
    from reranker.replay.runner import SHARD, manifest_of
    from reranker.replay.survey import Survey

    survey = Survey.of(traffic)
    folder.begin(manifest_of(plan, catalog, survey, traffic), fresh=options.fresh)
    progress = Progress("requests sent")
    try:
        send(
            plan,
            traffic,
            folder,
            lambda server: _client(server, options),
            records=survey.records,
            size=SHARD,
            progress=progress,
        )
    finally:
        progress.close()


def what_was_sent(plan: Plan, folder: RunFolder) -> list[str]:
    """How the calls went, for the reader of a verdict; nothing where there were none."""
    if plan.timing is None:
        return []
    from reranker.replay.live import Sent

    return Sent.of(folder).sentences()


def _client(server: str, options: argparse.Namespace) -> Client:
    from reranker.client import Client, Tls

    try:
        token = None if options.token_file is None else Path(options.token_file).read_text(encoding="utf-8").strip()
        tls = None if options.ca is None else Tls(authorities=options.ca)
        deadline = _DEFAULTS["deadline"] if options.deadline is None else options.deadline
        return Client(server, deadline=deadline, on_error="raise", tls=tls, token=token)
    except OSError as error:
        raise InvalidInput([Violation("--token-file, --ca", f"cannot be read: {error.strerror}")]) from None
    except ValueError as error:
        raise InvalidInput([Violation("--against", f"{server}: {error}")]) from None
