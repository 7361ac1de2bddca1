"""The tables of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reranker.replay.accounts import Payer, Price, SlotShares
from reranker.replay.comparison import Comparison
from reranker.replay.contrasts import Contrast
from reranker.replay.frontier import Point
from reranker.replay.gates import Outcome
from reranker.replay.measured import UNKNOWN
from reranker.replay.report.html import Html, Part, between, join, number, table, tag, typeset
from reranker.replay.words import MEANINGS
from reranker.slate import REASON_WORDS, BoundKind, OutcomeReason

Row = tuple[Sequence[Part], dict[str, str]]

_UNITS = "changes of shares are in points"
_BOUNDS = {
    BoundKind.LOWER: "at least",
    BoundKind.UPPER: "at most",
    BoundKind.WINDOW: "in any window",
    BoundKind.SIMILARITY: "near-duplicates",
}
_MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INSUFFICIENT: "?"}


def badge(outcome: Outcome) -> Html:
    """The outcome as a word with a mark; colour says nothing that the word does not."""
    return tag("span", f"{_MARKS[outcome]} {outcome.value}", class_=f"badge {outcome.name.lower()}")


def gates(found: Comparison) -> Html:
    """Every check: failures first."""
    order = {Outcome.FAIL: 0, Outcome.INSUFFICIENT: 1, Outcome.PASS: 2}
    rows: list[Row] = []
    for noise, check in sorted(found.every_check, key=lambda entry: order[entry[1].outcome]):
        said = f"{check.text}, with {noise}" if noise else check.text
        ends = between(check.measure, check.interval, signed=check.gate.is_of_change)
        cells = (typeset(said), badge(check.outcome), ends, f"{check.interval.requests:,}")
        rows.append((cells, {"data-find": f"{said} {check.outcome.value}".lower()}))
    return table(("gate", "outcome", "interval", "requests"), rows, caption="Every gate, failures first", words=2)


def measures(found: Comparison) -> Html:
    """Every measure over all requests."""
    rows = [_measure_row(contrast, contrast.measure.attribute or "the slate") for contrast in found.overall]
    head = ("of", "measure", found.baseline, found.candidate, "change", "interval", "noise", "requests")
    return table(head, rows, caption=f"Measures over all requests; {_UNITS}", words=2)


def slices(found: Comparison) -> Html:
    """Headline measures in every slice, the smallest included."""
    small = {(part.dimension, part.value) for part in found.slices if part.is_small}
    rows: list[Row] = []
    for contrast in found.sliced:
        where = " = ".join(contrast.slice)
        rows.append(_measure_row(contrast, f"{where} (few requests)" if contrast.slice in small else where))
    head = ("slice", "measure", found.baseline, found.candidate, "change", "interval", "noise", "requests")
    return table(head, rows, caption=f"Measures by slice; {_UNITS}", words=2)


def _measure_row(contrast: Contrast, first: str) -> tuple[tuple[str, ...], dict[str, str]]:
    measure, meaning = contrast.measure, MEANINGS[contrast.measure.name]
    of = f"{measure.attribute} = {measure.value}" if measure.value else measure.attribute
    if not contrast.slice[0]:
        of = measure.value  # the attribute stands in the first column
    title = f"{meaning.title}: {of}" if of else meaning.title
    cells = (
        first,
        title,
        number(measure, contrast.baseline.mean),
        number(measure, contrast.candidate.mean),
        number(measure, contrast.change.mean, signed=True),
        between(measure, contrast.change, signed=True),
        number(measure, contrast.noise).removesuffix(" %"),
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
            rows.append(((measure.value, *sides, change, f"{moved.requests:,}"), {}))
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
    more = ("lifted", "relevance of those", "dropped", "relevance of those")
    about = f"Slots by group; whom {found.candidate} lifts into the upstream top and drops from it"
    return table((*head, *more), rows, caption=f"{about}, and their relevance as a share of the best candidate's")


def payers(found: Comparison) -> Html:
    """Providers who lose and gain most."""
    parts = []
    for each in found.payers:
        said = f"By {each.attribute}: {each.lose:,} lose attention and {each.gain:,} gain; "
        parts.append(tag("p", said, f"{_share(each.moved)} of all attention goes to others."))
        both = []
        for title, some in (("lose", each.losers), ("gain", each.gainers)):
            rows = [(_payer(payer), {"data-find": payer.value.lower()}) for payer in some]
            head = (each.attribute, found.baseline, found.candidate, "change", "requests")
            both.append(table(head, rows, caption=f"{each.attribute}: who {title} most, attention over all requests"))
        parts.append(tag("div", *both, class_="pair"))
    return join(parts)


def _payer(payer: Payer) -> tuple[str, ...]:
    change = payer.candidate - payer.baseline
    both = (f"{payer.baseline:,.1f}", f"{payer.candidate:,.1f}", typeset(f"{change:+,.1f}"))
    return (payer.value, *both, f"{payer.requests:,}")


def bounds(found: Comparison) -> Html:
    """What became of every bound under both policies."""
    rows: list[Row] = []
    for label, deficits in found.deficits.items():
        for each in deficits:
            of = f"{each.attribute} = {each.value}" if each.value else each.attribute
            what = f"{of}, {_BOUNDS[BoundKind(each.bound)]}{' (soft)' if each.soft else ''}"
            broken = ", ".join(
                f"{reason}: {n:,} (short by {each.units[reason]:g} in all)" for reason, n in sorted(each.broken.items())
            )
            suspended = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(each.suspended.items()))
            cells = (label, what, broken or "–", suspended or "–", f"{each.met:,}")
            rows.append((cells, {"data-find": f"{label} {what} {broken}".lower()}))
    head = ("policy", "bound", "requests in which it is broken, by reason", "suspended", "requests in which it holds")
    shown = table(head, rows, caption="What became of every bound", words=4)
    every = [each for deficits in found.deficits.values() for each in deficits]
    reasons = sorted({reason for each in every for reason in (*each.broken, *each.suspended)})
    meant = [join([tag("dt", reason), tag("dd", REASON_WORDS[OutcomeReason(reason)])]) for reason in reasons]
    return join([shown, tag("dl", *meant)]) if meant else shown


def latencies(found: Comparison) -> Html:
    """Quantiles by policy."""
    rows: list[Row] = [
        ((label, *(f"{value:,.0f}" for value in quantiles.values())), {})
        for label, quantiles in found.latency.items()
        if quantiles
    ]
    names = next((tuple(quantiles) for quantiles in found.latency.values() if quantiles), ())
    return table(("policy", *names), rows, caption="Microseconds that the engine took for a request, quantiles")


def points(some: list[Point]) -> Html:
    """The numbers behind the trade-off charts."""
    measures = list(dict.fromkeys(measure for point in some for measure in point.gains))
    rows: list[Row] = []
    for point in some:
        gains = [number(m, point.gains[m].mean) if m in point.gains else "–" for m in measures]
        rows.append(((point.label, _share(point.cost.mean), *gains), {}))
    names = (f"{MEANINGS[m.name].title}{': ' if m.attribute else ''}{m.attribute}" for m in measures)
    return table(("policy", "relevance kept", *names), rows, caption="The sweep, and the policies themselves")


def slots(shares: SlotShares) -> Html:
    """The numbers behind the chart of who stands where."""
    rows: list[Row] = [
        ((label, str(slot), *map(_share, of_slot)), {})
        for label, slots in shares.shares.items()
        for slot, of_slot in enumerate(slots, start=1)
    ]
    names = (value if value != UNKNOWN else "(unknown)" for value in shares.values)
    return table(("policy", "slot", *names), rows, caption=f"Share of each {shares.attribute} in every slot")


def price(of: Price) -> Html:
    """The numbers behind the chart of the price."""
    causes = (
        ("quotas only", of.quotas_only),
        ("diversity only", of.diversity_only),
        ("both", of.both),
        ("both beyond the sum of each", of.interaction),
    )
    rows: list[Row] = [
        ((name, _share(each.mean), f"{_share(each.low)} to {_share(each.high)}", f"{each.requests:,}"), {})
        for name, each in causes
    ]
    return table(("cause", "relevance given away", "interval", "requests"), rows, caption="The price by its causes")


def _share(value: float) -> str:
    return typeset(f"{round(100.0 * value, 1) or 0.0:.1f} %") if math.isfinite(value) else "–"
