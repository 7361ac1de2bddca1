import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.measures import Membership, alpha_ndcg, err_ia, stop_chances, subtopic_recall, value_coverage
from tests.reference import naive_subtopics

TOPICS = ("a", "b", "c", "d")
ITEMS = st.lists(st.frozensets(st.sampled_from(TOPICS), max_size=3), max_size=9)
HALVES = st.sampled_from([0.0, 0.25, 0.5, 1.0])  # sums of their powers are exact, so that ties are ties


def members(items: list[frozenset[str]], topics: tuple[str, ...] = TOPICS) -> Membership:
    return Membership.of_matrix(np.array([[topic in item for topic in topics] for item in items], bool).reshape(-1, 4))


def sets(text: str) -> list[frozenset[str]]:
    """ "a ab ?" is an item about a, one about a and b, and an unknown one."""
    return [frozenset(word.replace("?", "")) for word in text.split()]


def test_the_example_of_clarke_et_al() -> None:
    # SIGIR 2008: ten documents about TREC's topic 85 and their nuggets 85.1 to 85.6, with the paper's
    # gain vector and that of its ideal order a-e-g-b-f-c-h (quoted from memory; ndeval agrees, test_against_libraries).
    nuggets = [[2, 4], [2], [2], [], [1, 3], [1], [6], [1], [], []]
    documents = Membership.of_matrix(np.array([[nugget in found for nugget in range(1, 7)] for found in nuggets]))
    gains, ideal = [2, 1 / 2, 1 / 4, 0, 2, 1 / 2, 1, 1 / 4, 0, 0], [2, 2, 1, 1 / 2, 1 / 2, 1 / 4, 1 / 4, 0, 0, 0]
    discounts = 1 / np.log2(np.arange(2, 12))
    for depth in range(1, 11):
        expected = gains[:depth] @ discounts[:depth] / (ideal[:depth] @ discounts[:depth])
        assert alpha_ndcg(documents.of(np.arange(depth)), documents) == pytest.approx(expected)
    assert subtopic_recall(documents.of(np.arange(5)), documents) == 0.8  # nobody has 85.5


def test_err_ia_by_hand() -> None:
    found = err_ia(members(sets("a ? a b")), members(sets("a a b ?")))
    assert found == pytest.approx((0.5 + 0.25 / 3) / 2 + 0.5 / 4 / 2)
    by_grades = stop_chances(np.array([2, 0, 1]), 2)
    assert by_grades.tolist() == [0.75, 0.0, 0.25]
    listed = members(sets("a a b"))
    assert err_ia(listed, listed, by_grades) == pytest.approx(0.75 / 2 + 0.25 / 3 / 2)
    assert err_ia(listed, listed, 1.0, np.array([1.0, 0.0, 0.0, 0.0])) == 1.0


def test_a_list_of_everything_nears_ln_2() -> None:
    everything = members(sets("abcd " * 60))
    assert err_ia(everything, everything) == pytest.approx(math.log(2))


def test_unknown_items_take_up_slots() -> None:
    known, pushed = members(sets("a b")), members(sets("? ? a b"))
    for measure in (alpha_ndcg, err_ia):
        better, worse = measure(known, known), measure(pushed, known)
        assert better is not None
        assert worse is not None
        assert worse < better
    assert alpha_ndcg(known, pushed) == 1.0


def test_what_has_no_meaning_is_absent() -> None:
    nothing, some = members(sets("? ?")), members(sets("a b"))
    for measure in (alpha_ndcg, err_ia, subtopic_recall):
        assert measure(nothing, nothing) is None
        assert measure(nothing, some) == 0.0
    assert alpha_ndcg(members([]), some) is None
    assert err_ia(members([]), some) is None
    assert subtopic_recall(members([]), some) == 0.0
    assert value_coverage(Membership.of_nobody(3, 0)) is None
    assert value_coverage(nothing) == value_coverage(members([])) == 0.0


def test_recall_counts_what_can_be_had_and_coverage_what_was_asked_for() -> None:
    listed, supply = members(sets("a a")), members(sets("a b a"))
    assert (subtopic_recall(listed, supply), value_coverage(listed)) == (0.5, 0.25)


def test_the_greedy_ideal_can_be_beaten() -> None:
    # Of three equals greedy takes the first, ac, of which every other item repeats something.
    better = alpha_ndcg(members(sets("ab cd")), members(sets("ac ab cd")), alpha=1.0)
    assert better == pytest.approx((2 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))


@given(ITEMS, ITEMS, HALVES)
def test_slow_twins(items: list[frozenset[str]], more: list[frozenset[str]], alpha: float) -> None:
    candidates = [*items, *more]
    listed, supply = members(items), members(candidates)
    assert subtopic_recall(listed, supply) == pytest.approx(naive_subtopics.recall(items, candidates))
    assert value_coverage(listed) == naive_subtopics.coverage(items, TOPICS)
    expected = naive_subtopics.alpha_ndcg(items, candidates, alpha)
    assert alpha_ndcg(listed, supply, alpha) == pytest.approx(expected)
    equal = [dict.fromkeys(item, alpha) for item in items]
    assert err_ia(listed, supply, alpha) == pytest.approx(naive_subtopics.err_ia(items, candidates, equal))


@given(ITEMS)
def test_graded_judgements(items: list[frozenset[str]]) -> None:
    rng = np.random.default_rng(len(items))
    listed = members(items)
    chances = stop_chances(rng.integers(0, 5, len(listed.carried)), 4)
    by_item: list[dict[str, float]] = [{} for _ in items]
    for row, topic, chance in zip(listed.rows, listed.carried, chances.tolist(), strict=True):
        by_item[row][TOPICS[topic]] = chance
    assert err_ia(listed, listed, chances) == pytest.approx(naive_subtopics.err_ia(items, items, by_item))


@given(ITEMS, st.permutations(range(4)))
def test_names_do_not_matter(items: list[frozenset[str]], order: list[int]) -> None:
    renamed = members(items, tuple(TOPICS[at] for at in order))
    for measure in (alpha_ndcg, err_ia, subtopic_recall):
        assert measure(renamed, renamed) == pytest.approx(measure(members(items), members(items)))


@given(st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=12), st.integers(1, 12))
def test_one_topic_an_item_has_the_best_order_as_its_ideal(topics: list[str], depth: int) -> None:
    candidates = [frozenset(topic) for topic in topics]
    supply = members(candidates)
    rng = np.random.default_rng(5)
    for _ in range(5):
        found = alpha_ndcg(supply.of(rng.permutation(len(topics))[:depth]), supply)
        assert found is None or 0.0 <= found <= 1.0 + 1e-12
