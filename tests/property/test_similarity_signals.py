"""Similarity from several signals beside its definition, pair by pair: what strategies compare, and what they pick."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker.candidates import Candidates, LabelProbabilities
from reranker.engine.features import MOST_LEVELS
from reranker.engine.mix import compared
from reranker.errors import InvalidInput
from reranker.kernels.rows import unit_rows, write_unit_row
from reranker.policy import Policy
from reranker.policy.compile import compiled
from tests.property.test_against_referees import check_lower, lower_case
from tests.reference import instances
from tests.reference.judge import Case, check_picks
from tests.reference.signal_cases import mixed

slow = pytest.mark.slow  # under coverage: thousands of lists with kernels as plain Python

Floats = NDArray[np.float64]
MODES = [(name, 0) for name in ("mmr", "msd", "dpp", "ssd", "cover")] + [(name, 3) for name in ("mmr", "dpp", "ssd")]
FLOAT32 = 2e-6  # rows are kept in float32


def similarities(policy: dict[str, Any], candidates: Candidates) -> tuple[Floats, Floats]:
    """All similarities as the exact chains see them, and as the scans' unit rows give them."""
    count = len(candidates)
    column, shifted = compared(compiled(Policy.from_dict(policy), count), candidates)
    if column is None:
        return np.eye(count), np.eye(count)
    order = np.arange(count, dtype=np.int32)
    own = np.empty((count, column.matrix.shape[1] + shifted))
    for i in range(count):
        write_unit_row(i, i, column.matrix, column.norms, shifted, own)
    exact = own @ own.T
    np.fill_diagonal(exact, 1.0)  # no candidate is ever compared with itself
    rows = np.empty((count, column.matrix.shape[1] + shifted), np.float32)
    unit_rows(column.matrix, column.norms, order, shifted, rows)
    scanned = (rows @ rows.T).astype(np.float64)
    assert (np.diag(scanned) <= 1.0 + FLOAT32).all()
    np.fill_diagonal(scanned, 1.0)
    return exact, scanned


@slow
@pytest.mark.parametrize("batch", range(8))
def test_similarities_are_what_the_words_say(batch: int) -> None:
    for seed in range(batch * 250, batch * 250 + 250):
        case = mixed(np.random.default_rng(seed))
        defined = case.twin().similarity
        exact, scanned = similarities(case.policy, case.candidates())
        where = f"seed {seed}: {case.policy['similarity_signals']}"
        np.testing.assert_allclose(exact, defined, atol=FLOAT32, rtol=0, err_msg=where)
        np.testing.assert_allclose(scanned, defined, atol=2 * FLOAT32, rtol=0, err_msg=where)
        assert (np.diag(exact) == 1.0).all(), where
        assert np.linalg.eigvalsh(exact).min() >= -1e-9, where


@slow
@pytest.mark.parametrize(
    ("strategy", "window"),
    [(name, 0) for name in ("mmr", "msd", "dpp", "ssd", "cover")] + [("mmr", 3), ("dpp", 3), ("ssd", 3)],
)
@pytest.mark.parametrize("batch", range(4))
def test_picks_equal_the_twin(strategy: str, window: int, batch: int) -> None:
    ties = slots = 0
    for seed in range(batch * 100, batch * 100 + 100):
        case = mixed(np.random.default_rng(seed), strategy)
        case = replace(case, policy={**case.policy, "objective": {**case.policy["objective"], "window": window}})
        picks = case.run().positions.tolist()
        slots += len(picks)
        try:
            ties += check_picks(case, picks)
        except AssertionError as problem:
            problem.add_note(f"seed {seed}: {case.policy}")
            raise
    assert ties < 0.05 * slots


@slow
def test_bounds_hold_under_a_mix() -> None:
    signals = [{"attribute": "tone", "kind": "equality"}, {"signal": "image", "weight": 0.3}]
    for seed in range(200):
        rng = np.random.default_rng(seed)
        case = lower_case(rng)
        named = {"image": instances.rows(rng, len(case.scores), 3)}
        check_lower(replace(case, policy={**case.policy, "similarity_signals": signals}, named=named))


@slow
@pytest.mark.parametrize("strategy", ["mmr", "msd", "dpp", "ssd", "cover"])
@pytest.mark.parametrize("similarity", ["auto", "cosine", "cosine_shifted"])
def test_one_embedding_alone_is_no_mix(strategy: str, similarity: str) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(1, 60))
        scores, rows = instances.scores(rng, count), instances.rows(rng, count, 5)
        words: dict[str, Any] = {"objective": {"strategy": strategy, "similarity": similarity}}
        signals = [{"signal": "image", "weight": float(rng.choice([0.01, 1.0, 7.0]))}]
        plain = Case(scores, None, {}, words, 20, named={"image": rows}).run()
        other = {"image": rng.normal(size=(count, 2)).astype(np.float32)}
        named = {**other, "image": rows} if seed % 2 else {"text": other["image"], "image": rows}
        alone = Case(scores, None, {}, {**words, "similarity_signals": signals}, 20, named=named).run()
        np.testing.assert_array_equal(plain.positions, alone.positions)
        np.testing.assert_array_equal(plain.gains, alone.gains)


@slow
def test_equal_candidates_are_equal_in_every_signal() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        case = mixed(rng, most=12)
        twice = Candidates(
            range(2 * len(case.scores)),
            np.tile(case.scores, 2),
            {name: np.tile(rows, (2, 1)) for name, rows in case.named.items()},
            {name: column * 2 for name, column in case.columns.items()},
        )
        exact, _ = similarities(case.policy, twice)
        half = len(case.scores)
        total = sum(signal.get("weight", 1.0) for signal in case.policy["similarity_signals"])
        for i in range(half):  # what is known of it is shared with its copy
            known = sum(s.get("weight", 1.0) for s in case.policy["similarity_signals"] if _known(case, s, i))
            assert exact[i, half + i] == pytest.approx(known / total, abs=1e-6), (seed, i)


def _known(case: Case, signal: dict[str, Any], item: int) -> bool:
    if "signal" in signal:
        return signal["signal"] in case.named and bool(case.named[signal["signal"]][item].any())
    value = case.columns.get(signal["attribute"], [None] * len(case.scores))[item]
    if signal["kind"] == "prefix" and value:
        return any(v.strip("/") for v in ([value] if isinstance(value, str) else value))
    return bool(value)


def test_labels_of_a_classifier_count_as_hard_ones() -> None:
    """Rule 8: the most probable label from its threshold on, else unknown, which is its own direction."""
    matrix = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.0, 0.0], [0.1, 0.9]])
    policy = {
        "similarity_signals": [{"attribute": "tone", "kind": "equality"}],
        "labels": {"tone": {"threshold": 0.7}},
    }
    candidates = Candidates(range(5), np.zeros(5), None, {"tone": LabelProbabilities(["a", "b"], matrix)})
    exact, _ = similarities(policy, candidates)
    expected = np.eye(5)
    expected[0, 1] = expected[1, 0] = 1.0
    np.testing.assert_array_equal(exact, expected)


def test_unknown_labels_are_never_alike_even_as_a_group() -> None:
    policy = {
        "similarity_signals": [{"attribute": "maker", "kind": "equality"}],
        "labels": {"unknown": "group"},
    }
    exact, _ = similarities(policy, Candidates(range(3), np.zeros(3), None, {"maker": [None, None, "a"]}))
    np.testing.assert_array_equal(exact, np.eye(3))


def many(kind: str, values: list[Any]) -> tuple[Floats, int]:
    policy = {"similarity_signals": [{"attribute": "a", "kind": kind}]}
    candidates = Candidates(range(len(values)), np.zeros(len(values)), None, {"a": values})
    column, _ = compared(compiled(Policy.from_dict(policy), 1), candidates)
    assert column is not None
    exact = (column.matrix.astype(np.float64) @ column.matrix.T) / np.outer(column.norms, column.norms)
    np.fill_diagonal(exact, 1.0)
    assert np.linalg.eigvalsh(exact).min() >= -1e-9
    return exact, column.matrix.shape[1]


@slow
def test_a_jaccard_of_many_sets_is_bounded_in_width_and_in_error() -> None:
    rng = np.random.default_rng(3)
    sets = [sorted(rng.choice(40, size=rng.integers(1, 7), replace=False).astype(str).tolist()) for _ in range(300)]
    popular = [["1", "2"]] * 100
    exact, width = many("jaccard", sets + popular)
    assert width == 128
    wanted = np.array([[len({*a} & {*b}) / len({*a} | {*b}) for b in sets + popular] for a in sets + popular])
    assert np.abs(exact - wanted).mean() < 0.02
    assert np.abs(exact - wanted)[300:, :].max() < 1e-6  # what many carry comes first, and a pivot is exact


def test_a_scale_of_many_places_is_rounded() -> None:
    rng = np.random.default_rng(4)
    places = rng.permutation(500)
    exact, width = many("ordinal", [str(place) for place in places])
    assert width == 128
    wanted = 1.0 - np.abs(places[:, None] - places[None, :]) / 499
    assert np.abs(exact - wanted).max() <= 1 / 127 + 1e-6


def test_equality_keeps_the_commonest_values() -> None:
    values = [f"v{i // 2}" for i in range(1200)] + ["often"] * 50
    exact, width = many("equality", values)
    assert width == 512
    assert (exact[1200:, 1200:] > 1 - 1e-6).all()
    pairs = [exact[2 * i, 2 * i + 1] for i in range(600)]
    assert sum(pair > 0.999 for pair in pairs) == 511
    assert sum(pair == 0 for pair in pairs) == 89


def test_values_alone_in_the_list_take_no_column() -> None:
    assert many("equality", ["a", "b", "c", "a"])[1] == 1
    assert many("jaccard", [["a"], ["b", "c"], ["d"], ["a", "e"]])[1] == 2
    exact, width = many("equality", ["a", "b", "c"])
    assert width == 1
    np.testing.assert_array_equal(exact, np.eye(3))


def test_an_order_has_to_be_declared_or_to_be_that_of_numbers() -> None:
    signal = {"attribute": "size", "kind": "ordinal"}
    values = ["small", "large", None]
    undeclared = Case(np.arange(3.0), None, {"size": values}, {"similarity_signals": [signal]}, 2)
    with pytest.raises(InvalidInput, match=r"\[labels.size\] values") as caught:
        undeclared.run()
    assert [violation.path for violation in caught.value.violations] == ["candidates.attributes['size']"]
    assert "small" not in str(caught.value)
    labels = {"size": {"values": ["small", "middle", "large"]}}
    exact, _ = similarities(
        {"similarity_signals": [signal], "labels": labels},
        Candidates(range(3), np.zeros(3), None, {"size": values}),
    )
    assert exact[0, 1] == pytest.approx(0.0, abs=1e-7)
    numbered, _ = similarities(
        {"similarity_signals": [signal]},
        Candidates(range(3), np.zeros(3), None, {"size": ["10-12", "1-3", "4-9"]}),
    )
    assert numbered[0, 1] == pytest.approx(0.0, abs=1e-7)
    assert numbered[0, 2] == pytest.approx(0.5, abs=1e-7)


def test_the_report_says_what_nobody_has() -> None:
    signals = [{"signal": "image"}, {"attribute": "genre", "kind": "jaccard"}]
    slate = Case(np.arange(3.0), None, {}, {"similarity_signals": signals}, 2).run()
    assert slate.positions.tolist() == [2, 1]
    assert slate.report.notes == (
        "no candidate has any of the similarity's signals: diversity has nothing to compare, relevance decides",
        "no candidate carries the embedding image that the policy names",
        "no candidate carries the attribute genre that the policy names",
    )
    rows = np.eye(3, dtype=np.float32)
    partly = Case(np.arange(3.0), None, {}, {"similarity_signals": signals}, 2, named={"image": rows}).run()
    assert partly.report.notes == ("no candidate carries the attribute genre that the policy names",)
    assert partly.report.signals.absent_attributes == ("genre",)


def test_explanations_keep_to_the_first_embedding() -> None:
    rows = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    signals = [{"attribute": "genre", "kind": "equality"}]
    columns = {"genre": ["x", "y", "x"]}
    case = Case(np.array([3.0, 2.0, 1.0]), rows, columns, {"similarity_signals": signals}, 2)
    first, second = case.run(explain=True).explanations
    assert (first.nearest_similarity, second.upstream_rank) == (None, 2)
    assert second.nearest_similarity == pytest.approx(1.0)
    assert second.diversity_part == 0.0


def test_ids_of_many_levels_are_compared_by_their_first_ones() -> None:
    deep = ["/".join(["a"] * depth) for depth in (MOST_LEVELS, MOST_LEVELS + 200, 5000)]
    policy = {"similarity_signals": [{"attribute": "path", "kind": "prefix"}]}
    exact, _ = similarities(policy, Candidates([0, 1, 2], [3.0, 2.0, 1.0], None, {"path": deep}))
    assert exact == pytest.approx(np.ones((3, 3)))
