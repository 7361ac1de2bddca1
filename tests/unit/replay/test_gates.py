import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from reranker.errors import InvalidInput
from reranker.replay.gates import Check, Gate, Gates, Outcome, check_gates, read_gates, verdict
from reranker.replay.results import Answers, Slates
from reranker.replay.slices import Slice
from reranker.replay.words import Measure


def answers(numbers: Mapping[Measure, np.ndarray]) -> Answers:
    count = len(next(iter(numbers.values())))
    none = Slates(np.zeros(count + 1, np.int64), np.zeros(0, np.int32))
    return Answers("any", numbers, none, ("",) * count, {}, (), np.full(count, np.nan))


def whole(count: int) -> Slice:
    return Slice("", "", np.ones(count, bool))


def checked(gate: Gate, baseline: np.ndarray, candidate: np.ndarray, **how: float) -> Check:
    measure = Measure(gate.measure, gate.attribute, gate.value)
    gates = Gates(gates=(gate,), **how)  # type: ignore[arg-type]
    (check,) = check_gates(gates, answers({measure: baseline}), answers({measure: candidate}), whole(len(baseline)), [])
    return check


def test_a_gate_passes_only_where_the_whole_interval_clears_it() -> None:
    generator = np.random.default_rng(0)
    baseline = generator.beta(9.0, 1.0, 400)
    gate = Gate(measure="ndcg", change_at_least=-0.05)
    assert checked(gate, baseline, baseline).outcome is Outcome.PASS
    assert checked(gate, baseline, baseline - 0.01 * generator.random(400)).outcome is Outcome.PASS
    assert checked(gate, baseline, baseline - 0.1 * generator.random(400)).outcome is Outcome.INSUFFICIENT
    assert checked(gate, baseline, baseline - 0.2).outcome is Outcome.FAIL


def test_limits_on_the_candidate_itself_and_from_above() -> None:
    values = np.full(500, 0.8)
    assert checked(Gate(measure="ndcg", at_least=0.7), values, values).outcome is Outcome.PASS
    assert checked(Gate(measure="ndcg", at_least=0.9), values, values).outcome is Outcome.FAIL
    assert checked(Gate(measure="ndkl", at_most=0.9), values, values).outcome is Outcome.PASS
    assert checked(Gate(measure="ndkl", at_most=0.7), values, values).outcome is Outcome.FAIL
    assert checked(Gate(measure="ndkl", change_at_most=0.01), values, values + 0.1).outcome is Outcome.FAIL


def test_too_few_requests_are_never_enough() -> None:
    few = np.full(29, 1.0)
    check = checked(Gate(measure="ndcg", at_least=0.1), few, few)
    assert check.outcome is Outcome.INSUFFICIENT
    assert check.interval.requests == 29
    assert checked(Gate(measure="ndcg", at_least=0.1), few, few, min_requests=20).outcome is Outcome.PASS


def test_all_requests_well_is_no_proof_that_the_next_is() -> None:
    ones = np.ones(40)
    assert checked(Gate(measure="div", attribute="tone", at_least=0.99), ones, ones).outcome is Outcome.INSUFFICIENT
    assert checked(Gate(measure="div", attribute="tone", at_least=0.85), ones, ones).outcome is Outcome.PASS


def test_what_no_request_has_is_not_known() -> None:
    nothing = np.full(100, math.nan)
    check = checked(Gate(measure="div", attribute="tone", at_least=0.5), nothing, nothing)
    assert check.outcome is Outcome.INSUFFICIENT
    gone = Gates(gates=(Gate(measure="div", attribute="gone", at_least=0.5),))
    (check,) = check_gates(
        gone, answers({Measure("ndcg"): nothing}), answers({Measure("ndcg"): nothing}), whole(100), []
    )
    assert check.outcome is Outcome.INSUFFICIENT


@pytest.mark.parametrize("kind", ["exactly at the limit", "just beyond it"])
def test_noise_passes_no_more_often_than_the_significance(kind: str) -> None:
    generator = np.random.default_rng(5)
    samples, requests, significance = 120, 80, 0.1
    loss = 0.05 if kind == "exactly at the limit" else 0.07
    hit = generator.random((samples, requests)) < 2.0 * loss
    numbers = {Measure("attention", "tone", str(i)): 0.6 - np.where(hit[i], 0.5, 0.0) for i in range(samples)}
    before = {measure: np.full(requests, 0.6) for measure in numbers}
    gate = Gate(measure="attention", change_at_least=-0.05)
    passed = 0
    for measure in list(numbers)[:60]:  # each by itself: the level of one check
        (check,) = check_gates(
            Gates(gates=(gate,), significance=significance),
            answers({measure: before[measure]}),
            answers({measure: numbers[measure]}),
            whole(requests),
            [],
            draws=400,
        )
        passed += check.outcome is Outcome.PASS
    assert passed <= significance / 2.0 * 60 + 3.0 * math.sqrt(significance / 2.0 * 60)
    # All of them at once: hardly ever does even one pass.
    gates = Gates(gates=(gate,), significance=significance)
    checks = check_gates(gates, answers(before), answers(numbers), whole(requests), [])
    assert sum(check.outcome is Outcome.PASS for check in checks) <= 1


def test_every_slice_and_group_is_a_check_and_makes_all_intervals_wider() -> None:
    generator = np.random.default_rng(1)
    numbers = {Measure("attention", "tone", value): generator.random(200) for value in ("light", "dark")}
    numbers[Measure("attention", "tone × form", "light × a")] = generator.random(200)
    own = answers(numbers)
    halves = [Slice("kind", name, np.arange(200) % 2 == side) for side, name in enumerate(("even", "odd"))]
    gate = Gate(measure="attention", at_least=0.3, by=("kind",))
    checks = check_gates(Gates(gates=(gate,)), own, own, whole(200), halves)
    assert {(check.measure.value, check.slice) for check in checks} == {
        (value, part) for value in ("light", "dark") for part in (("", ""), ("kind", "even"), ("kind", "odd"))
    }
    alone = check_gates(
        Gates(gates=(Gate(measure="attention", attribute="tone", value="light", at_least=0.3),)),
        own,
        own,
        whole(200),
        [],
    )
    of_light = next(check for check in checks if check.measure.value == "light" and check.slice == ("", ""))
    assert of_light.interval.low < alone[0].interval.low < alone[0].interval.high < of_light.interval.high
    named = Gate(measure="attention", attribute="tone × form", at_least=0.0)
    assert len(check_gates(Gates(gates=(named,)), own, own, whole(200), [])) == 1


def test_the_verdict_is_the_worst_of_all() -> None:
    values = np.full(500, 0.8)
    passes = checked(Gate(measure="ndcg", at_least=0.7), values, values)
    fails = checked(Gate(measure="ndcg", at_least=0.9), values, values)
    open_ = checked(Gate(measure="ndcg", at_least=0.7), values[:5], values[:5])
    assert verdict([]) is Outcome.PASS
    assert verdict([passes]) is Outcome.PASS
    assert verdict([passes, open_]) is Outcome.INSUFFICIENT
    assert verdict([passes, open_, fails]) is Outcome.FAIL


def test_gates_are_read_and_every_mistake_is_named(tmp_path: Path) -> None:
    file = tmp_path / "gates.toml"
    file.write_text(
        'significance = 0.1\nmin_requests = 50\n[[gates]]\nmeasure = "div"\nattribute = "tone"\nat_least = 0.9\n'
        '[[gates]]\nmeasure = "ndcg"\nchange_at_least = -0.02\nby = ["kind", "list length"]\n'
    )
    gates = read_gates(file)
    assert (gates.significance, gates.min_requests) == (0.1, 50)
    assert gates.gates[0] == Gate(measure="div", attribute="tone", at_least=0.9)
    assert gates.gates[1].by == ("kind", "list length")
    file.write_text(
        'significance = 2\nmin_requests = true\nother = 1\n[[gates]]\nmeasure = "overlap"\nvalue = 3\nat_least = "x"\n'
        '[[gates]]\nmeasure = "ndcg"\nat_least = 1\nat_most = 2\nby = ["creator"]\nlimit = 3\n'
    )
    with pytest.raises(InvalidInput) as error:
        read_gates(file)
    paths = [violation.path for violation in error.value.violations]
    of_gates = ["gates[0].measure", "gates[0].value", "gates[0].at_least", "gates[1].limit", "gates[1]", "gates[1].by"]
    of_gates.append("gates[1].at_most")
    assert sorted(paths) == sorted(["other", "significance", "min_requests", *of_gates])
    for text in ("gates = 3", "[[gates", ""):
        file.write_text(text)
        with pytest.raises(InvalidInput):
            read_gates(file)


@pytest.mark.parametrize(
    ("limit", "ends"),
    [
        ('measure = "relevance_retained"\nchange_at_least = -5', "from -1 to 1, as nothing else can occur; shares are"),
        ('measure = "answered"\nat_least = 98', "from 0 to 1, as nothing else can occur; shares are"),
        ('measure = "ndcg"\nat_most = -0.1', "from 0 to 1, as nothing else can occur"),
        ('measure = "latency_us"\nat_most = -1', "of at least 0, as nothing else can occur"),
    ],
)
def test_a_limit_beyond_everything_that_can_occur_is_a_mistake(limit: str, ends: str, tmp_path: Path) -> None:
    file = tmp_path / "gates.toml"
    file.write_text(f"[[gates]]\n{limit}\n")
    with pytest.raises(InvalidInput, match=ends):
        read_gates(file)
    file.write_text(
        '[[gates]]\nmeasure = "min_skew"\nat_least = -3\n[[gates]]\nmeasure = "ndkl"\nchange_at_most = -2\n'
    )
    assert len(read_gates(file).gates) == 2
