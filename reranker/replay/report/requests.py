"""The requests that change most, each to be opened, with both slates side by side."""

from __future__ import annotations

from reranker.replay.browser import Changed, Item, Side
from reranker.replay.report.html import Html, join, table, tag
from reranker.slate import SlateStatus

_STATUSES = {
    SlateStatus.SATISFIED: "No hard bound is broken.",
    SlateStatus.SUPPLY_LIMITED: "Hard bounds are broken for want of candidates alone.",
    SlateStatus.RELAXED_MINIMAL: "Hard bounds fought each other; as little as possible is broken.",
    SlateStatus.RELAXED_BEST_EFFORT: "Hard bounds fought each other; no slate that breaks less was found.",
    SlateStatus.STRICT_UPSTREAM: "Hard bounds cannot all hold, so the upstream order was kept.",
    SlateStatus.NOT_TRIGGERED: "The policy was not applied: this is the upstream order.",
}


def browser(changed: list[Changed], baseline: str, candidate: str) -> Html:
    """All of them, closed, to be searched by whatever is said in them."""
    return join(_request(place, each, baseline, candidate) for place, each in enumerate(changed, start=1))


def _request(place: int, each: Changed, baseline: str, candidate: str) -> Html:
    asked = each.query or each.name or f"request {place}"
    kept = sum(item.stays for item in each.candidate.items)
    about = f"{each.kind or each.surface or 'request'}, {each.candidates:,} candidates, "
    about += f"{kept} of {len(each.candidate.items)} items in both slates"
    sides = [
        tag("div", tag("h3", label), _side(side), class_="side", role="group", aria_label=label)
        for label, side in ((baseline, each.baseline), (candidate, each.candidate))
    ]
    words = [asked, each.name, each.kind, each.surface]
    for item in (*each.baseline.items, *each.candidate.items):
        words += [item.title, item.id, *item.values.values()]
    title = join([tag("strong", asked), tag("span", about, class_="muted")], " ")
    return tag(
        "details",
        tag("summary", title),
        tag("div", *sides, class_="sides"),
        id=f"request-{place}",
        data_find=" ".join(dict.fromkeys(words)).lower(),
    )


def _side(side: Side) -> Html:
    rows = [(_item(item), {"class": "stays" if item.stays else "alone"}) for item in side.items]
    status = _STATUSES.get(SlateStatus(side.status), side.status)
    said = [tag("p", text, class_="status") for text in (status, *side.broken)]
    return join([table(("slot", "item", "upstream rank"), rows, caption="Slots in order", words=2), *said])


def _item(item: Item) -> tuple[Html | str, ...]:
    mark = "" if item.stays else tag("span", "only here", class_="only")
    title = tag("div", tag("span", item.title or item.id, class_="title"), " ", mark)
    values = [tag("span", f"{name} ", tag("b", value or "–")) for name, value in item.values.items()]
    # The columns beside it say slot and rank already.
    why = item.why.removeprefix(f"upstream rank {item.rank}, slot {item.slot}: ")
    shown = join([title, tag("div", *values, class_="values") if values else "", tag("small", why) if why else ""])
    return (str(item.slot), shown, str(item.rank))
