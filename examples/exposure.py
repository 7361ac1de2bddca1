"""The part of the demo that is about many requests: how shares of attention come to their targets, as a chart."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import log2

from examples.catalog import Corpus
from examples.display import Progress, Screen
from examples.server_process import ROOT
from examples.slates import upstream_order
from reranker.client import Client
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse

POLICY, KIND, ATTRIBUTE = "tone-exposure", "text_search", "skin_tone"
REQUESTS = 900
_A_SECOND = 150  # requests: the server looks at its ledger once a second, and traffic comes spread over a day
_WIDTH = 60  # columns of the chart
_STEP = 0.03  # share of exposure that one of its rows stands for
_STYLES = ("yellow", "cyan", "green", "bold")
_AFTER_THE_FIRST = 1 / 6  # of the requests: by then the ledger has been read


@dataclass
class Attention:
    """Attention by value, request by request; slot j counts 1 / log2(j + 1)."""

    values: Sequence[str]
    given: list[dict[str, float]] = field(default_factory=list)

    def add(self, slots: Sequence[str]) -> None:
        """Count one page: the value in each slot, empty where it is unknown."""
        given = dict.fromkeys(self.values, 0.0)
        for slot, value in enumerate(slots, start=1):
            if value in given:
                given[value] += 1.0 / log2(slot + 1)
        self.given.append(given)

    def shares(self, requests: int | None = None) -> dict[str, float]:
        """Each value's share of the attention that the first so many requests gave, or all."""
        sums = {value: sum(given[value] for given in self.given[:requests]) for value in self.values}
        total = sum(sums.values()) or 1.0
        return {value: part / total for value, part in sums.items()}


def show(screen: Screen, client: Client, corpus: Corpus, most: int = REQUESTS) -> None:
    """Send requests at a steady pace and draw what became of exposure."""
    target: Mapping[str, float] = tomllib.loads((ROOT / "policies" / f"{POLICY}.toml").read_text())["exposure"][0][
        "target"
    ]
    records = list(islice(corpus.records(KIND), most))
    upstream, served = Attention(list(target)), Attention(list(target))
    screen.heading(f"Exposure across requests: {len(records):,} searches, policy {POLICY}")
    progress = Progress(screen, len(records))
    started, kept = time.monotonic(), []
    for number, record in enumerate(records):
        full = corpus.joined(record.request, ATTRIBUTE, embeddings=False)
        answer = _ask(client, full)
        order = upstream_order(full)[: len(answer.positions)]
        upstream.add(_values(corpus, full, order))
        served.add(_values(corpus, full, answer.positions))
        kept.append(answer.relevance_retained if answer.HasField("relevance_retained") else 1.0)
        progress.step("exposure across requests")
        time.sleep(max(0.0, started + (number + 1) / _A_SECOND - time.monotonic()))
    progress.finish()
    draw(screen, served, target)
    screen.line()
    columns = upstream.shares(), served.shares(), target
    rows = [[value, *(f"{100 * shares[value]:.1f}" for shares in columns)] for value in target]
    screen.table([ATTRIBUTE.replace("_", " "), "upstream", "served", "target"], rows)
    screen.line()
    after = kept[int(len(kept) * _AFTER_THE_FIRST) :] or [1.0]
    screen.paragraph(
        "Shares of attention, in percent; slot j of a page gets 1 / log2(j + 1) of it. At first nothing is known of "
        "earlier requests, and the target is a quota on each page. Then the ledger is read once a second, and items of "
        f"each tone get a price: {100 * sum(after) / len(after):.1f} % of upstream's relevance is kept from there on."
    )


def draw(screen: Screen, served: Attention, target: Mapping[str, float]) -> None:
    """Shares so far, a letter a value and a column a stretch of requests; dots are the targets."""
    count = len(served.given)
    columns = min(_WIDTH, count)
    series = [served.shares(max(1, (at + 1) * count // columns)) for at in range(columns)]
    top = max(max(point.values()) for point in [*series, target])
    for row in range(round(top / _STEP), -1, -1):
        cells = []
        for point in series:
            here = [value for value in target if round(point[value] / _STEP) == row]
            aimed = any(round(share / _STEP) == row for share in target.values())
            cells.append(_mark(screen, here[0], target) if here else screen.paint("·", "dim") if aimed else " ")
        named = [f"{value} {100 * share:.0f}" for value, share in target.items() if round(share / _STEP) == row]
        screen.line(
            f"{100 * row * _STEP:>4.0f} % {screen.paint('│', 'dim')}{''.join(cells)} {', '.join(named)}".rstrip()
        )
    screen.line(screen.paint(f"{'':>7}└{'─' * columns}", "dim"))
    screen.line(screen.paint(f"{'':>8}1{f'{count:,} requests':>{columns - 1}}", "dim"))


def _mark(screen: Screen, value: str, target: Mapping[str, float]) -> str:
    return screen.paint(value[0], _STYLES[list(target).index(value) % len(_STYLES)])


def _ask(client: Client, full: RerankRequest) -> RerankResponse:
    slate = client.rerank(
        full.candidates, full.slate_size, POLICY, context=full.context, request_id=f"exposure-{full.request_id}"
    )
    assert slate.response is not None  # a client that raises gives nothing else
    return slate.response


def _values(corpus: Corpus, full: RerankRequest, positions: Sequence[int]) -> list[str]:
    rows = corpus.rows(full)
    column = corpus.attributes[ATTRIBUTE]
    return [next(iter(column.of(rows[position])), "") for position in positions]
