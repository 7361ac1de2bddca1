import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker import Candidates, rerank
from reranker.measures import slot_attention
from reranker.policy import Policy
from reranker.replay.measured import Measured, MeasuredList, Yardstick
from reranker.replay.words import MEANINGS, Measure
from reranker.slate import Slate
from tests.unit.replay.runs import policy

GUARDED = policy(
    "guarded",
    objective={"strategy": "mmr", "diversity": 0.4, "score_zero": 0.1},
    guard={"min_share_of_best": 0.4},
    quotas=[{"attribute": "tone", "min_share": {"light": 0.2, "dark": 0.2}}],
    labels={"tone": {"values": ["light", "medium", "dark"]}, "form": {"values": ["a", "b"]}},
)


def drawn(seed: int, count: int = 24) -> Candidates:
    generator = np.random.default_rng(seed)
    tones, forms = np.array(["light", "medium", "dark", None]), np.array(["a", "b", None])
    return Candidates(
        [f"i{i}" for i in range(count)],
        generator.random(count),
        generator.normal(size=(count, 3)).astype(np.float32),
        {"tone": generator.choice(tones, count).tolist(), "form": generator.choice(forms, count).tolist()},
    )


def measured(candidates: Candidates, of: Policy, slots: int = 8) -> tuple[Slate, Measured]:
    slate = rerank(candidates, of, slots)
    return slate, MeasuredList(candidates, Yardstick.of([of])).measure(slate.positions, of)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_replay_measures_what_the_answer_measures(seed: int) -> None:
    slate, found = measured(drawn(seed), GUARDED)
    report = slate.report.measures
    expected: dict[Measure, float | int | None] = {
        Measure("relevance_retained"): slate.report.relevance_retained,
        Measure("ndcg"): report.after.ndcg,
        Measure("intra_list_average_distance"): report.after.intra_list_average_distance,
        Measure("intra_list_minimum_distance"): report.after.intra_list_minimum_distance,
        Measure("upstream_rbo"): report.change.rank_biased_overlap,
        Measure("mean_displacement"): report.change.mean_displacement,
    }
    for attribute, group in report.after.groups.items():
        for name in (
            *("div", "div_ceiling", "div_ceiling_guarded", "min_skew", "max_skew", "ndkl", "awrf"),
            *("exposure_parity", "in_group_fairness", "label_coverage"),
        ):
            expected[Measure(name, attribute)] = getattr(group, name)
    for measure, number in expected.items():
        assert found.numbers.get(measure) == (None if number is None else pytest.approx(number)), measure
    for measure, number in found.numbers.items():
        meaning = MEANINGS[measure.name]
        assert meaning.low - 1e-9 <= number <= meaning.high + 1e-9, measure


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_attention_by_value_adds_up_and_its_gap_is_half_of_what_is_amiss(seed: int) -> None:
    candidates = drawn(seed)
    slate, found = measured(candidates, GUARDED)
    attention = slot_attention(len(slate))
    tones = candidates.attributes["tone"]
    codes = tones.codes[slate.positions]
    labelled = attention[codes > 0].sum()
    if labelled == 0.0:
        return
    amiss = 0.0
    for code, value in enumerate(tones.values, start=1):
        share = attention[codes == code].sum() / labelled
        due = np.count_nonzero(tones.codes == code) / np.count_nonzero(tones.codes)
        assert found.numbers[Measure("attention", "tone", value)] == pytest.approx(share)
        assert found.numbers[Measure("attention_shortfall", "tone", value)] == pytest.approx(max(0.0, due - share))
        amiss += abs(due - share)
    assert found.numbers[Measure("attention_gap", "tone")] == pytest.approx(amiss / 2.0)
    unknown = attention[codes == 0].sum() / attention.sum()
    assert found.numbers[Measure("unknown_attention", "tone")] == pytest.approx(unknown)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_presences_say_who_stands_where_and_who_came_and_went(seed: int) -> None:
    candidates = drawn(seed)
    slate, found = measured(candidates, GUARDED)
    top = np.argsort(-candidates.scores, kind="stable")[: len(slate)]
    gains = np.maximum(candidates.scores - 0.1, 0.0)
    for presence in found.presences:
        if presence.attribute != "tone":
            continue
        column = candidates.attributes["tone"]
        code = column.values.index(presence.value) + 1 if presence.value else 0
        carries = column.codes == code
        assert presence.supply == np.count_nonzero(carries)
        assert [slot for slot in range(1, len(slate) + 1) if carries[slate.positions[slot - 1]]] == list(presence.slots)
        came = [p for p in slate.positions if carries[p] and p not in top]
        went = [p for p in top if carries[p] and p not in slate.positions]
        assert (presence.lifted, presence.dropped) == (len(came), len(went))
        assert presence.lifted_score == pytest.approx(gains[came].sum() / gains.max())
        assert presence.dropped_score == pytest.approx(gains[went].sum() / gains.max())
    assert sum(len(p.slots) for p in found.presences if p.attribute == "tone") == len(slate)


def test_a_pair_of_attributes_is_measured_as_one_with_every_combination() -> None:
    candidates = Candidates(
        ["a", "b", "c", "d"],
        [4.0, 3.0, 2.0, 1.0],
        attributes={"tone": ["light", "dark", None, "dark"], "form": [["a", "b"], ["a"], ["a"], []]},
    )
    yardstick = Yardstick(("tone", "form"))
    found = MeasuredList(candidates, yardstick).measure(np.array([0, 1, 2, 3], np.int32), policy("any"))
    pairs = {p.value: p for p in found.presences if p.attribute == "tone × form"}
    assert {value: p.slots for value, p in pairs.items()} == {
        "light × a": (1,),
        "light × b": (1,),
        "dark × a": (2,),
        "": (3, 4),
    }
    one, two = slot_attention(2)
    assert found.numbers[Measure("attention", "tone × form", "dark × a")] == pytest.approx(two / (one + two))


def test_every_policy_is_measured_by_the_same_yardstick() -> None:
    stricter = policy("stricter", labels={"tone": {"threshold": 0.9}}, objective={"score_zero": 2.0})
    yardstick = Yardstick.of([GUARDED, stricter], ["creator"])
    assert yardstick.thresholds["tone"] == 0.5
    assert yardstick.score_zero == 0.1
    assert set(yardstick.attributes) == {"tone", "form", "creator"}
    assert Yardstick.of([policy("bare")]).named(drawn(1)) == ("tone", "form")


def test_scores_without_a_zero_leave_shares_of_relevance_out() -> None:
    candidates = Candidates(["a", "b"], [1.0, -1.0], attributes={"tone": ["light", "dark"]})
    found = MeasuredList(candidates, Yardstick(("tone",))).measure(np.array([1], np.int32), policy("any"))
    assert Measure("relevance_retained") not in found.numbers
    assert Measure("in_group_fairness", "tone") not in found.numbers
    assert Measure("ndcg") in found.numbers
