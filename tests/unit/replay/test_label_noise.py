"""What is left of a gain where labels are wrong: drawn truths, intervals over both, and a verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.errors import InvalidInput
from reranker.replay.bootstrap import Column, Sums, intervals, pooled_intervals
from reranker.replay.comparison import Comparison, compare
from reranker.replay.gates import Gate, Gates, Outcome
from reranker.replay.measured import Yardstick
from reranker.replay.noise import LabelNoise, drawn, read_noise, true_shares
from reranker.replay.noisy import under_noise
from reranker.replay.plan import Plan
from reranker.replay.results import Results
from reranker.replay.survey import Traffic
from reranker.replay.verdict import headline, sentences
from reranker.requestlog import write
from reranker.v1.request_log_pb2 import RequestLog
from tests.unit.replay.runs import RELEVANCE, entry, recorded, run

TONES = {"skin_tone": {"values": ["light", "medium", "brown", "dark"]}}
PLAIN = entry("plain", objective=RELEVANCE, labels=TONES)
EVERY = [{"attribute": "skin_tone", "at_least_one_of_each": True, "values": TONES["skin_tone"]["values"], "within": 10}]
MENDS = entry("mends", objective=RELEVANCE, labels=TONES, quotas=EVERY)
ENTRIES = (PLAIN, MENDS)
GATES = Gates(
    gates=(Gate(measure="div", change_at_least=-0.05), Gate(measure="attention_shortfall", change_at_most=0.1)),
    gain_kept=0.3,
)
Replayed = tuple[Results, Plan, Traffic, Comparison]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    records = recorded("shades", "skin_tone", kind="text_search", most=120)
    path = tmp_path_factory.mktemp("traffic") / "traffic.rlog"
    write(path, map(RequestLog.FromString, records))
    plan = Plan(ENTRIES, Yardstick.of([each.policy for each in ENTRIES]))
    results = run(records, ENTRIES)
    return results, plan, Traffic((path,)), compare(results, "plain", "mends", gates=GATES)


def noisy(replayed: Replayed, *noises: LabelNoise, imputations: int = 8) -> Comparison:
    results, plan, traffic, found = replayed
    return under_noise(found, results, plan, traffic, noises, gates=GATES, imputations=imputations)


def test_without_noise_every_number_is_that_of_the_run(replayed: Replayed) -> None:
    found = noisy(replayed, LabelNoise("none", 0.0))
    (level,) = found.label_noise
    assert level.requests == 120
    assert {check.measure.name for check in level.checks} == {"div", "attention_shortfall"}
    for check in (*level.checks, *level.gains):
        contrast = replayed[3].of(check.measure.name, check.measure.attribute, check.measure.value)
        assert contrast is not None
        assert check.interval.mean == pytest.approx(contrast.change.mean, abs=1e-12)
        assert check.interval.requests == contrast.change.requests
    assert {check.outcome for check in level.checks} == {Outcome.PASS}
    assert {check.measure.name for check in level.gains} == {"div", "attention_gap"}


def test_a_gain_that_vanishes_under_label_noise_fails(replayed: Replayed) -> None:
    assert replayed[3].outcome is Outcome.PASS
    found = noisy(replayed, *read_noise("0.005,0.3"))
    div = [next(check for check in level.gains if check.measure.name == "div") for level in found.label_noise]
    assert [check.outcome for check in div] == [Outcome.PASS, Outcome.FAIL]
    assert found.label_noise[1].outcome is found.outcome is Outcome.FAIL
    assert div[0].interval.mean > div[1].interval.mean
    assert "what it gains does not survive 30 % of the labels wrong" in headline(found)
    assert "FAIL with 30 % of the labels wrong: of the gain in skin_tone" in " ".join(sentences(found))
    again = noisy(replayed, *read_noise("0.005,0.3"))
    assert again.label_noise == found.label_noise


def test_a_confusion_matrix_concerns_its_attributes_alone(replayed: Replayed) -> None:
    never = LabelNoise("others", matrices={"undertone": {"warm": {"cool": 1.0}}})
    (level,) = noisy(replayed, never).label_noise
    assert (level.checks, level.gains, level.outcome) == ((), (), Outcome.PASS)
    swapped = LabelNoise(
        "swapped", matrices={"skin_tone": {"dark": {"dark": 1.0}, "light": {"light": 7.0, "dark": 3.0}}}
    )
    (level,) = noisy(replayed, swapped).label_noise
    assert level.outcome is Outcome.FAIL  # there are so many light ones that all of the dark ones may be


def test_an_uncertain_verdict_says_so(replayed: Replayed) -> None:
    results, plan, traffic, found = replayed
    few = replace(GATES, min_requests=1_000)
    unsure = under_noise(found, results, plan, traffic, read_noise("0.01"), gates=few, imputations=4)
    assert unsure.outcome is Outcome.INSUFFICIENT
    assert headline(unsure).startswith("INSUFFICIENT EVIDENCE: these requests do not tell whether what mends gains")


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.5))
@settings(max_examples=50, deadline=None)
def test_true_shares_explain_the_labels(seed: int, rate: float) -> None:
    shares = np.random.default_rng(seed).dirichlet(np.ones(4))
    confusion = LabelNoise("", rate).confusion("a", ("a", "b", "c", "d"))
    assert confusion.sum(axis=1) == pytest.approx(np.ones(4))
    found = true_shares(confusion, 1e6 * shares @ confusion)
    assert found @ confusion == pytest.approx(shares @ confusion, abs=2e-3)


def test_what_is_drawn_is_what_the_labels_hide() -> None:
    """Of simulated items with wrong labels, as many are drawn to be each true value as there really are."""
    generator = np.random.default_rng(3)
    values, shares = ("a", "b", "c"), np.array([0.7, 0.25, 0.05])
    noise = LabelNoise("", 0.1)
    confusion = noise.confusion("tone", values)
    true = generator.choice(3, 40_000, p=shares)
    labels = np.zeros(len(true), np.int64)
    for value in range(3):
        some = true == value
        labels[some] = generator.choice(3, some.sum(), p=confusion[value])
    truth = noise.truth("tone", values, np.bincount(labels, minlength=3).tolist())
    ids = [f"i{at}" for at in range(len(true))]
    found = drawn(truth, labels, ids, "tone", 0, 4)
    for label in range(3):
        of_label = labels == label
        expected = np.bincount(true[of_label], minlength=3) / of_label.sum()
        for row in found:
            assert np.bincount(row[of_label], minlength=3) / of_label.sum() == pytest.approx(expected, abs=0.02)
    some = drawn(truth, labels[100:200], ids[100:200], "tone", 0, 4)
    assert (some == found[:, 100:200]).all()  # an item is the same in every request
    assert (drawn(truth, labels[:100], ids[:100], "tone", 1, 4) != found[:, :100]).any()
    assert (drawn(truth, np.full(3, -1), ids[:3], "tone", 0, 4) == -1).all()


def test_pooled_intervals_cover_what_versions_leave_open() -> None:
    generator = np.random.default_rng(5)
    values = generator.random(400)
    (alone,) = intervals([Column(values, 0.0, 1.0)], [0.95], draws=4_000)

    def version(shift: float) -> Sums:
        return Sums((values + shift)[:, None], np.ones((400, 1)), np.zeros(1) - 1.0, np.ones(1) + 1.0)

    same = pooled_intervals([version(0.0)] * 20, 0.95, draws=4_000)
    assert same.mean == pytest.approx(alone.mean)
    assert same.high - same.low == pytest.approx(alone.high - alone.low, rel=0.15)
    apart = pooled_intervals([version(shift) for shift in generator.normal(size=20) * 0.1], 0.95, draws=4_000)
    assert apart.high - apart.low > 4.0 * (same.high - same.low)
    nothing = pooled_intervals([Sums(np.zeros((3, 1)), np.zeros((3, 1)), np.zeros(1), np.ones(1))], 0.95)
    assert nothing.requests == 0


def test_files_and_their_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "noise.toml"
    file.write_text("[skin_tone.dark]\ndark = 90\nbrown = 10\n")
    (noise,) = read_noise(str(file))
    assert noise.name == "noise.toml"
    assert noise.values("skin_tone", ("light",)) == ("light", "dark", "brown")
    assert noise.confusion("skin_tone", ("dark", "brown")).tolist() == [[0.9, 0.1], [0.0, 1.0]]
    file.write_text('skin_tone = 3\n[tone.dark]\ndark = -1\n[form]\na = "x"\n')
    with pytest.raises(InvalidInput) as caught:
        read_noise(str(file))
    assert [each.path for each in caught.value.violations] == ["skin_tone", "tone.dark", "form.a"]
    for text in ("1", "-0.1", "a", "0.1,0.1", ""):
        with pytest.raises(InvalidInput, match="--label-noise"):
            read_noise(text)
    file.write_text("= 3")
    with pytest.raises(InvalidInput, match="is not TOML"):
        read_noise(str(file))
