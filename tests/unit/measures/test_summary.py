import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.measures import measure_slate
from reranker.slate import OrderMeasures, SlateMeasures
from tests.reference import instances, naive_fairness, naive_measures, naive_orders, naive_subtopics
from tests.reference.naive_strategies import upstream_order


def measure(candidates: Candidates, positions: list[int], slate_size: int, **options: Any) -> SlateMeasures:
    settings: dict[str, Any] = {
        "attributes": list(candidates.attributes),
        "declared": {},
        "threshold_by_attribute": {},
        "guarded": None,
        "embedding": next(iter(candidates.embeddings.values()), None),
        **options,
    }
    order = np.array(upstream_order(candidates.scores), np.int32)
    return measure_slate(candidates, np.array(positions, np.int32), order, slate_size, **settings)


SHADES = Candidates(
    ids=["p1", "p2", "p3", "p4"],
    scores=[4.0, 3.0, 2.0, 1.0],
    embeddings=np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.float32),
    attributes={"tone": ["light", "light", "dark", None]},
)


def test_before_and_after_by_hand() -> None:
    found = measure(SHADES, [0, 2], 2)
    before, after = found.before.groups["tone"], found.after.groups["tone"]
    assert found.before.ndcg == 1.0
    assert found.after.ndcg == pytest.approx((4 + 2 / math.log2(3)) / (4 + 3 / math.log2(3)))
    assert (found.before.intra_list_average_distance, found.after.intra_list_minimum_distance) == (0.0, 1.0)
    assert before.values == after.values == ("light", "dark")
    assert (before.shares, after.shares) == ((1.0, 0.0), (0.5, 0.5))
    assert before.reference_shares == pytest.approx((2 / 3, 1 / 3))
    assert not before.reference_declared
    assert (before.div, after.div, after.div_ceiling, after.div_ceiling_guarded) == (0.0, 1.0, 1.0, 1.0)
    assert (after.min_skew, after.max_skew) == pytest.approx((math.log(0.75), math.log(1.5)))
    assert (before.label_coverage, measure(SHADES, [0, 3], 2).after.groups["tone"].label_coverage) == (1.0, 0.5)


def test_declared_shares_are_the_reference_and_name_the_values_of_div() -> None:
    declared = {"tone": {"dark": 0.5, "light": 0.5, "deep": 0.0}}
    group = measure(SHADES, [0, 2], 2, declared=declared).after.groups["tone"]
    assert group.values == ("dark", "light", "deep")
    assert group.reference_shares == (0.5, 0.5, 0.0)
    assert group.reference_declared
    assert (group.div, group.min_skew, group.max_skew) == (1.0, 0.0, 0.0)


def test_a_domain_asks_div_for_values_that_nobody_carries() -> None:
    group = measure(SHADES, [0, 2], 2, domains={"tone": ["light", "dark", "deep"]}).after.groups["tone"]
    assert (group.div, group.div_ceiling) == (0.0, 0.0)
    assert group.reference_shares == pytest.approx((2 / 3, 1 / 3, 0))
    narrow = measure(SHADES, [0, 1], 2, domains={"tone": ["light"]}).after.groups["tone"]
    assert (narrow.values, narrow.div) == (("light", "dark"), 1.0)


def test_a_target_for_some_values_leaves_the_rest_to_all_others() -> None:
    group = measure(SHADES, [0, 2], 2, declared={"tone": {"dark": 0.5}}).after.groups["tone"]
    assert group.values == ("dark",)
    assert group.ndkl == pytest.approx(math.log(2) / (1 + 1 / math.log2(3)))


def test_guard_lowers_its_own_ceiling_only() -> None:
    guarded = np.array([True, True, False, True])
    group = measure(SHADES, [0, 1], 2, guarded=guarded).after.groups["tone"]
    assert (group.div_ceiling, group.div_ceiling_guarded) == (1.0, 0.0)
    assert guarded.tolist() == [True, True, False, True]
    assert measure(SHADES, [0, 1, 2], 3, guarded=guarded).after.groups["tone"].div_ceiling_guarded == 1.0


def test_an_attribute_that_no_candidate_has() -> None:
    found = measure(SHADES, [0], 1, attributes=["tone", "size"], declared={"size": {"plus": 0.5}})
    group = found.after.groups["size"]
    assert (group.values, group.shares, group.label_coverage) == (("plus",), (0.0,), 0.0)
    assert (group.div, group.div_ceiling, group.min_skew, group.ndkl) == (0.0, 0.0, None, None)
    nameless = measure(SHADES, [0], 1, attributes=["size"]).after.groups["size"]
    assert (nameless.values, nameless.div, nameless.div_ceiling) == ((), None, None)


def test_nothing_at_all() -> None:
    found = measure(Candidates([], []), [], 10, attributes=["tone"])
    assert found.before == found.after
    assert found.after.ndcg is None
    assert found.after.groups["tone"].label_coverage == 0.0


def test_a_slate_size_above_the_list_measures_the_list() -> None:
    found = measure(SHADES, [0, 1, 2, 3], 99)
    assert found.before == found.after


def naive_column(column: list[Any]) -> list[frozenset[str]]:
    return [frozenset() if v is None else frozenset([v] if isinstance(v, str) else v) for v in column]


def test_slow_twins_on_random_requests() -> None:
    rng = np.random.default_rng(8)
    for _ in range(150):
        count, slate_size = int(rng.integers(1, 8)), int(rng.integers(1, 5))
        scores = instances.scores(rng, count)
        rows = instances.rows(rng, count, 3)
        columns: dict[str, Any] = {
            "tone": instances.column(rng, count, ["a", "b", "c"]),
            "genre": instances.lists(rng, count, ["x", "y", "z"]),
        }
        declared = {"tone": {"a": 0.5, "b": 0.3}} if rng.random() < 0.5 else {}
        guarded = rng.random(count) < 0.7
        order = upstream_order(scores)
        picked = rng.permutation(count)[:slate_size].tolist()
        candidates = Candidates(list(range(count)), scores, rows, columns)
        found = measure(candidates, picked, slate_size, declared=declared, guarded=guarded)
        for listed, measures in ((picked, found.after), (order[:slate_size], found.before)):
            assert measures.ndcg == pytest.approx(naive_measures.ndcg(scores.tolist(), listed, order, None))
            distances = naive_measures.distances(rows[listed].astype(float).tolist())
            assert (measures.intra_list_average_distance, measures.intra_list_minimum_distance) == pytest.approx(
                distances, abs=1e-9
            )
            for name, column in columns.items():
                check_group(measures.groups[name], naive_column(column), listed, declared.get(name), guarded, order)
                check_subtopics(measures.groups[name], naive_column(column), listed, order)
                check_fairness(measures.groups[name], naive_column(column), listed, declared.get(name), scores.tolist())
            check_variety(measures, rows[listed].astype(float).tolist())
        check_change(found.change, picked, order)


def check_group(
    group: Any,
    items: list[frozenset[str]],
    listed: list[int],
    declared: dict[str, float] | None,
    guarded: NDArray[np.bool_],
    order: list[int],
) -> None:
    values = sorted({value for item in items for value in item}) if declared is None else list(declared)
    reference = {value: naive_measures.share(items, value) for value in values} if declared is None else declared
    chosen = [items[position] for position in listed]
    assert sorted(group.values) == values
    by_value = dict(zip(group.values, group.shares, strict=True))
    assert by_value == pytest.approx({value: naive_measures.share(chosen, value) for value in values})
    skew = naive_measures.skews(chosen, reference)
    assert (group.min_skew, group.max_skew) == pytest.approx(skew or (None, None))
    if declared is not None or sum(reference.values()) <= 1.0 + 1e-9:
        assert group.ndkl == pytest.approx(naive_measures.ndkl(chosen, reference), abs=1e-12)
    assert group.label_coverage == pytest.approx(sum(map(bool, chosen)) / len(chosen))
    assert group.div == naive_measures.div(chosen, values)
    free = [True] * len(items)
    assert group.div_ceiling == naive_measures.ceiling(items, values, len(listed), free, order)
    assert group.div_ceiling_guarded == naive_measures.ceiling(items, values, len(listed), guarded.tolist(), order)


def check_subtopics(group: Any, items: list[frozenset[str]], listed: list[int], order: list[int]) -> None:
    """Only the values of the report are asked for; of equal ideals upstream takes the first."""
    named = [item & set(group.values) for item in items]
    chosen, candidates = [named[at] for at in listed], [named[at] for at in order]
    assert group.value_coverage == naive_subtopics.coverage(chosen, group.values)
    assert group.subtopic_recall == naive_subtopics.recall(chosen, candidates)
    assert group.alpha_ndcg == pytest.approx(naive_subtopics.alpha_ndcg(chosen, candidates, 0.5))
    halves = [dict.fromkeys(item, 0.5) for item in chosen]
    assert group.err_ia == pytest.approx(naive_subtopics.err_ia(chosen, candidates, halves))


def check_fairness(
    group: Any, items: list[frozenset[str]], listed: list[int], declared: dict[str, float] | None, scores: list[float]
) -> None:
    chosen, values = [items[at] for at in listed], group.values
    others = [bool(item) and not item & set(values) for item in items]
    counts = [sum(value in item for item in chosen) for value in values]
    if any(others):
        counts.append(sum(others[at] for at in listed))
    assert group.entropy == pytest.approx(naive_fairness.entropy(counts), abs=1e-12)
    assert group.gini == pytest.approx(naive_fairness.gini(counts), abs=1e-12)
    reference = dict(zip(values, group.reference_shares, strict=True))
    weights = naive_fairness.attention(len(chosen))
    assert group.awrf == pytest.approx(naive_fairness.awrf(chosen, reference, weights))
    assert group.calibration_kl == pytest.approx(naive_fairness.calibration(chosen, reference, 0.01), abs=1e-12)
    assert group.exposure_parity == pytest.approx(naive_fairness.exposure_parity(items, listed, values))
    gains = naive_measures.gains(scores, None, always=False)
    ratios = [naive_fairness.in_group(items, gains, listed, value) for value in values] if gains else []
    assert group.in_group_fairness == pytest.approx(min((r for r in ratios if r is not None), default=None))
    if declared is None:
        named = [(value, reference[value], naive_fairness.difference) for value in values]
        found = [ranked(items, listed, *words) for words in named]
        assert group.rnd == pytest.approx(max((value for value in found if value is not None), default=None))


def ranked(items: list[frozenset[str]], listed: list[int], value: str, share: float, distance: Any) -> float | None:
    flags = [value in item if item else None for item in items]
    return naive_fairness.normalised([flags[at] for at in listed], flags, share, 10, distance)


def check_variety(measures: Any, rows: list[list[float]]) -> None:
    assert measures.vendi_score == pytest.approx(naive_subtopics.vendi(rows), abs=1e-6)
    determinant = naive_subtopics.determinant(rows)
    if measures.log_determinant is None:
        assert not any(map(any, rows)) or determinant == pytest.approx(0.0, abs=1e-9)
    else:
        assert math.exp(measures.log_determinant) == pytest.approx(determinant)


def check_change(change: Any, picked: list[int], order: list[int]) -> None:
    before = order[: len(picked)]
    assert change.rank_biased_overlap == pytest.approx(naive_orders.overlap(picked, before, 0.9))
    assert change.kendall_tau == pytest.approx(naive_orders.tau(picked, before))
    moved = [abs(order.index(item) - slot) for slot, item in enumerate(picked)]
    assert (change.mean_displacement, change.max_displacement) == (pytest.approx(sum(moved) / len(moved)), max(moved))


def test_the_upstream_order_beside_itself() -> None:
    found = measure(SHADES, [0, 1], 2)
    assert found.change == OrderMeasures(1.0, 1.0, 0.0, 0)
    assert found.after.groups["tone"].in_group_fairness == 1.0
    moved = measure(SHADES, [2, 0], 2).change
    assert (moved.mean_displacement, moved.max_displacement) == (1.5, 2)


def test_negative_scores_without_a_zero_have_no_share_of_relevance() -> None:
    scores = [4.0, 3.0, 2.0, -1.0]
    shades = Candidates(["p1", "p2", "p3", "p4"], scores, None, {"tone": ["light", "light", "dark", None]})
    assert measure(shades, [1, 2], 2).after.groups["tone"].in_group_fairness is None
    assert measure(shades, [1, 2], 2, score_zero=-2.0).after.groups["tone"].in_group_fairness == pytest.approx(5 / 6)


def test_many_values_are_no_protected_groups() -> None:
    count = 40
    candidates = Candidates(
        range(count), np.arange(count, 0.0, -1.0), None, {"creator": [f"c{i}" for i in range(count)]}
    )
    group = measure(candidates, list(range(20)), 20).after.groups["creator"]
    assert (group.rnd, group.rkl, group.rrd) == (None, None, None)
    assert group.gini == pytest.approx(0.5)
    assert group.exposure_parity == 0.0


def test_candidates_of_no_named_value_are_one_group() -> None:
    group = measure(SHADES, [0, 2], 2, declared={"tone": {"dark": 0.5}}).after.groups["tone"]
    assert group.entropy == pytest.approx(math.log(2))
    assert group.gini == 0.0
    assert group.exposure_parity == pytest.approx(0.5 / (1 / math.log2(3)))
    assert group.calibration_kl == pytest.approx(0.0)
    assert group.rnd == pytest.approx(0.0)
