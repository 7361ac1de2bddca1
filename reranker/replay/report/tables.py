"""The tables of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reranker.replay.accounts import Payer
from reranker.replay.browser import Changed, Item, Side
from reranker.replay.comparison import Comparison
from reranker.replay.contrasts import Contrast
from reranker.replay.frontier import Point
from reranker.replay.gates import Outcome
from reranker.replay.measured import UNKNOWN
from reranker.replay.report.html import Html, Part, between, join, number, table, tag
from reranker.replay.words import MEANINGS

Row = tuple[Sequence[Part], dict[str, str]]

_MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INSUFFICIENT: "?"}


def badge(outcome: Outcome) -> Html:
    """The outcome as a word with a mark; colour says nothing that the word does not."""
    return tag("span", f"{_MARKS[outcome]} {outcome.value}", class_=f"badge {outcome.name.lower()}")


def gates(found: Comparison) -> Html:
    """Every check: failures first."""
    order = {Outcome.FAIL: 0, Outcome.INSUFFICIENT: 1, Outcome.PASS: 2}
    rows: list[Row] = []
    for check in sorted(found.checks, key=lambda check: order[check.outcome]):
        ends = between(check.measure, check.interval, signed=check.gate.is_of_change)
        cells = (check.text, badge(check.outcome), ends, f"{check.interval.requests:,}")
        rows.append((cells, {"data-find": f"{check.text} {check.outcome.value}".lower()}))
    return table(("gate", "outcome", "interval", "requests"), rows, caption="Gates", words=2)


def measures(found: Comparison) -> Html:
    """Every measure over all requests."""
    rows = [_measure_row(contrast, contrast.measure.attribute or "the slate") for contrast in found.overall]
    head = ("of", "measure", found.baseline, found.candidate, "change", "interval", "noise", "requests")
    return table(head, rows, caption="Measures over all requests", words=2)


def slices(found: Comparison) -> Html:
    """Headline measures in every slice, the smallest included."""
    small = {(part.dimension, part.value) for part in found.slices if part.is_small}
    rows: list[Row] = []
    for contrast in found.sliced:
        where = " = ".join(contrast.slice)
        rows.append(_measure_row(contrast, f"{where} (few requests)" if contrast.slice in small else where))
    head = ("slice", "measure", found.baseline, found.candidate, "change", "interval", "noise", "requests")
    return table(head, rows, caption="Measures by slice", words=2)


def _measure_row(contrast: Contrast, first: str) -> tuple[tuple[str, ...], dict[str, str]]:
    measure, meaning = contrast.measure, MEANINGS[contrast.measure.name]
    title = meaning.title + (f", {measure.attribute} = {measure.value}" if measure.value else "")
    if contrast.slice[0] and measure.attribute and not measure.value:
        title += f", {measure.attribute}"
    cells = (
        first,
        title,
        number(measure, contrast.baseline.mean),
        number(measure, contrast.candidate.mean),
        number(measure, contrast.change.mean, signed=True),
        between(measure, contrast.change, signed=True),
        number(measure, contrast.noise, signed=True).removeprefix("+"),
        f"{contrast.change.requests:,}",
    )
    return cells, {"data-find": f"{first} {title} {measure}".lower()}


def exposures(found: Comparison, attribute: str) -> Html:
    """The numbers behind the chart of one attribute's attention."""
    rows: list[Row] = []
    for contrast in found.overall:
        measure = contrast.measure
        if measure.name == "attention" and measure.attribute == attribute:
            sides = [
                f"{number(measure, side.mean)} ({between(measure, side)})"
                for side in (contrast.baseline, contrast.candidate)
            ]
            moved = contrast.change
            change = f"{number(measure, moved.mean, signed=True)} ({between(measure, moved, signed=True)})"
            rows.append(((measure.value, *sides, change, f"{contrast.change.requests:,}"), {}))
    head = (attribute, found.baseline, found.candidate, "change, points", "requests")
    return table(head, rows, caption=f"Share of the attention by {attribute}")


def groups(found: Comparison) -> Html:
    """Candidates, slots and the scores of who came and went, by group."""
    rows: list[Row] = []
    for each in found.groups:
        value = each.value if each.value != UNKNOWN else "(unknown)"
        cells = (
            f"{each.attribute} = {value}",
            f"{each.candidates:,}",
            f"{each.baseline_slots:,}",
            f"{each.candidate_slots:,}",
            f"{each.lifted:,}",
            _share(each.lifted_score),
            f"{each.dropped:,}",
            _share(each.dropped_score),
        )
        rows.append((cells, {"data-find": f"{each.attribute} {value}".lower()}))
    head = ("group", "candidates", f"slots, {found.baseline}", f"slots, {found.candidate}")
    more = ("lifted", "their relevance", "dropped", "their relevance")
    return table((*head, *more), rows, caption="Slots by group; lifted and dropped against upstream")


def payers(found: Comparison) -> Html:
    """Providers who lose and gain most."""
    parts = []
    for each in found.payers:
        said = f"{each.lose:,} values of {each.attribute} lose attention and {each.gain:,} gain it; "
        said += f"{_share(each.moved)} of it moves."
        parts.append(tag("p", said))
        for title, some in (("lose most", each.losers), ("gain most", each.gainers)):
            rows = [(_payer(payer), {"data-find": payer.value.lower()}) for payer in some]
            head = (each.attribute, found.baseline, found.candidate, "change", "requests")
            parts.append(table(head, rows, caption=f"{each.attribute}: who {title}, in attention over all requests"))
    return join(parts)


def _payer(payer: Payer) -> tuple[str, ...]:
    change = payer.candidate - payer.baseline
    return (payer.value, f"{payer.baseline:.2f}", f"{payer.candidate:.2f}", f"{change:+.2f}", f"{payer.requests:,}")


def bounds(found: Comparison) -> Html:
    """What became of every bound under both policies."""
    rows: list[Row] = []
    for label, deficits in found.deficits.items():
        for each in deficits:
            what = f"{each.attribute} {each.value} {each.bound.lower()}{' (soft)' if each.soft else ''}"
            broken = ", ".join(
                f"{reason} {n:,} (by {each.units[reason]:g})" for reason, n in sorted(each.broken.items())
            )
            suspended = ", ".join(f"{reason} {count:,}" for reason, count in sorted(each.suspended.items()))
            cells = (label, " ".join(what.split()), f"{each.met:,}", broken or "–", suspended or "–")
            rows.append((cells, {"data-find": f"{label} {what} {broken}".lower()}))
    head = ("policy", "bound", "requests in which it holds", "broken, by reason", "suspended")
    return table(head, rows, caption="Bounds", words=2)


def latencies(found: Comparison) -> Html:
    """Quantiles by policy."""
    rows: list[Row] = [
        ((label, *(f"{value:,.0f}" for value in quantiles.values())), {})
        for label, quantiles in found.latency.items()
        if quantiles
    ]
    names = next((tuple(quantiles) for quantiles in found.latency.values() if quantiles), ())
    return table(("policy", *names), rows, caption="Microseconds that the engine took for a request")


def points(some: list[Point]) -> Html:
    """The numbers behind the trade-off charts."""
    measures = list(dict.fromkeys(measure for point in some for measure in point.gains))
    rows: list[Row] = []
    for point in some:
        gains = [number(m, point.gains[m].mean) if m in point.gains else "–" for m in measures]
        rows.append(((point.label, f"{100 * point.cost.mean:.1f} %", *gains), {}))
    return table(("policy", "relevance kept", *map(str, measures)), rows, caption="The sweep")


def browser(changed: list[Changed], found: Comparison) -> Html:
    """The requests that change most, each to be opened, with both slates side by side."""
    parts = []
    for place, each in enumerate(changed, start=1):
        asked = each.query or each.name or f"request {place}"
        kind = each.kind or each.surface or "request"
        title = f"{asked} · {kind} · {each.candidates:,} candidates, {_share(each.overlap)} of the slates in common"
        sides = [
            tag("section", tag("h4", label), _side(side, each.baseline), class_="side", aria_label=label)
            for label, side in ((found.baseline, each.baseline), (found.candidate, each.candidate))
        ]
        words = [asked, each.name, each.kind, each.surface]
        for item in (*each.baseline.items, *each.candidate.items):
            words += [item.title, item.id, *item.values.values()]
        parts.append(
            tag(
                "details",
                tag("summary", title),
                tag("div", *sides, class_="sides"),
                id=f"request-{place}",
                data_find=" ".join(words).lower(),
            )
        )
    return join(parts)


def _side(side: Side, baseline: Side) -> Html:
    names = list(dict.fromkeys(name for item in (*side.items, *baseline.items) for name in item.values))
    rows = [(_item(item, names), {"class": "stays" if item.stays else "alone"}) for item in side.items]
    parts = [table(("slot", "item", *names, "rank"), rows, caption="Slots in order", words=2 + len(names))]
    parts += [tag("p", side.status, class_="status"), *(tag("p", reason, class_="status") for reason in side.broken)]
    return join(parts)


def _item(item: Item, names: list[str]) -> tuple[Html | str, ...]:
    mark = "" if item.stays else tag("span", "only here", class_="only")
    why = tag("small", item.why) if item.why else ""
    shown = join([tag("span", item.title or item.id, class_="title"), mark, why], " ")
    return (str(item.slot), shown, *(item.values.get(name, "") or "–" for name in names), str(item.rank))


def _share(value: float) -> str:
    return f"{100.0 * value:.1f} %" if math.isfinite(value) else "–"
