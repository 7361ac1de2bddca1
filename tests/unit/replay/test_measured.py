from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reranker import Candidates, rerank
from reranker.measures import slot_attention
from reranker.policy import Policy
from reranker.replay.arrow import records_of, replay_batches
from reranker.replay.lists import ToMeasure
from reranker.replay.measured import MeasuredLists, Yardstick
from reranker.replay.numbers import Numbers
from reranker.replay.one import Replayer
from reranker.replay.plan import Entry, Plan, upstream
from reranker.replay.vocabulary import Vocabulary
from reranker.replay.words import MEANINGS, Measure
from reranker.slate import Slate
from reranker.v1.request_log_pb2 import RequestLog
from tests.reference.slates_one_by_one import Measured, MeasuredList, Presence
from tests.unit.replay.runs import policy

Positions = NDArray[np.int32]
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
    return slate, alone(candidates, Yardstick.of([of]), slate.positions, of)


def alone(candidates: Candidates, yardstick: Yardstick, positions: Positions, of: Policy) -> Measured:
    """One slate, measured by what measures many."""
    vocabulary = Vocabulary()
    numbers, column = Numbers(vocabulary), next(iter(candidates.embeddings.values()), None)
    made = ToMeasure(0, positions, of, None if column is None else column.matrix[positions])
    found = MeasuredLists([candidates], [{}], yardstick, vocabulary).measure([made], np.zeros(1, np.intp), numbers)
    _, named, amounts = numbers.table(1)
    words = vocabulary.texts
    measures = [Measure(*(words[each] for each in texts)) for texts in zip(*map(np.ndarray.tolist, named), strict=True)]
    presences = []
    for at, (first, length) in enumerate(zip(found.slots.starts.tolist(), found.slots.lengths.tolist(), strict=True)):
        texts = words[found.attribute[at]], words[found.value[at]]
        slots = tuple(found.slot[first : first + length].tolist())
        came = int(found.lifted[at]), float(found.lifted_score[at])
        gone = int(found.dropped[at]), float(found.dropped_score[at])
        presences.append(Presence(*texts, int(found.supply[at]), slots, *came, *gone))
    return Measured(dict(zip(measures, amounts.tolist(), strict=True)), tuple(presences))


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
    found = alone(candidates, yardstick, np.array([0, 1, 2, 3], np.int32), policy("any"))
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
    found = alone(candidates, Yardstick(("tone",)), np.array([1], np.int32), policy("any"))
    assert Measure("relevance_retained") not in found.numbers
    assert Measure("in_group_fairness", "tone") not in found.numbers
    assert Measure("ndcg") in found.numbers


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1_000_000), st.booleans(), st.sampled_from([None, -0.5, 0.2]))
def test_many_slates_at_once_have_the_bits_that_each_has_alone(seed: int, named: bool, zero: float | None) -> None:
    generator = np.random.default_rng(seed)
    records = [odd(generator, number) for number in range(8)]
    domains = {"genre": ("g1", "g2", "nobody's"), "tone": ("light", "dark")} if seed % 2 else {}
    yardstick = Yardstick(("tone", "genre", "creator", "gender") if named else (), {"gender": 0.4}, domains, zero)
    plan = Plan((Entry("upstream", upstream()), *(Entry(of.name, of) for of in JUDGED)), yardstick)
    (results,) = replay_batches([records_of(0, records)], plan)
    expected = one_by_one(plan, records)
    found = results.select(["numbers", "presences"]).to_pylist()
    assert len(found) == len(expected)
    for row, (numbers, presences) in zip(found, expected, strict=True):
        assert repr(row["numbers"]) == repr(numbers)
        assert repr(row["presences"]) == repr(presences)
    cut = int(generator.integers(0, 9))
    parts = list(replay_batches([records_of(0, records[:cut]), records_of(cut, records[cut:])], plan))
    assert repr(pa.Table.from_batches(parts).to_pylist()) == repr(results.to_pylist())


JUDGED = (
    policy(
        "varied", objective={"strategy": "mmr", "diversity": 0.6}, quotas=[{"attribute": "genre", "max_per_value": 2}]
    ),
    policy("guarded", guard={"min_score": -0.5, "where": {"tone": ["light", "dark"]}}),
    policy("strict", guard={"min_share_of_best": 0.3}, objective={"score_zero": -1.0}),
)


def one_by_one(plan: Plan, records: list[bytes]) -> list[tuple[list[dict[str, object]], list[dict[str, object]]]]:
    """The numbers and presences of every row, each slate measured by itself."""
    replayer, rows = Replayer(plan), []
    for record in records:
        decoded = replayer.decoded(RequestLog.FromString(record))
        assert not isinstance(decoded, str)
        laid_out = MeasuredList(decoded.candidates, plan.yardstick, decoded.context.targets)
        for entry in plan.entries:
            slate = replayer.slate(decoded, entry)
            own = laid_out.measure(slate.positions, entry.policy)
            met = slate.report.status.value in ("SATISFIED", "NOT_TRIGGERED")
            broken = sum(each.status.value == "BROKEN" and not each.soft for each in slate.report.quotas)
            fates = {"answered": 1.0, "bounds_met": float(met), "quotas_broken": float(broken)}
            numbers = {**own.numbers, **{Measure(name): number for name, number in fates.items()}}
            named = [
                {"measure": of.name, "attribute": of.attribute, "value": of.value, "number": number}
                for of, number in sorted(numbers.items())
            ]
            rows.append((named, [asdict(each) | {"slots": list(each.slots)} for each in own.presences]))
    return rows


def odd(generator: np.random.Generator, number: int) -> bytes:
    """A request with whatever is rare: odd scores, missing embeddings, many values, classifiers, targets."""
    log = RequestLog()
    request, lists = log.request, log.request.candidates
    count = int(generator.integers(1, 40))
    request.request_id, request.slate_size = f"o{number}", int(generator.integers(1, 14))
    lists.item_ids.extend(f"i{i}" for i in range(count))
    scores = generator.normal(size=count)
    lists.scores.extend([scores, np.abs(scores), np.abs(scores) * 1e200, np.zeros(count)][number % 4])
    if number % 3:
        vectors = generator.normal(size=(count, 5)).astype("<f4")
        vectors[generator.random(count) < 0.2] = 0.0
        lists.embeddings.add(dimension=5, float32=vectors.tobytes())
    for name, values, most in (("genre", 9, 4), ("creator", 45, 2)):
        if generator.random() < 0.8:
            own = [
                sorted(generator.choice(values, int(generator.integers(0, most)), replace=False)) for _ in range(count)
            ]
            codes = [int(code) + 1 for each in own for code in each]
            offsets = np.cumsum([0, *map(len, own)]).tolist()
            lists.attributes.add(
                name=name, dictionary=[f"{name[0]}{i}" for i in range(values)], codes=codes, offsets=offsets
            )
    tones = generator.integers(0, 4, count).tolist()
    lists.attributes.add(name="tone", dictionary=["light", "dark", "medium"], codes=tones)
    likely = generator.dirichlet([0.3] * 3, count).astype("<f4") * 0.99
    lists.attributes.add(name="gender", dictionary=["f", "m", "x"], probabilities=likely.ravel().tolist())
    if number % 2:
        target = request.context.targets.add(attribute="tone")
        for value, share in (("light", 0.5), ("rose", 0.3), ("dark", 0.0)):
            target.shares.add(value=value, share=share)
    return log.SerializeToString()
