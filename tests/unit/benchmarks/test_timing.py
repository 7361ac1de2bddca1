from __future__ import annotations

import gc
import time
from functools import partial
from itertools import pairwise

import pytest

from benchmarks.timing import FEWEST, medians


def test_calls_take_turns_and_nobody_always_follows_the_same_neighbour() -> None:
    made: list[str] = []
    medians({name: partial(made.append, name) for name in "abc"}, rounds=20, seconds=60.0)
    timed = made[6:]  # each was run twice to see how long it takes
    assert [sorted(timed[at : at + 3]) for at in range(0, 60, 3)] == [["a", "b", "c"]] * 20
    assert {before for before, name in pairwise(timed) if name == "a"} >= {"b", "c"}
    assert len({"".join(timed[at : at + 3]) for at in range(0, 60, 3)}) > 3


def test_a_slow_call_takes_part_in_fewer_rounds_but_in_three() -> None:
    made = {"fast": 0, "slow": 0}

    def fast() -> None:
        made["fast"] += 1

    def slow() -> None:
        made["slow"] += 1
        time.sleep(0.002)

    times = medians({"fast": fast, "slow": slow}, rounds=50, seconds=0.002)
    assert made["slow"] == 1 + FEWEST
    assert made["fast"] > made["slow"]
    assert times["slow"] >= 2.0


def test_the_collector_is_off_meanwhile_and_on_again_after_a_failure() -> None:
    seen: list[bool] = []
    medians({"a": lambda: seen.append(gc.isenabled())}, rounds=3, seconds=60.0)
    assert seen[2:] == [False] * 3
    calls = iter([None, None])
    with pytest.raises(StopIteration):
        medians({"a": lambda: next(calls)}, rounds=3, seconds=60.0)
    assert gc.isenabled()
