"""Routes and arms against a twin in exact fractions, and what growing an arm does to those who are in it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from reranker import Context
from reranker.policy.describe_routes import moved
from reranker.policy.routes import Routes
from tests.reference import naive_routes

NAMES = ("upstream", "a", "b", "c", "d")
UNITS = [f"unit-{i}" for i in range(300)]
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf")), min_size=1, max_size=8)


@st.composite
def shares(draw: st.DrawFn, count: int | None = None) -> dict[str, Fraction]:
    """Shares of hundredths that add up to 1, some of them nothing."""
    many = draw(st.integers(1, len(NAMES))) if count is None else count
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=many - 1, max_size=many - 1)))
    edges = [0, *cuts, 100]
    return {NAMES[i]: Fraction(edges[i + 1] - edges[i], 100) for i in range(many)}


def routes(*routes: dict[str, Any]) -> Routes:
    return Routes.from_dict({"routes": list(routes)})


def one(arms: dict[str, Fraction], salt: str = "s") -> Any:
    return routes({"salt": salt, "arms": arms}).routes[0]


def arms_of(arms: dict[str, Fraction], units: list[str] = UNITS) -> list[str]:
    route = one(arms)
    return [route.arms[route.arm_of(unit)][0] for unit in units]


@given(shares(), texts, st.lists(texts, max_size=20))
def test_arms_are_dealt_as_the_text_says(arms: dict[str, Fraction], salt: str, units: list[str]) -> None:
    route = one(arms, salt)
    assert [route.arms[route.arm_of(unit)][0] for unit in units] == [
        naive_routes.arm(arms, salt, unit) for unit in units
    ]


@given(shares(count=5), st.data())
def test_growing_one_arm_moves_nobody_who_is_in_it(before: dict[str, Fraction], data: st.DataObject) -> None:
    grown = data.draw(st.sampled_from(NAMES))
    after = dict(before)
    for name in NAMES:
        if name != grown:
            taken = Fraction(data.draw(st.integers(0, int(before[name] * 100))), 100)
            after[name] -= taken
            after[grown] += taken
    for old, new in zip(arms_of(before), arms_of(after), strict=True):
        assert old != grown or new == grown


@given(shares(count=5), st.integers(0, 3), st.booleans(), st.data())
def test_between_neighbours_nobody_else_moves(
    before: dict[str, Fraction], place: int, to_the_right: bool, data: st.DataObject
) -> None:
    giver, taker = (NAMES[place], NAMES[place + 1]) if to_the_right else (NAMES[place + 1], NAMES[place])
    given = Fraction(data.draw(st.integers(0, int(before[giver] * 100))), 100)
    after = before | {giver: before[giver] - given, taker: before[taker] + given}
    moves = {(old, new) for old, new in zip(arms_of(before), arms_of(after), strict=True) if old != new}
    assert moves <= {(giver, taker)}
    assert moved(one(before), one(after)) == ([(giver, taker, given)] if given else [])


@given(shares(), shares())
def test_who_moves_is_foreseen_exactly(before: dict[str, Fraction], after: dict[str, Fraction]) -> None:
    foreseen = {(old, new) for old, new, _ in moved(one(before), one(after))}
    assert all(old == new or (old, new) in foreseen for old, new in zip(arms_of(before), arms_of(after), strict=True))
    gained = {name: after.get(name, Fraction(0)) - before.get(name, Fraction(0)) for name in NAMES}
    for old, new, share in moved(one(before), one(after)):
        gained[old] += share
        gained[new] -= share
    assert set(gained.values()) == {0}


def test_shares_are_met_over_many_units() -> None:
    arms = {"upstream": Fraction(2, 100), "a": Fraction(1, 10), "b": Fraction(88, 100)}
    dealt = arms_of(arms, [f"u{i}" for i in range(50_000)])
    for name, share in arms.items():
        deviation = (50_000 * float(share * (1 - share))) ** 0.5
        assert abs(dealt.count(name) - 50_000 * share) < 5 * deviation


def test_two_salts_deal_independently() -> None:
    half = {"a": Fraction(1, 2), "b": Fraction(1, 2)}
    first, second = one(half, "first"), one(half, "second")
    both = sum(first.arm_of(unit) == second.arm_of(unit) for unit in (f"u{i}" for i in range(20_000)))
    assert abs(both - 10_000) < 5 * (20_000 * 0.25) ** 0.5


VALUES = ("", "x", "y", "z")
whens = st.dictionaries(
    st.sampled_from(["surface", "country", "language", "intent"]),
    st.lists(st.sampled_from(VALUES[1:]), min_size=1, max_size=3, unique=True),
    min_size=1,
)
requests = st.fixed_dictionaries({key: st.sampled_from(VALUES) for key in ("surface", "country", "language", "intent")})


@given(st.lists(whens, min_size=1, max_size=6), requests)
def test_the_first_route_that_matches(conditions: list[dict[str, list[str]]], request: dict[str, str]) -> None:
    made = routes(*({"when": when, "arms": {"a": 1}} for when in conditions))
    expected = next((i for i, when in enumerate(conditions) if naive_routes.matches(when, request)), None)
    assert made.first_match(Context(**request)) == expected  # type: ignore[arg-type]


@given(shares())
def test_words_and_message_are_one(arms: dict[str, Fraction]) -> None:
    assume(max(arms.values()) < 1)
    made = routes({"when": {"surface": ["search"]}, "salt": "s", "arms": arms})
    assert Routes.from_proto(made.to_proto()) == Routes.from_dict(made.to_dict()) == made
