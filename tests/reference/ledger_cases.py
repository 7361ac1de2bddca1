"""Events for ledgers: slates that are served, seen and reported again, in any order."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import strategies as st

from reranker.exposure.ledger import Impression
from reranker.exposure.receipt import Receipt, make_receipt
from reranker.exposure.states import bits_of
from reranker.exposure.tally import Served, Tally, TallyKey

NOW = 1_800_000_000.0
HALF_LIVES = {"tone": 3_600.0, "genre": 86_400.0}
STREAMS = [
    TallyKey(surface, "inclusive", arm, attribute, per)
    for surface in ("search", "home")
    for arm in ("", "b")
    for attribute, per in (("tone", (("intent", "beauty"),)), ("genre", ()))
]
VALUES = ("1-2", "3-4", "5-6", "größer")


class Slate(NamedTuple):
    """A request that is served."""

    request_id: str
    time: float
    served: tuple[Served, ...]

    @property
    def receipt(self) -> Receipt:
        return make_receipt(self.request_id, self.time, self.served)


class Seen(NamedTuple):
    """Slots of a request that are reported as seen."""

    request_id: str
    slots: frozenset[int]

    @property
    def impression(self) -> Impression:
        return Impression(self.request_id, bits_of(self.slots))


def numbers(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(least, most, width=32, allow_subnormal=False)


@st.composite
def parts(draw: st.DrawFn, key: TallyKey, slots: int) -> Served:
    most = 1 if key.attribute == "tone" else 3
    row = st.lists(st.sampled_from(VALUES), max_size=most, unique=True).map(tuple)
    shares = draw(st.dictionaries(st.sampled_from(VALUES), numbers(0.0, 0.25), max_size=4))
    prices = draw(st.dictionaries(st.sampled_from(VALUES), numbers(-2.0, 2.0), max_size=2))
    values = tuple(draw(st.lists(row, min_size=slots, max_size=slots)))
    relevance = tuple(draw(st.lists(numbers(0.0, 100.0), min_size=slots, max_size=slots)))
    return Served(key, HALF_LIVES[key.attribute], draw(st.sampled_from((0, 7))), values, relevance, shares, prices)


@st.composite
def slates(draw: st.DrawFn, request_id: str) -> Slate:
    slots = draw(st.integers(0, 10))
    keys = draw(st.lists(st.sampled_from(STREAMS), min_size=1, max_size=2, unique=True))
    served = tuple(draw(parts(key, slots)) for key in keys)
    return Slate(request_id, NOW - draw(st.floats(0.0, 10_000.0)), served)


@st.composite
def histories(draw: st.DrawFn) -> list[Slate | Seen]:
    """A few requests, served and reported any number of times, in any order; the same slate and report each time."""
    events: list[Slate | Seen] = []
    for number in range(draw(st.integers(1, 6))):
        slate = draw(slates(f"request {number}"))
        seen = Seen(slate.request_id, draw(st.frozensets(st.integers(1, 12))))
        events += [slate] * draw(st.integers(0, 3)) + [seen] * draw(st.integers(0, 2))
    return draw(st.permutations(events))


def assert_alike(found: Tally | None, expected: Tally | None) -> None:
    """Equal but for the rounding of each slot to a millionth."""
    assert (found is None) == (expected is None)
    if found is None or expected is None:
        return
    assert found.requests == pytest.approx(expected.requests, abs=1e-4)
    for value in {*found.groups, *expected.groups}:
        mine, its = found.groups.get(value), expected.groups.get(value)
        for name in ("exposure", "relevance", "target", "items", "price"):
            one, other = getattr(mine, name, 0.0), getattr(its, name, 0.0)
            assert one == pytest.approx(other, rel=1e-5, abs=1e-4), name
