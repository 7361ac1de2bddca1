import numpy as np
import pytest

from reranker.measures import Membership, div, div_ceiling
from tests.reference import naive_measures

VALUES = ("a", "b", "c", "d")


def carries(items: list[frozenset[str]], values: tuple[str, ...] = VALUES) -> Membership:
    matrix = np.array([[value in item for value in values] for item in items], bool)
    return Membership.of_matrix(matrix.reshape(len(items), len(values)))


def singles(text: str) -> list[frozenset[str]]:
    return [frozenset() if letter == "?" else frozenset(letter) for letter in text]


def test_div_by_hand() -> None:
    assert div(carries(singles("abcd"))) == 1.0
    assert div(carries(singles("abc?"))) == 0.0
    assert div(carries([frozenset("ab"), frozenset("cd")])) == 1.0
    assert div(carries([])) == 0.0
    assert div(carries(singles("ab"), ())) is None


def test_ceiling_needs_supply_and_slots() -> None:
    assert div_ceiling(carries(singles("aabcd")), None, 4) == 1.0
    assert div_ceiling(carries(singles("aabcd")), None, 3) == 0.0
    assert div_ceiling(carries(singles("aabc")), None, 4) == 0.0
    assert div_ceiling(carries([]), None, 4) == 0.0
    assert div_ceiling(carries(singles("ab"), ()), None, 2) is None


def test_ceiling_with_the_guard() -> None:
    lifted = np.array([True, True, True, False])
    assert div_ceiling(carries(singles("abcd")), lifted, 4) == 0.0
    assert div_ceiling(carries(singles("dabcd"), VALUES), np.array([True, True, True, True, False]), 4) == 1.0


def test_one_item_may_stand_for_several_values() -> None:
    assert div_ceiling(carries([frozenset("ab"), frozenset("bc"), frozenset("cd")]), None, 2) == 1.0
    assert div_ceiling(carries([frozenset("ab"), frozenset("bc"), frozenset("bd")]), None, 2) == 0.0


def test_slow_twin() -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        count, slots = int(rng.integers(1, 7)), int(rng.integers(1, 5))
        several = rng.random() < 0.5
        items = [
            frozenset(rng.choice(VALUES, size=rng.integers(0, 3 if several else 2), replace=False).tolist())
            for _ in range(count)
        ]
        guarded = rng.random(count) < 0.6
        order = rng.permutation(count).tolist()
        lifted = guarded.copy()
        lifted[order[:slots]] = True
        values = VALUES[: rng.integers(0, 5)]
        listed = items[: min(slots, count)]
        assert div(carries(listed, values)) == naive_measures.div(listed, values)
        free = naive_measures.ceiling(items, values, slots, [True] * count, order)
        assert div_ceiling(carries(items, values), None, min(slots, count)) == free
        under_guard = naive_measures.ceiling(items, values, slots, guarded.tolist(), order)
        assert div_ceiling(carries(items, values), lifted, min(slots, count)) == under_guard


def test_the_search_for_a_cover_is_bounded() -> None:
    rng = np.random.default_rng(6)
    answers = set()
    for _ in range(3):
        many = rng.random((400, 40)) < 0.12
        answers.add(div_ceiling(Membership.of_matrix(many), None, 8))
    assert answers <= {0.0, 1.0, None}


@pytest.mark.parametrize("slots", [10, 12])
def test_genres_in_a_slate_are_settled(slots: int) -> None:
    rng = np.random.default_rng(7)
    genres = rng.random((300, 18)) < 0.15
    assert div_ceiling(Membership.of_matrix(genres), None, slots) == 1.0
