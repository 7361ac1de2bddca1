"""What is learned of how long things take: robust, monotone where nothing is known, and never stuck."""

from __future__ import annotations

import numpy as np
import pytest

from reranker.engine import Pace, Paces


def taught(seconds: list[float], work: int = 1_000) -> Pace:
    pace = Pace()
    for one in seconds:
        pace.learn(work, one)
    return pace


def expected(pace: Pace, work: int = 1_000) -> float:
    found = pace.expected(work)
    assert found is not None
    return found


def test_nothing_is_expected_of_what_was_never_done() -> None:
    assert Pace().expected(1_000) is None


def test_most_of_what_comes_keeps_to_the_estimate() -> None:
    rng = np.random.default_rng(1)
    times = rng.lognormal(np.log(0.01), 0.3, 3_000).tolist()
    pace = taught(times)
    kept = sum(time <= expected(pace) for time in times) / len(times)
    assert 0.6 < kept < 0.9


def test_one_that_took_ages_moves_no_estimate_far() -> None:
    pace = taught([0.001] * 50)
    pace.learn(1_000, 60.0)
    assert expected(pace) == pytest.approx(0.001, rel=0.25)


def test_an_odd_first_one_is_soon_forgotten() -> None:
    assert expected(taught([1.0] + [0.01] * 30)) < 0.03


def test_an_estimate_follows_a_machine_that_became_slow() -> None:
    assert expected(taught([0.001] * 100 + [0.01] * 30)) == pytest.approx(0.01, rel=0.1)


def test_sizes_in_between_take_no_more_than_larger_ones_and_their_share_of_smaller_ones() -> None:
    pace = taught([0.01], work=1_000)
    assert expected(pace, 10_000) == pytest.approx(0.1, rel=0.5)
    assert expected(pace, 10) == 0.01
    pace.learn(8_000, 0.02)
    assert expected(pace, 4_000) == 0.02
    assert expected(pace, 1_400) == pytest.approx(0.014, rel=0.5)


@pytest.mark.parametrize("work", [-1, 0, 1, 2, 3, 2**62, 2**80])
def test_every_size_has_its_place(work: int) -> None:
    assert expected(taught([0.5], work), work) == 0.5


def test_what_was_given_up_counts_only_where_less_was_expected() -> None:
    pace = taught([0.01] * 20)
    before = expected(pace)
    pace.learn_at_least(1_000, 0.005)
    assert expected(pace) == before
    pace.learn_at_least(1_000, 0.1)
    assert expected(pace) > before


def test_what_does_not_seem_to_fit_is_tried_again_and_again_but_ever_more_rarely() -> None:
    pace = Pace()
    turns = [number for number in range(1, 5_000) if pace.may_try()]
    assert turns[:3] == [8, 24, 56]
    assert np.diff(turns).max() == 512


def test_a_try_that_succeeds_replaces_what_was_known() -> None:
    pace = taught([5.0] * 100)
    while not pace.may_try():
        pass
    pace.relearn(1_000, 0.001)
    assert expected(pace) == 0.001
    assert [pace.may_try() for _ in range(8)] == [False] * 7 + [True]


def test_kinds_are_kept_apart_and_their_number_is_bounded() -> None:
    paces = Paces()
    paces.of("a").learn(10, 1.0)
    assert paces.of("b").expected(10) is None
    assert paces.of("a").expected(10) == 1.0
    for number in range(5_000):
        paces.of(number)
    assert len(paces._of) <= 1_024
