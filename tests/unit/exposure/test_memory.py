"""The ledger in memory: attention, dues and prices add up, and fade by half in a half-life."""

from __future__ import annotations

import pytest

from reranker.exposure.memory import MemoryBoard
from reranker.exposure.tally import Served, TallyKey

KEY = TallyKey("search", "p", "", "tone")


def served(**changes: object) -> Served:
    slate = {
        "key": KEY,
        "half_life": 60.0,
        "before": 0,
        "values": (("a",), (), ("a", "b")),
        "relevance": (3.0, 2.0, 1.0),
        "shares": {"a": 0.75, "b": 0.25},
        "prices": {"b": 0.5},
    }
    return Served(**(slate | changes))  # type: ignore[arg-type]


def test_what_one_slate_gives() -> None:
    board = MemoryBoard(lambda: 10.0)
    assert board.tally(KEY, 60.0) is None
    board.record([served()])
    tally = board.tally(KEY, 60.0)
    assert tally is not None
    assert tally.requests == 1.0
    a, b = tally.groups["a"], tally.groups["b"]
    assert (a.exposure, b.exposure) == pytest.approx((1.5, 0.5))  # 1 and 1 / log2(4); nobody's slot is nobody's
    assert (a.target, b.target) == pytest.approx((0.75 * 2.0, 0.25 * 2.0))
    assert (a.relevance, a.items, a.price) == (4.0, 2.0, 0.0)
    assert (b.relevance, b.items, b.price) == (1.0, 1.0, 0.5)


def test_slots_count_on_from_earlier_pages() -> None:
    board = MemoryBoard(lambda: 0.0)
    board.record([served(before=6, values=(("a",),), relevance=(1.0,))])
    tally = board.tally(KEY, 60.0)
    assert tally is not None
    assert tally.groups["a"].exposure == pytest.approx(1.0 / 3.0)  # slot 7


def test_the_past_fades() -> None:
    time = [0.0]
    board = MemoryBoard(lambda: time[0])
    board.record([served()])
    time[0] = 60.0
    half = board.tally(KEY, 60.0)
    assert half is not None
    assert half.requests == pytest.approx(0.5)
    assert half.groups["a"].exposure == pytest.approx(0.75)
    board.record([served()])
    time[0] = 180.0
    later = board.tally(KEY, 60.0)
    assert later is not None
    assert later.requests == pytest.approx(1.5 / 4)
    assert later.groups["b"].price == pytest.approx(0.75 / 4)
