"""Turns and the lane: so many threads at a time, in their order, and out of it while one computes or waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from reranker import Candidates, Policy, rerank
from reranker.engine import select
from reranker.lane import Lane, Turns, aside
from reranker.strategies import Strategy
from tests.waiting import wait_for

SECONDS = 10.0


def is_free(lane: Lane) -> bool:
    """Whether another thread could enter now."""
    entered = threading.Event()

    def enter() -> None:
        with lane:
            entered.set()

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    return entered.wait(0.05)


@pytest.fixture
def lane() -> Iterator[Lane]:
    made = Lane()
    yield made
    assert is_free(made)


def test_one_thread_at_a_time(lane: Lane) -> None:
    inside, most, seen = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with lane:
                with seen:
                    inside += 1
                    most = max(most, inside)
                with seen:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert (inside, most) == (0, 1)


@pytest.mark.parametrize("at_a_time", [1, 3])
def test_first_come_first_served(at_a_time: int) -> None:
    turns, served = Turns(at_a_time), list[int]()
    for _ in range(at_a_time):
        turns.__enter__()

    def enter(number: int) -> None:
        with turns:
            served.append(number)

    threads = [threading.Thread(target=enter, args=(number,), daemon=True) for number in range(20)]

    def start(thread: threading.Thread) -> None:
        already = len(turns._waiting)
        thread.start()
        wait_for(lambda: len(turns._waiting) > already)

    for thread in threads:
        start(thread)
    assert served == []
    turns.__exit__()
    with turns:  # whoever comes now comes last, though one has just left
        assert served == list(range(20))
    for thread in threads:
        thread.join(SECONDS)
    for _ in range(at_a_time - 1):
        turns.__exit__()
    assert turns._free == at_a_time


def test_aside_it_is_free_and_afterwards_it_is_not(lane: Lane) -> None:
    with lane:
        assert not is_free(lane)
        with aside():
            assert is_free(lane)
            with aside():  # nothing is left to leave
                assert is_free(lane)
        assert not is_free(lane)


def test_whatever_happens_aside_the_thread_is_back_in(lane: Lane) -> None:
    with lane:
        with pytest.raises(ZeroDivisionError), aside():
            raise ZeroDivisionError
        assert not is_free(lane)


def test_a_lane_is_left_whatever_happens(lane: Lane) -> None:
    with pytest.raises(ZeroDivisionError), lane:
        raise ZeroDivisionError
    assert is_free(lane)


def test_aside_of_nothing_is_nothing() -> None:
    with aside():
        pass


@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize(("long", "free"), [(1, True), (1_000_000_000, False)])
def test_what_takes_long_is_computed_aside(
    lane: Lane, monkeypatch: pytest.MonkeyPatch, long: int, free: bool, explain: bool
) -> None:
    monkeypatch.setattr(select, "_LONG", long)
    seen: list[bool] = []
    chosen = Strategy.select

    def spy(strategy: Strategy, first: int, last: int) -> None:
        seen.append(is_free(lane))
        chosen(strategy, first, last)

    monkeypatch.setattr(Strategy, "select", spy)
    rows = np.random.default_rng(5).normal(size=(30, 4)).astype(np.float32)
    candidates = Candidates(list(range(30)), np.arange(30.0), rows)
    policy = Policy.from_dict({"objective": {"strategy": "dpp", "diversity": 0.5}})
    with lane:
        slate = rerank(candidates, policy, 5, explain=explain)
    assert seen
    assert set(seen) == {free}
    assert slate.ids == rerank(candidates, policy, 5).ids
