"""Two orders side by side: what upstream would have shown and what the re-ranked slate shows."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from examples.catalog import Corpus
from examples.display import WIDTH, Screen, fit
from examples.results import percent
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse
from reranker.v1.slate_pb2 import SlateStatus

_TITLE, _VALUE, _MARK = 33, 7, 4


def upstream_order(request: RerankRequest) -> list[int]:
    """Positions by score descending, ties by input position."""
    scores = list(request.candidates.scores)
    return sorted(range(len(scores)), key=lambda position: -scores[position])


def show(screen: Screen, corpus: Corpus, request: RerankRequest, answer: RerankResponse, attribute: str) -> None:
    """Print the top of upstream's list beside the slate, with the attribute's values and where each item came from.

    On the right, `+29` is an item lifted by 29 ranks from beyond the page, `new` marks it without colour too; on the
    left, `out` is an item that made room.
    """
    slots = len(answer.positions)
    order = upstream_order(request)
    before, after = order[:slots], list(answer.positions)
    rank = {position: index for index, position in enumerate(order)}
    column = corpus.attributes[attribute]
    rows = corpus.rows(request)

    def cell(position: int, mark: str, *styles: str) -> str:
        title = fit(" ".join(corpus.titles[rows[position]].split()), _TITLE)
        value = fit("/".join(column.of(rows[position])) or "unknown", _VALUE)
        return screen.paint(f"{title} {value} {mark:>{_MARK}}", *styles)

    screen.line(screen.paint(f"    {fit('upstream order', _TITLE + _VALUE + _MARK + 2)}   re-ranked slate", "dim"))
    for slot in range(slots):
        leaves = before[slot] not in after
        arrives = after[slot] not in before
        left = cell(before[slot], "out" if leaves else "", *(["dim"] if leaves else []))
        lifted = rank[after[slot]] - slot
        right = cell(after[slot], f"+{lifted}" if arrives else "", *(["green", "bold"] if arrives else []))
        screen.line(f"{slot + 1:>3} {left} {screen.paint('│', 'dim')} {right}".rstrip())
    left = fit(tally(column.values, [column.of(rows[position]) for position in before]), _TITLE + _VALUE + _MARK + 2)
    right = tally(column.values, [column.of(rows[position]) for position in after])
    screen.line(screen.paint(f"    {left}   {right}".rstrip(), "cyan"))


def explain(screen: Screen, answer: RerankResponse) -> None:
    """How the bounds fared, and the server's sentence for the pick that a bound moved furthest."""
    status = SlateStatus.Name(answer.status).removeprefix("SLATE_STATUS_")
    kept = (
        f", {percent(answer.relevance_retained)} of the relevance kept" if answer.HasField("relevance_retained") else ""
    )
    screen.line(f"    {screen.paint(status, 'bold')}{kept}")
    forced = [explanation for explanation in answer.explanations if explanation.forced_by]
    if forced:
        furthest = max(forced, key=lambda explanation: explanation.displacement)
        for line in textwrap.wrap(f"why: {furthest.text}", WIDTH - 4):
            screen.line(screen.paint(f"    {line}", "dim"))


def tally(values: Sequence[str], listed: Sequence[Sequence[str]]) -> str:
    """How often each value stands in a list, the most frequent ones when there are many."""
    counts = Counter(value for entry in listed for value in entry)
    unknown = sum(not entry for entry in listed)
    shown = list(values) if len(values) <= 4 else [value for value, _ in counts.most_common(3)]
    parts = [f"{value} {counts[value]}" for value in shown]
    return " · ".join([*parts, *([f"unknown {unknown}"] if unknown else [])])
