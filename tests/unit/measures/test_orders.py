import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.measures import displacements, kendall_tau, overlap, rank_biased_overlap
from tests.reference import naive_orders

ORDERS = st.lists(st.integers(0, 12), unique=True, max_size=8)


def order(*items: int) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
    return np.array(items, np.int32)


def test_overlap_by_hand() -> None:
    assert rank_biased_overlap(order(1, 2, 3), order(1, 2, 3)) == pytest.approx(1.0)
    assert rank_biased_overlap(order(1, 2), order(3, 4)) == 0.0
    assert rank_biased_overlap(order(1, 2, 3), order(2, 1, 3)) == pytest.approx(0.9)  # all but the weight of depth 1
    assert rank_biased_overlap(order(1), order(1, 2, 3), 0.5) == pytest.approx(1.0)  # unseen below is as seen above


def test_tau_by_hand() -> None:
    assert kendall_tau(order(1, 2, 3), order(1, 2, 3)) == 1.0
    assert kendall_tau(order(1, 2, 3), order(3, 2, 1)) == -1.0
    assert kendall_tau(order(1, 2, 3), order(2, 1, 3)) == pytest.approx(1 / 3)
    assert kendall_tau(order(1, 2), order(3, 4)) == -1.0
    # 1 and 3 are in both lists, 2 and 4 in one: 1-3, 1-2, 1-4 and 3-4 agree, 2-3 and 2-4 do not
    assert kendall_tau(order(1, 2, 3), order(1, 3, 4)) == pytest.approx((4 - 2) / 6)


def test_nothing_to_compare_is_absent() -> None:
    nothing, some = order(), order(4, 2)
    assert rank_biased_overlap(nothing, some) is None
    assert rank_biased_overlap(nothing, nothing) is None
    assert kendall_tau(nothing, some) is None
    assert kendall_tau(order(4), order(4)) is None
    assert displacements(nothing, some).tolist() == []


def test_displacements_by_hand() -> None:
    assert displacements(order(7, 3, 5), order(3, 5, 9, 7)).tolist() == [3, -1, -1]


@given(ORDERS, ORDERS, st.sampled_from([0.3, 0.9]))
def test_slow_twins_and_symmetry(one: list[int], other: list[int], persistence: float) -> None:
    overlap = rank_biased_overlap(order(*one), order(*other), persistence)
    assert overlap == pytest.approx(naive_orders.overlap(one, other, persistence), abs=1e-9)
    assert overlap == rank_biased_overlap(order(*other), order(*one), persistence)
    assert overlap is None or 0.0 <= overlap <= 1.0
    tau = kendall_tau(order(*one), order(*other))
    assert tau == pytest.approx(naive_orders.tau(one, other))
    assert tau == kendall_tau(order(*other), order(*one))
    assert tau is None or -1.0 <= tau <= 1.0


@given(st.permutations(range(9)), st.integers(0, 9))
def test_displacements_are_ranks_minus_slots(upstream: list[int], length: int) -> None:
    listed = sorted(upstream, key=lambda item: item * 7 % 9)[:length]
    expected = [upstream.index(item) - slot for slot, item in enumerate(listed)]
    assert displacements(order(*listed), order(*upstream)).tolist() == expected


@given(ORDERS, ORDERS)
def test_names_do_not_matter(one: list[int], other: list[int]) -> None:
    renamed = np.random.default_rng(3).permutation(13)
    for measure in (rank_biased_overlap, kendall_tau):
        again = measure(renamed[one].astype(np.int32), renamed[other].astype(np.int32))
        assert again == pytest.approx(measure(order(*one), order(*other)))


def test_overlap_is_of_the_shorter_list() -> None:
    assert overlap(np.array([3, 1, 2]), np.array([2, 3, 9])) == pytest.approx(2 / 3)
    assert overlap(np.array([3]), np.array([2, 3, 9])) == 1.0
    assert overlap(np.array([3, 4]), np.array([5, 6])) == 0.0
    assert overlap(np.array([], int), np.array([5, 6])) is None
