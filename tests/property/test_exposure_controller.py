"""The controller: bounded, slew-limited, monotone, nothing to wind up, and convergent where the answer is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.exposure.controller import MOST, SLEW, in_force, steer
from reranker.exposure.tally import GroupTally, Tally

BANDS = st.floats(0.01, 0.5)
VALUES = ("a", "b", "c")


@st.composite
def tallies(draw: st.DrawFn) -> tuple[Tally, dict[str, float]]:
    """A stream of any history, and target shares that add up to 1."""
    requests = draw(st.floats(1.0, 1e7))
    weights = [draw(st.floats(0.01, 1.0)) for _ in VALUES]
    shares = {value: weight / sum(weights) for value, weight in zip(VALUES, weights, strict=True)}
    given_ = [draw(st.floats(0.0, 1.0)) for _ in VALUES[:-1]] + [draw(st.floats(0.05, 1.0))]
    total = 4.5 * requests
    groups = {
        value: GroupTally(
            exposure=total * part / sum(given_),
            target=total * shares[value] * draw(st.floats(0.5, 1.5)),
            items=10 * requests * part / sum(given_),
            price=requests * draw(st.floats(-MOST, MOST)),
        )
        for value, part in zip(VALUES, given_, strict=True)
    }
    return Tally(0.0, requests, groups), shares


def one_more(tally: Tally, winner: str, shares: dict[str, float], prices: dict[str, float]) -> Tally:
    """The stream after one more slate of ten slots, all of them one group's."""
    slate = 4.5436
    groups = {
        value: replace(
            group,
            exposure=group.exposure + (slate if value == winner else 0.0),
            target=group.target + slate * shares[value],
            price=group.price + prices.get(value, 0.0),
        )
        for value, group in tally.groups.items()
    }
    return Tally(0.0, tally.requests + 1.0, groups)


@given(tallies(), BANDS)
def test_prices_are_bounded_and_near_those_before(case: tuple[Tally, dict[str, float]], band: float) -> None:
    tally, shares = case
    steering = steer(tally, shares, band, 0)
    for group in steering.groups.values() if steering else ():
        assert abs(group.price) <= MOST
        assert math.isfinite(group.price)
        low, high = sorted((0.0, group.memory))  # what was asked before may fade, and is then corrected
        assert low - SLEW - 1e-9 <= group.price <= high + SLEW + 1e-9


@given(tallies(), BANDS)
def test_nobody_is_pushed_on_beyond_the_band(case: tuple[Tally, dict[str, float]], band: float) -> None:
    tally, shares = case
    steering = steer(tally, shares, band, 0)
    for group in steering.groups.values() if steering else ():
        if group.given >= group.due + band:
            assert group.price <= 0.0
        if group.given <= group.due - band:
            assert group.price >= 0.0


@given(tallies(), BANDS, st.floats(0.0, 2.0))
def test_who_got_less_is_asked_for_no_less(case: tuple[Tally, dict[str, float]], band: float, part: float) -> None:
    tally, shares = case
    one = tally.groups["a"]
    # The same exposure in all, so that the band is as wide: what one has less, another has more.
    moved = one.exposure * min(part, 1.0)
    other = replace(tally.groups["b"], exposure=tally.groups["b"].exposure + moved)
    less = {**tally.groups, "a": replace(one, exposure=one.exposure - moved), "b": other}
    before = steer(tally, shares, band, 0)
    after = steer(replace(tally, groups=less), shares, band, 0)
    assert before is not None
    assert after is not None
    assert after.groups["a"].price >= before.groups["a"].price - 1e-9


@given(tallies(), BANDS)
@settings(max_examples=50)
def test_one_more_slate_moves_a_price_by_little(case: tuple[Tally, dict[str, float]], band: float) -> None:
    """Nowhere does a price jump: it follows the mean of those before, the gap and the band's edge continuously."""
    tally, shares = case
    before = steer(tally, shares, band, 0)
    assert before is not None
    for winner in VALUES:
        after = steer(one_more(tally, winner, shares, before.prices), shares, band, 0)
        assert after is not None
        for value, group in before.groups.items():
            then = after.groups[value]
            remembered = abs(then.memory - group.memory)
            assert remembered <= 2.0 * MOST / (tally.requests + 1.0) + 1e-9
            edges = [band / group.due, band / then.due]
            moved = abs(then.gap - group.gap) * (1.0 + MOST / min(edges))
            bent = MOST * abs(edges[1] - edges[0]) / min(edges)
            ramp = SLEW / tally.requests
            assert abs(then.price - group.price) <= remembered + moved + bent + ramp + 1e-9


def test_little_is_known() -> None:
    shares = {"a": 0.5, "b": 0.5}
    assert steer(None, shares, 0.1, 100) is None
    assert steer(Tally(0.0, 0.0, {}), shares, 0.1, 100) is None
    few = Tally(0.0, 5.0, {"a": GroupTally(20.0, 0.0, 10.0, 45.0), "b": GroupTally(0.0, 0.0, 10.0, 0.0)})
    assert steer(few, shares, 0.1, 100) is None
    assert steer(few, shares, 0.0, 0) is None  # a band of 0: nothing may be moved


def test_a_group_that_nobody_ever_showed_is_not_too_small() -> None:
    groups = {"a": GroupTally(2_000.0, 0.0, 1_800.0, 4_400.0), "b": GroupTally(0.0, 0.0, 200.0, 0.0)}
    steering = steer(Tally(0.0, 440.0, groups), {"a": 0.9, "b": 0.1}, 0.1, 100)
    assert steering is not None
    assert steering.groups["b"].price > 0.0 > steering.groups["a"].price


def test_a_small_group_is_left_alone() -> None:
    groups = {"a": GroupTally(1_995.0, 0.0, 1_999.0, 4_390.0), "b": GroupTally(5.0, 0.0, 1.0, 10.0)}
    steering = steer(Tally(0.0, 440.0, groups), {"a": 0.999, "b": 0.001}, 0.1, 100)
    assert steering is not None
    assert set(steering.groups) == {"a"}


class TestInForce:
    TALLY = Tally(0.0, 1_000.0, {"a": GroupTally(3_000.0, 0.0, 2_250.0, 6_600.0, 50.0),
                                 "b": GroupTally(1_200.0, 0.0, 1_350.0, 2_700.0, 50.0),
                                 "c": GroupTally(300.0, 0.0, 900.0, 700.0, 200.0)})  # fmt: skip
    SHARES = {"a": 0.5, "b": 0.3, "c": 0.2}  # noqa: RUF012

    def test_all_is_due_while_there_is_supply(self) -> None:
        steering = steer(self.TALLY, self.SHARES, 0.1, 100)
        assert steering is not None
        shares, prices = in_force(steering, self.SHARES, {"a": 1.0}, ())
        assert shares == self.SHARES
        assert prices == steering.prices

    def test_who_is_away_and_behind_owes_and_remembers_nothing(self) -> None:
        steering = steer(self.TALLY, self.SHARES, 0.1, 100)
        assert steering is not None
        shares, prices = in_force(steering, self.SHARES, {"a": 0.6, "b": 0.4}, ("c",))
        assert shares == pytest.approx({"a": 0.625, "b": 0.375, "c": 0.0})
        assert prices["c"] == pytest.approx(0.2)  # the mean so far, which it leaves as it is
        assert prices["a"] == steering.groups["a"].price

    def test_who_is_away_and_not_behind_is_owed(self) -> None:
        groups = {**self.TALLY.groups, "c": GroupTally(890.0, 0.0, 900.0, 2_000.0, 200.0)}
        steering = steer(replace(self.TALLY, groups=groups), self.SHARES, 0.1, 100)
        assert steering is not None
        assert in_force(steering, self.SHARES, {"a": 0.6, "b": 0.4}, ("c",))[0] == self.SHARES

    def test_who_is_not_named_keeps_his_price(self) -> None:
        """Else the mean over all requests would be less than what was asked in those that name him."""
        steering = steer(self.TALLY, {"a": 0.6, "b": 0.4}, 0.1, 100)
        assert steering is not None
        _, prices = in_force(steering, {"a": 0.6, "b": 0.4}, {"a": 1.0}, ())
        assert prices["c"] == pytest.approx(0.2)
        assert steering.memory == pytest.approx({"a": 0.05, "b": 0.05, "c": 0.2})

    def test_nothing_known(self) -> None:
        assert in_force(None, self.SHARES, {"a": 1.0}, ("c",)) == (self.SHARES, {})


@pytest.mark.parametrize("delay", [1, 50])
@pytest.mark.parametrize("target", [0.3, 0.5, 0.8])
def test_it_finds_the_price_that_is_known(target: float, delay: int) -> None:
    """One slot, two groups whose best items differ in relevance by a uniform draw: the share answers to the price.

    With x uniform in [-0.4, 0.4] the item of `a` is shown where price(a) - price(b) > x, so the price difference that
    gives `a` the share s is exactly 0.8 s - 0.4.
    """
    random = np.random.default_rng(7)
    shares = {"a": target, "b": 1.0 - target}
    sums = {value: np.zeros(4) for value in shares}  # exposure, target, items, price
    tally: Tally | None = None
    for request in range(8_000):
        if request % delay == 0 and request:
            groups = {v: GroupTally(float(s[0]), 0.0, float(s[1]), float(s[2]), float(s[3])) for v, s in sums.items()}
            tally = Tally(0.0, float(request), groups)
        steering = steer(tally, shares, 0.1, 50)
        prices = steering.prices if steering else {}
        lead = prices.get("a", 0.0) - prices.get("b", 0.0)
        shown = "a" if lead > random.uniform(-0.4, 0.4) else "b"
        for value, share in shares.items():
            sums[value] += (value == shown, share, value == shown, prices.get(value, 0.0))
    assert sums["a"][0] / 8_000 == pytest.approx(target, abs=0.004)
    assert tally is not None
    lead = (sums["a"][3] - sums["b"][3]) / 8_000
    assert lead == pytest.approx(0.8 * target - 0.4, abs=0.03)
