import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from reranker.errors import InvalidInput
from reranker.measures import overlap, rank_biased_overlap
from reranker.replay.arrow import records_of, replay_batches
from reranker.replay.comparison import Comparison, compare, plain
from reranker.replay.gates import Gate, Gates, Outcome
from reranker.replay.measured import Yardstick
from reranker.replay.one import REFINED
from reranker.replay.plan import Entry, Plan, entries_of, upstream
from reranker.replay.reading import gathered, results_from
from reranker.replay.verdict import headline, sentences
from reranker.replay.words import IN_SHORT, Measure
from reranker.v1.request_log_pb2 import RequestLog
from tests.unit.replay.runs import RELEVANCE, TONES, entry, made_up, policy, recorded, run

GENDER = {"gender": {"values": ["woman", "man"]}}
PLAIN = entry("plain", objective=RELEVANCE, labels=GENDER)
FAIR = entry(
    "fair",
    objective=RELEVANCE,
    labels=GENDER,
    quotas=[{"attribute": "gender", "min_share": {"woman": 0.4, "man": 0.4}}],
)
UNFAIR = entry(
    "unfair", objective=RELEVANCE, labels=GENDER, quotas=[{"attribute": "gender", "max_share": {"woman": 0.1}}]
)
COSTLY = entry("costly", objective={"strategy": "mmr", "diversity": 0.97}, labels=GENDER)
NO_OP = entry("no-op", objective={**RELEVANCE, "strategy": "mmr"}, labels=GENDER)
MOST = 375  # fewer would leave open whether a request in fifty goes unanswered


def compared(candidate: Entry, baseline: Entry = PLAIN) -> Comparison:
    records = recorded("occupations", "gender", kind="title_search", most=MOST)
    results = run(records, [baseline, candidate])
    return compare(results, baseline.label, candidate.label)


def test_an_unfair_policy_is_called_unfair() -> None:
    found = compared(UNFAIR)
    assert found.outcome is Outcome.FAIL
    assert "worse for" in headline(found)
    assert "gender" in headline(found)
    loses = next(text for text in sentences(found) if text.endswith("loses."))
    assert "woman" in loses
    assert "man (" not in loses.replace("woman (", "")


def test_a_costly_policy_is_called_costly() -> None:
    found = compared(COSTLY)
    assert found.outcome is Outcome.FAIL
    assert "costs more than the gates allow" in headline(found)


def test_a_no_op_is_called_one() -> None:
    found = compared(NO_OP)
    assert "no effect" in headline(found)
    assert found.outcome is Outcome.PASS
    assert found.together["changed"].mean == 0.0
    assert all(contrast.change.mean == 0.0 for contrast in found.overall if contrast.measure.name != "latency_us")


def test_a_fair_policy_gains_for_its_groups_at_a_price_that_is_told() -> None:
    found = compared(FAIR)
    gap = found.of("attention_gap", "gender")
    kept = found.of("relevance_retained")
    assert gap is not None
    assert kept is not None
    assert kept.change.high < 0.0
    assert kept.change.requests == MOST
    assert kept.noise == 0.0  # the baseline keeps all of it on every request
    assert gap.noise > 0.0
    text = " ".join(sentences(found))
    assert "upstream relevance" in text
    assert "gender: every group is on" in text


def test_every_number_is_the_mean_over_the_requests_that_have_it() -> None:
    records = made_up(3, requests=30)
    one = entry("one", objective=RELEVANCE, labels=TONES)
    other = entry("other", objective={"strategy": "mmr", "diversity": 0.5}, labels=TONES)
    results = run(records, [one, other])
    found = compare(results, "one", "other")
    before, after = (results.answers[label] for label in ("one", "other"))
    for contrast in found.overall:
        a, b = (answers.numbers[contrast.measure] for answers in (before, after))
        there = ~np.isnan(a) & ~np.isnan(b)
        assert contrast.change.mean == pytest.approx(np.mean((b - a)[there]))
        assert contrast.baseline.mean == pytest.approx(np.mean(a[there]))
        assert contrast.left_out == 30 - there.sum()
    for contrast in found.sliced:
        if contrast.slice != ("kind", "odd"):
            continue
        b = after.numbers[contrast.measure][1::2]
        a = before.numbers[contrast.measure][1::2]
        there = ~np.isnan(a) & ~np.isnan(b)
        if there.any():
            assert contrast.candidate.mean == pytest.approx(np.mean(b[there]))
    pairs = list(zip(before.positions, after.positions, strict=True))
    assert found.together["overlap"].mean == pytest.approx(np.mean([overlap(*pair) for pair in pairs]))
    assert found.together["rank_biased_overlap"].mean == pytest.approx(
        np.mean([rank_biased_overlap(*p) for p in pairs])
    )
    assert found.together["changed"].mean == np.mean([not np.array_equal(*pair) for pair in pairs])


def test_small_and_unknown_slices_and_groups_are_listed() -> None:
    records = [*made_up(1, requests=10), *made_up(2, requests=2, candidates=60)]
    log = RequestLog.FromString(records[0])
    log.metadata.kind = ""
    records[0] = log.SerializeToString()
    found = compare(run(records, [entry("one", objective=RELEVANCE), entry("other")]), "one", "other")
    sizes = {(part.dimension, part.value): part.requests for part in found.slices}
    assert sizes == {
        ("kind", "odd"): 6,
        ("kind", "even"): 5,
        ("kind", "(not known)"): 1,
        ("list length", "under 50"): 10,
        ("list length", "50 to 199"): 2,
    }
    assert all(part.is_small for part in found.slices)
    assert {"light", "medium", "dark", ""} == {each.value for each in found.groups if each.attribute == "tone"}
    assert {each.attribute for each in found.groups} == {"tone", "form", "tone × form"}
    assert "too small for any gate" in " ".join(sentences(found))


def test_slots_and_slot_shares_count_every_item_once() -> None:
    results = run(made_up(5, requests=20, slots=4), [entry("one", objective=RELEVANCE), entry("other")])
    found = compare(results, "one", "other")
    tones = [each for each in found.groups if each.attribute == "tone"]
    assert sum(each.candidate_slots for each in tones) == sum(each.baseline_slots for each in tones) == 20 * 4
    assert sum(each.candidates for each in tones) == 20 * 20
    assert sum(each.lifted for each in tones) == sum(each.dropped for each in tones) > 0
    assert all(math.isnan(each.lifted_score) or 0.0 <= each.lifted_score <= 1.0 for each in tones)
    (shares,) = [each for each in found.slots if each.attribute == "tone"]
    assert shares.values == ("dark", "light", "medium", "")
    for label in ("one", "other"):
        assert np.array(shares.shares[label]).shape == (4, 4)
        assert np.array(shares.shares[label]).sum(axis=1) == pytest.approx(np.ones(4))


def test_the_price_adds_up_by_cause() -> None:
    both = policy(
        "both",
        objective={"strategy": "mmr", "diversity": 0.5},
        quotas=[{"attribute": "tone", "min_share": {"dark": 0.4}}],
        labels=TONES,
    )
    results = run(made_up(7, requests=25), entries_of([upstream(), both], {}, parts=True))
    price = compare(results, "upstream", "both").price
    assert price is not None
    lost = price.quotas_only.mean + price.diversity_only.mean + price.interaction.mean
    assert price.both.mean == pytest.approx(lost)
    assert 0.0 < price.quotas_only.mean < price.both.mean
    assert compare(results, "both", "upstream").price is None


def test_creators_of_many_are_providers_who_gain_and_lose_what_others_do() -> None:
    records = recorded("books", "creator", "genre", kind="user_home", most=40)
    capped = entry("capped", objective=RELEVANCE, quotas=[{"attribute": "creator", "max_per_value": 1}])
    one = entry("one", objective=RELEVANCE)
    results = run(records, [one, capped], more=["creator", "genre"])
    assert results.providers == ("creator",)
    assert "genre" in results.groups()
    assert not any("creator" in measure.attribute for measure in results.answers["one"].numbers)
    found = compare(results, "one", "capped")
    (payers,) = found.payers
    assert payers.attribute == "creator"
    assert payers.lose > 0
    assert payers.gain > 0
    worst = payers.losers[0]
    assert worst.candidate < worst.baseline
    assert worst.requests >= 1
    changes = [payer.candidate - payer.baseline for payer in payers.losers]
    assert changes == sorted(changes)
    assert 0.0 < payers.moved < 1.0


def test_deficits_are_counted_by_reason() -> None:
    greedy = entry(
        "greedy",
        objective=RELEVANCE,
        quotas=[{"attribute": "tone", "min_count": {"dark": 5, "blue": 1}, "within": 5}],
    )
    found = compare(run(made_up(9), [entry("one", objective=RELEVANCE), greedy]), "one", "greedy")
    blue = next(each for each in found.deficits["greedy"] if each.value == "blue")
    assert (blue.met, blue.broken, blue.units) == (0, {"UNKNOWN_LABELS": 12}, {"UNKNOWN_LABELS": 12.0})
    assert sum(found.statuses["greedy"].values()) == 12
    assert "UNKNOWN_LABELS" in " ".join(sentences(found))


def test_what_cannot_be_replayed_is_counted_and_never_lost() -> None:
    records = [*made_up(4, requests=6), b"\xff\xff"]
    refined = RequestLog.FromString(records[0])
    refined.request.context.refinement.add(attribute="tone", values=["dark"])
    bad = RequestLog.FromString(records[1])
    bad.request.candidates.scores[0] = math.nan
    records[:2] = [refined.SerializeToString(), bad.SerializeToString()]
    fails = entry("fails", on_infeasible={"mode": "fail"}, quotas=[{"attribute": "tone", "min_count": {"blue": 1}}])
    results = run(records, [entry("one"), fails])
    one = results.answers["one"].refusals
    assert one[REFINED] == 1
    assert sum(one.values()) == 3
    assert any("candidates.scores[0]" in reason for reason in one)
    assert sum(results.answers["fails"].refusals.values()) == 7
    found = compare(results, "one", "fails")
    answered = found.of("answered")
    assert answered is not None
    assert (answered.baseline.mean, answered.candidate.mean, answered.change.requests) == (1.0, 0.0, 4)
    assert "have no slate under fails" in " ".join(sentences(found))


def test_a_policy_that_refuses_every_request_is_not_called_costly() -> None:
    fails = entry("fails", on_infeasible={"mode": "fail"}, quotas=[{"attribute": "tone", "min_count": {"blue": 1}}])
    first, *others = sentences(compare(run(made_up(4, requests=40), [entry("one"), fails]), "one", "fails"))
    assert first == "FAIL: fails against one: it leaves requests without a slate."
    assert others[0] == "No request of 40 has a slate under both policies."
    assert not any("score_zero" in sentence for sentence in others)


def test_results_do_not_depend_on_how_the_traffic_is_cut() -> None:
    records, entries = made_up(11, requests=10), [entry("one"), entry("other", objective=RELEVANCE)]
    plan = Plan(tuple(entries), Yardstick())
    whole = pa.Table.from_batches(replay_batches([records_of(0, records)], plan))
    for size in (1, 3, 10):
        parts = [records_of(first, records[first : first + size]) for first in range(0, 10, size)]
        assert pa.Table.from_batches(replay_batches(parts, plan)).equals(whole)
    backwards = [records_of(first, records[first : first + 5]) for first in (5, 0)]
    results = results_from(pa.Table.from_batches(replay_batches(backwards, plan)))
    assert results.traffic.names == tuple(f"r{number}" for number in range(10))
    with pytest.raises(InvalidInput, match="twice"):
        results_from(pa.concat_tables([whole, whole]))
    with pytest.raises(InvalidInput, match="other requests"):
        results_from(whole.slice(0, 19))
    with pytest.raises(InvalidInput, match="no request"):
        results_from(whole.slice(0, 0))


def test_a_comparison_does_not_depend_on_how_much_of_the_run_is_read_at_once(tmp_path: Path) -> None:
    """Neither on whether the numbers lie in memory or in files."""
    records = recorded("books", "creator", "genre", kind="user_home", most=30)
    one = entry("one", objective=RELEVANCE)
    capped = entry("capped", objective=RELEVANCE, quotas=[{"attribute": "creator", "max_per_value": 1}])
    plan = Plan((one, capped), Yardstick(("creator", "genre")))
    table = pa.Table.from_batches(replay_batches([records_of(0, records)], plan))
    whole = plain(compare(results_from(table), "one", "capped"))
    assert whole["payers"][0]["losers"]
    for requests in (1, 7):
        size = 2 * requests  # a request is one row under each policy

        def parts(names: Sequence[str], size: int = size) -> Iterator[pa.Table]:
            return (table.slice(first, size).select(names) for first in range(0, len(table), size))

        cut = gathered(parts, 30, [], full={"one", "capped"}, scratch=tmp_path)
        assert plain(compare(cut, "one", "capped")) == whole
        assert not list(tmp_path.iterdir())  # no file has a name
    whole_run = results_from(table)
    assert cut.providers == whole_run.providers == ("creator",)
    assert cut.answers["one"].numbers.keys() == whole_run.answers["one"].numbers.keys()
    short = gathered(parts, 30, [], full={"one"})
    assert {measure.name for measure in short.answers["capped"].numbers} <= set(IN_SHORT)
    assert short.answers["one"].numbers.keys() > short.answers["capped"].numbers.keys()


def test_a_comparison_is_repeatable_and_has_a_plain_form() -> None:
    results = run(made_up(13, requests=15), [entry("one", objective=RELEVANCE), entry("other")])
    first, second = (plain(compare(results, "one", "other", seed=4)) for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)
    assert first["outcome"] in {outcome.value for outcome in Outcome}
    assert {row["measure"] for row in first["overall"]} >= {"ndcg", "div[tone]", "attention[tone = dark]"}
    assert plain(Measure("attention", "tone", "dark")) == "attention[tone = dark]"
    with pytest.raises(InvalidInput, match="has no 'third'"):
        compare(results, "one", "third")
    with pytest.raises(InvalidInput, match="different"):
        compare(results, "one", "one")


def test_gates_by_slice_see_what_the_mean_hides() -> None:
    records = made_up(15, requests=200)
    results = run(records, [entry("one", objective=RELEVANCE, labels=TONES), entry("other", labels=TONES)])
    gates = Gates(gates=(Gate(measure="answered", at_least=0.5, by=("kind",)),))
    found = compare(results, "one", "other", gates=gates)
    assert Counter(check.outcome for check in found.checks) == {Outcome.PASS: 3}
    assert [check.slice for check in found.checks] == [("", ""), ("kind", "even"), ("kind", "odd")]
