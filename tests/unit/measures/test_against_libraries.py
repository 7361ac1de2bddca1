"""What independent libraries answer for the same input; the numbers were taken once, no library is needed here."""

import math

import numpy as np
import pytest

from reranker.measures import (
    Membership,
    alpha_ndcg,
    awrf,
    entropy,
    err_ia,
    exposure_parity,
    gini,
    kendall_tau,
    log_determinant,
    mean_exposure,
    rank_biased_overlap,
    rkl,
    rnd,
    rrd,
    subtopic_recall,
    unit_rows,
    vendi_score,
)

TOPICS = ["b", "ae", "acd", "", "abd", "ad", "a", "acd", "", "e", "", "ade"]
ORDER = np.array([6, 5, 9, 10, 7, 1, 11, 4, 2, 8, 0, 3])
GROUPS = "aabacbbcaabcba"  # 14 items of three groups


def carrying(items: list[str] | str, values: str) -> Membership:
    return Membership.of_matrix(np.array([[value in item for value in values] for item in items], bool))


# pyndeval 0.0.8 (TREC's ndeval): alpha, depth, alpha-nDCG@depth, ERR-IA@depth, strec@depth.
@pytest.mark.parametrize(
    ("alpha", "depth", "novelty", "reciprocal", "recall"),
    [
        (0.5, 3, 0.488121150816494, 0.3125, 0.6),
        (0.5, 5, 0.562521927401272, 0.35340393343419063, 0.8),
        (0.5, 10, 0.6963364504500202, 0.4078441546822929, 1.0),
        (0.5, 12, 0.7201851189761919, None, 1.0),
        (0.25, 3, 0.4617390350257754, 0.2826666666666667, 0.6),
        (0.25, 5, 0.5191942635554422, 0.3085439229843562, 0.8),
        (0.25, 10, 0.7134022574889851, 0.37320682903657953, 1.0),
    ],
)
def test_subtopics_as_ndeval(alpha: float, depth: int, novelty: float, reciprocal: float | None, recall: float) -> None:
    supply = carrying(TOPICS, "abcde")
    listed = supply.of(ORDER[:depth])
    assert alpha_ndcg(listed, supply, alpha) == pytest.approx(novelty, rel=1e-12)
    assert subtopic_recall(listed, supply) == recall
    if reciprocal is not None:
        # ndeval divides by what an item about everything in every slot would have.
        most = sum(alpha * (1 - alpha) ** (slot - 1) / slot for slot in range(1, depth + 1))
        assert err_ia(listed, supply, alpha) == pytest.approx(reciprocal * most, rel=1e-12)


def test_clarkes_example_as_ndeval() -> None:
    nuggets = Membership.of_matrix(
        np.array([[n in found for n in range(6)] for found in [[2, 4], [2], [2], [], [1, 3], [1], [5], [1], [], []]])
    )
    assert alpha_ndcg(nuggets.of(np.arange(5)), nuggets) == pytest.approx(0.7706689322711068, rel=1e-12)
    assert alpha_ndcg(nuggets, nuggets) == pytest.approx(0.8759994181683828, rel=1e-12)


def test_variety_as_vendi_score_and_scipy() -> None:
    rows = np.array(
        [[5, -1, -2, 0], [2, -2, 5, -2], [-3, 0, 4, 5], [3, 2, 4, 4], [2, 1, 0, -1], [0, -2, 1, 5]], np.float32
    )
    unit = unit_rows(rows, np.linalg.norm(rows.astype(np.float64), axis=1), np.arange(6))
    assert vendi_score(unit) == pytest.approx(3.3886043585228687, rel=1e-12)  # vendi-score 0.0.3, score_K
    assert log_determinant(unit[:5]) == pytest.approx(-4.071235643348801, rel=1e-12)  # scipy 1.17.1, linalg.det


def test_concentration_as_scipy_and_ineqpy() -> None:
    counts = np.array([7, 1, 0, 4, 3])
    assert entropy(counts) == pytest.approx(1.2105578441774711, rel=1e-12)  # scipy 1.17.1, stats.entropy
    assert gini(counts) == pytest.approx(0.5666666666666665 * 4 / 5, rel=1e-12)  # ineqpy 0.4.1, which adds n / (n - 1)


# rbo 0.1.3, rbo_ext.
@pytest.mark.parametrize(
    ("one", "other", "persistence", "expected"),
    [
        ("abcdefg", "cabdfeg", 0.9, 0.841878),
        ("abcde", "bafgcdhe", 0.9, 0.7111177392857142),
        ("abcdef", "ghbacij", 0.7, 0.22770299999999993),
        ("ab", "cd", 0.9, 0.0),
        ("a", "abcd", 0.5, 1.0),
    ],
)
def test_overlap_as_rbo(one: str, other: str, persistence: float, expected: float) -> None:
    first, second = (np.array([ord(letter) for letter in letters]) for letters in (one, other))
    assert rank_biased_overlap(first, second, persistence) == pytest.approx(expected, rel=1e-12)


def test_tau_as_scipy() -> None:
    # scipy 1.17.1, stats.kendalltau of the ranks
    other = np.array([2, 0, 1, 5, 3, 4, 9, 6, 8, 7])
    assert kendall_tau(np.arange(10), other) == pytest.approx(0.6444444444444444, rel=1e-12)


def test_awrf_as_scipy() -> None:
    # 1 - scipy 1.17.1 spatial.distance.jensenshannon squared, of attention by group beside 0.4, 0.4, 0.2
    listed, target = carrying(GROUPS, "abc"), np.array([0.4, 0.4, 0.2])
    assert awrf(listed, target) == pytest.approx(0.9927477754391795, rel=1e-12)
    trec = 1.0 / np.log2(np.maximum(np.arange(1, 15), 2))  # the weights of TREC Fair Ranking 2021
    assert awrf(listed, target, trec) == pytest.approx(0.9911758546794586, rel=1e-12)


def test_exposure_as_fairranktune() -> None:
    # FairRankTune 0.0.7, EXP with MinMaxRatio: the first 8 of 14 items are ranked
    supply = carrying(GROUPS, "abc")
    listed = supply.of(np.arange(8))
    means = [0.3436010519408084, 0.23790810408827107, 0.23410589467342346]
    assert mean_exposure(listed, supply).tolist() == pytest.approx(means, rel=1e-12)
    assert exposure_parity(listed, supply) == pytest.approx(0.6813305528347232, rel=1e-12)


def test_ranked_groups_as_their_authors() -> None:
    # github.com/DataResponsibly/FairRank at cc20367, measures.py with normaliser 1: three orders of 30, 9 protected, no
    # prefix of one group alone. Its normaliser is simulated, so ratios are compared: ours is the same for all three.
    text = "xoxxoxoooxooxoooxoooxooxoooooo"
    orders = [text, text[::-1], text[11:] + text[:11]]
    theirs = {
        rnd: [0.06919647769842521, 0.05167350750148407, 0.011383512434847646],
        rkl: [0.03825483606049492, 0.019183046703240034, 0.0020247065156577784],
        rrd: [0.0, 0.09227412053836442, 0.021682880828281233],
    }
    supply = carrying(text, "xo")
    for measure, expected in theirs.items():
        found = [float(measure(carrying(order, "xo"), supply, np.array([0.3, np.nan]))[0]) for order in orders]
        assert found == pytest.approx([value * found[1] / expected[1] for value in expected], rel=1e-9)
        assert math.isfinite(found[1])
