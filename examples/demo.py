"""`make demo`: recorded requests from three real corpora go to a real server; what changed, and what it cost.

Ends with exit code 0 after a full run, 1 when the server failed, 130 after Ctrl-C; the server is stopped in every case.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from types import FrameType

from examples import exposure, slates
from examples.catalog import Corpus
from examples.display import Progress, Screen
from examples.results import CLOCK_HEADER, HEADER, Clock, Results
from examples.server_process import ROOT, ServerFailed, running_server
from reranker.client import Client
from reranker.errors import RerankerError
from reranker.v1.request_log_pb2 import RequestLog
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse

TIMED = 200  # requests a policy, at least, where there are as many
DEADLINE = 5.0  # seconds: generous, because a slow machine should show its latency and not an error


@dataclass(frozen=True)
class Run:
    """One policy on one corpus: which kinds of request, which attributes are sent, and which one is shown."""

    policy: str
    corpus: str
    kinds: tuple[str, ...]
    attributes: tuple[str, ...]
    says: str
    most: int | None = None  # requests of each kind

    @property
    def shown(self) -> str:
        """The attribute in the tables."""
        return self.attributes[0]


RUNS = (
    Run(
        "skin-tone-range",
        "shades",
        ("text_search", "more_like_this", "dense_search"),
        ("skin_tone",),
        "every skin-tone range in the first ten, otherwise the upstream order",
    ),
    Run(
        "inclusive-search",
        "shades",
        ("text_search", "dense_search"),
        ("skin_tone",),
        "the same with shares at every prefix, varied by a DPP, and a guard on relevance",
        most=200,
    ),
    Run(
        "occupation-balance",
        "occupations",
        ("serp", "title_search"),
        ("gender",),
        "women and men each fill two slots in five, at every prefix",
    ),
    Run(
        "home-mix",
        "books",
        ("user_home",),
        ("popularity_tier", "creator"),
        "bestsellers, middle and long tail; at most two books by one author",
    ),
)

# One request of each corpus, printed in full.
SHOWN = (
    ("skin-tone-range", "d-lex-0"),
    ("occupation-balance", "serp-software_developer"),
    ("home-mix", "d-home-49338"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns its exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--limit", type=int, default=None, metavar="N", help="at most N requests of each kind")
    options = parser.parse_args(arguments)
    screen = Screen()
    signal.signal(signal.SIGTERM, _leave)
    try:
        demonstrate(screen, options.limit)
    except KeyboardInterrupt:
        screen.line("\ninterrupted; the server is stopped")
        return 130
    except (RerankerError, ServerFailed) as error:
        screen.line(f"\n{error}")
        return 1
    return 0


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)  # through every `finally`, so that the server is stopped


def demonstrate(screen: Screen, limit: int | None) -> None:
    """The whole demo on one screen."""
    corpora = {name: Corpus(name) for name in dict.fromkeys(run.corpus for run in RUNS)}
    work = [(run, record) for run in RUNS for record in chosen(run, corpora[run.corpus], limit)]
    introduce(screen, corpora, len(work))
    screen.line("starting python server.py --policies policies; its very first start compiles the kernels …")
    started = time.monotonic()
    with running_server(ROOT / "policies") as address, Client(address, deadline=DEADLINE, on_error="raise") as client:
        screen.line(f"it serves on {address} after {time.monotonic() - started:.1f} seconds")
        for policy, request_id in SHOWN:
            show(screen, client, corpora, policy, request_id)
        results, clocks = send_all(screen, client, corpora, work)
        report(screen, results, clocks)
        exposure.show(screen, client, corpora["shades"], exposure.REQUESTS if limit is None else 10 * limit)
    screen.line()
    screen.line("the server is stopped")
    what_next(screen)


def chosen(run: Run, corpus: Corpus, limit: int | None) -> list[RequestLog]:
    """The recorded requests of a run, kind by kind."""
    records = list(corpus.records(*run.kinds))
    most = min((count for count in (run.most, limit) if count is not None), default=None)
    return [record for kind in run.kinds for record in islice((r for r in records if r.metadata.kind == kind), most)]


def introduce(screen: Screen, corpora: dict[str, Corpus], requests: int) -> None:
    """What this is and what is about to happen."""
    items = sum(len(corpus.ids) for corpus in corpora.values())
    screen.heading("diversity-reranker: the last stage of a search or recommendation pipeline")
    screen.paragraph(
        f"{requests:,} recorded requests over {items:,} real items (foundation shades, image-search results, books) go "
        "over gRPC to a server that runs beside this demo. Each carries 26 to 1,000 candidates with the scores of a "
        "plain ranker, embeddings and attributes, and asks for ten items. Policies say what a page should be; the "
        "answer says what was done, what it cost and what the candidates did not allow. A shade's skin tone is the "
        "tone the product is sold for, measured from its swatch; a picture's gender is what crowd workers saw in 2013."
    )
    screen.line()


def ask(
    client: Client, run: Run, full: RerankRequest, *, measures: bool = False, explain: bool = False
) -> RerankResponse:
    """One request through the client that pipelines import."""
    slate = client.rerank(
        full.candidates,
        full.slate_size,
        run.policy,
        measures=measures,
        explain=explain,
        context=full.context,
        request_id=full.request_id,
    )
    assert slate.response is not None  # a client that raises gives nothing else
    return slate.response


def show(screen: Screen, client: Client, corpora: dict[str, Corpus], policy: str, request_id: str) -> None:
    """One slate before and after."""
    run = next(run for run in RUNS if run.policy == policy)
    corpus = corpora[run.corpus]
    record = next(record for record in corpus.records() if record.request.request_id == request_id)
    full = corpus.joined(record.request, *run.attributes)
    answer = ask(client, run, full, explain=True)
    asked = corpus.query(request_id) or "home page of one reader"
    screen.heading(f"{run.corpus}, {record.metadata.kind}: “{asked}”")
    screen.line(f"policy {run.policy}: {run.says}")
    screen.line()
    slates.show(screen, corpus, full, answer, run.shown)
    slates.explain(screen, answer)


def send_all(
    screen: Screen, client: Client, corpora: dict[str, Corpus], work: Sequence[tuple[Run, RequestLog]]
) -> tuple[list[Results], list[Clock]]:
    """Send every request asking for measures, and some hundreds a policy as a pipeline would, on the clock."""
    screen.heading("All requests")
    progress = Progress(screen, len(work))
    results, clocks = [], []
    for run, of_run in groupby(work, key=lambda entry: entry[0]):
        records = [record for _, record in of_run]
        step = max(1, len(records) // TIMED)
        clocks.append(Clock(run.policy))
        for kind, of_kind in groupby(enumerate(records), key=lambda entry: entry[1].metadata.kind):
            results.append(Results(run.policy, f"{run.corpus} {kind}", run.shown))
            for number, record in of_kind:
                full = corpora[run.corpus].joined(record.request, *run.attributes)
                if number % step == 0:
                    started = time.perf_counter()
                    ask(client, run, full)
                    clocks[-1].add(time.perf_counter() - started, full)
                results[-1].add(ask(client, run, full, measures=True))
                progress.step(f"{run.policy}, {kind}")
    progress.finish()
    return results, clocks


def report(screen: Screen, results: Sequence[Results], clocks: Sequence[Clock]) -> None:
    """The two tables."""
    rows = []
    for policy, of_policy in groupby(results, key=lambda result: result.policy):
        kinds = list(of_policy)
        rows.append([f"{policy}: {kinds[0].attribute}", *[""] * (len(HEADER) - 1)])
        rows.extend(result.row() for result in kinds)
    screen.table(HEADER, rows)
    screen.line()
    screen.paragraph(
        "before, after: DIV@10, the share of requests whose ten items hold every group; ceiling: the same if all "
        "candidates were shown, the best that any order can reach. kept: mean share of the score mass of upstream's "
        "ten. distance: mean 1 - cosine within the ten, before → after. met: every hard bound holds; short: one is "
        "broken, only for want of candidates (the rest, if any, was relaxed)."
    )
    screen.heading("What the client waited")
    screen.table(CLOCK_HEADER, [clock.row() for clock in clocks])
    screen.line()
    screen.paragraph(
        "From the call to the decoded answer, one request after the other, client and server on this machine, "
        "embeddings inline as float16. Server and client share the machine's cores."
    )


def what_next(screen: Screen) -> None:
    """Where to go from here."""
    screen.heading("What next")
    screen.line("  make test                 the whole suite; needs no root, no Docker, no Redis")
    screen.line("  make serve                the same server on 127.0.0.1:50051, metrics on 127.0.0.1:9090/metrics")
    screen.line("  make replay               searches through two policies: a verdict in words and a report")
    screen.line("  policies/                 the policies above and more; change a number and run this again")
    screen.line("  README.md                 the same in twenty lines of Python")


if __name__ == "__main__":
    sys.exit(main())
