"""Small pieces of HTML. Whatever comes from data is escaped here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from re import compile as pattern

from reranker.replay.bootstrap import Interval
from reranker.replay.words import MEANINGS, Measure
from reranker.texts import harmless

_MINUS = pattern(r"(?<![\w\-–])-(?=[\d.])")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Part = Html | str | int | float


def text(part: Part) -> Html:
    """HTML as it is; anything else as text, without what would turn or hide the text around it."""
    return part if isinstance(part, Html) else Html(_quoted(str(part)))


def _quoted(said: str) -> str:
    return escape(harmless(said))


def join(parts: Iterable[Part], between: str = "") -> Html:
    """Parts one after the other."""
    return Html(between.join(text(part) for part in parts))


def tag(name: str, *parts: Part, **attributes: str | None) -> Html:
    """One element. An attribute of None is left out; an underscore stands for a hyphen, a last one for nothing."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_quoted(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{shown}>{join(parts)}</{name}>")


def table(
    head: Sequence[Part], rows: Iterable[tuple[Sequence[Part], dict[str, str]]], *, caption: str, words: int = 1
) -> Html:
    """A table of rows with the attributes of each; the first `words` columns are text, the others numbers."""
    heads = [tag("th", part, scope="col", class_="number" if i >= words else None) for i, part in enumerate(head)]
    body = [
        tag(
            "tr",
            tag("th", cells[0], scope="row"),
            *(tag("td", cell, class_="number" if i >= words else None) for i, cell in enumerate(cells[1:], start=1)),
            **attributes,
        )
        for cells, attributes in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", tag("tr", *heads)), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex="0", role="group", aria_label=caption)


def typeset(said: str) -> str:
    """A sentence with the minus signs that numbers have in print."""
    return _MINUS.sub("\N{MINUS SIGN}", said)


def number(measure: Measure, value: float, *, signed: bool = False) -> str:
    """A measure's number as people write it: shares in per cent, their changes in points; nothing has no sign."""
    if not math.isfinite(value):
        return "–"
    percent = MEANINGS[measure.name].percent
    scaled = 100.0 * value if percent else value
    digits = 1 if percent else _digits(scaled)
    rounded = round(scaled, digits) or 0.0
    sign = "+" if signed and rounded else ""
    return typeset(f"{rounded:{sign},.{digits}f}") + (" %" if percent and not signed else "")


def _digits(value: float) -> int:
    """Decimals: about three figures that count."""
    return next((digits for least, digits in ((100.0, 0), (10.0, 1), (2.0, 2)) if abs(value) >= least), 3)


def between(measure: Measure, interval: Interval, *, signed: bool = False) -> str:
    """Both ends of an interval."""
    if interval.requests == 0:
        return "–"
    return f"{number(measure, interval.low, signed=signed)} to {number(measure, interval.high, signed=signed)}"
