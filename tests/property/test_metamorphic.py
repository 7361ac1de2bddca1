"""What must not change when a request is told differently, and what can only get better."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from reranker.slate import OutcomeStatus, QuotaTier, Slate, SlateStatus
from tests.property.test_against_referees import NOTHING, lower_case, mixed_case
from tests.property.test_partition_is_exact import with_fixed_or_group
from tests.property.test_two_attributes_are_exact import two_attributes
from tests.reference import aspect_cases, overlapping
from tests.reference.judge import Case
from tests.reference.naive_quotas import deficit

MAKERS = [
    lower_case,
    with_fixed_or_group,
    two_attributes,
    mixed_case,
    overlapping.tiny,
    overlapping.small,
    aspect_cases.pooled(lower_case),
    aspect_cases.pooled(mixed_case),
]
EXACT = (QuotaTier.NONE, QuotaTier.LOWER_EXACT, QuotaTier.PARTITION_EXACT, QuotaTier.FLOW_EXACT)
seeds = st.integers(0, 2**32)
makers = st.sampled_from(MAKERS)
many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def distinct(case: Case, rng: np.random.Generator) -> Case:
    """The case with scores that do not tie: ties go to the earlier input, and permuting changes who is earlier."""
    return replace(case, scores=rng.permutation(len(case.scores)).astype(np.float64) / 8.0 + 1.0)


def permuted(case: Case, order: list[int]) -> Case:
    place = {item: position for position, item in enumerate(order)}
    return replace(
        case,
        scores=case.scores[order],
        rows=None if case.rows is None else case.rows[order],
        columns={name: [column[i] for i in order] for name, column in case.columns.items()},
        fixed={slot: place[item] for slot, item in case.fixed.items()},
    )


def told(slate: Slate) -> list[Any]:
    """What the report says of quotas."""
    report = slate.report
    return [report.status, report.tier, sorted(map(repr, report.quotas)), report.notes]


@many
@given(makers, seeds)
def test_the_order_of_candidates_does_not_matter(make: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = distinct(make(rng), rng)
    order = rng.permutation(len(case.scores)).tolist()
    slate, other = case.run(), permuted(case, order).run()
    assert [order[p] for p in other.positions] == slate.positions.tolist()
    assert told(other) == told(slate)


@many
@given(makers, seeds, st.sampled_from([0.25, 1.0, 4.0, 1024.0]), st.sampled_from([0.0, 16.0, -64.0]))
def test_scale_and_shift_of_scores_do_not_matter(make: Any, seed: int, scale: float, shift: float) -> None:
    """Powers of two and eighths: arithmetic is exact, so relevance is the same after every normalisation but `none`."""
    rng = np.random.default_rng(seed)
    case = distinct(make(rng), rng)
    policy = {**case.policy}
    if "guard" in policy:
        least = float(rng.choice(case.scores))
        policy["guard"] = {"min_score": least}
    case = replace(case, policy=policy)
    moved_policy = {**policy, "guard": {"min_score": least * scale + shift}} if "guard" in policy else policy
    moved = replace(case, scores=case.scores * scale + shift, policy=moved_policy)
    slate, other = case.run(), moved.run()
    assert other.positions.tolist() == slate.positions.tolist()
    assert told(other) == told(slate)


def renamed(tree: Any, names: dict[str, str]) -> Any:
    """The same tree with every value of an attribute, wherever it stands, called something else."""
    if isinstance(tree, dict):
        return {names.get(key, key): renamed(entry, names) for key, entry in tree.items()}
    if isinstance(tree, list):
        return [renamed(entry, names) for entry in tree]
    return names.get(tree, tree) if isinstance(tree, str) else tree


@many
@given(makers, seeds)
def test_names_of_groups_do_not_matter(make: Any, seed: int) -> None:
    """New names sort in another order than the old ones."""
    case = make(np.random.default_rng(seed))
    values = sorted(
        {v for column in case.columns.values() for e in column for v in (e if isinstance(e, list) else [e]) if v}
    )
    values = sorted({*values, *"abcdxyzpq"})
    names = {value: f"value {len(values) - at:02}" for at, value in enumerate(values)}
    other = Case(
        case.scores,
        case.rows,
        {name: renamed(column, names) for name, column in case.columns.items()},
        {**case.policy, "quotas": renamed(case.policy["quotas"], names)},
        case.slate_size,
        case.fixed,
        renamed(case.targets, names),
    )
    slate, again = case.run(), other.run()
    assert again.positions.tolist() == slate.positions.tolist()
    assert again.report.status is slate.report.status


def least_weight(case: Case, slate: Slate) -> tuple[Fraction, Fraction]:
    return deficit(case.instance(), slate.positions.tolist())


@many
@given(st.sampled_from([lower_case, with_fixed_or_group, two_attributes]), seeds)
def test_one_candidate_more_never_costs_a_floor_that_could_be_met(make: Any, seed: int) -> None:
    """A candidate last upstream, who passes no guard and so lifts nobody; the slate has as many slots as before."""
    rng = np.random.default_rng(seed)
    case = make(rng)
    assume(case.slate_size <= len(case.scores))
    quotas = [q for q in case.policy["quotas"] if q.get("values") or not q.get("at_least_one_of_each")]
    assume(quotas)
    case = replace(case, policy={**case.policy, "quotas": quotas})
    value = {"tone": str(rng.choice(["a", "b", "c"])), "body": str(rng.choice(["x", "y"]))}
    more = replace(
        case,
        scores=np.append(case.scores, case.scores.min() - 1.0),
        rows=None
        if case.rows is None
        else np.vstack([case.rows, rng.normal(size=case.rows.shape[1])]).astype(np.float32),
        columns={name: [*column, value[name]] for name, column in case.columns.items()},
    )
    slate, other = case.run(), more.run()
    assume(slate.report.tier in EXACT and other.report.tier in EXACT)
    assert least_weight(more, other) <= least_weight(case, slate)


@many
@given(makers, seeds)
def test_a_bound_less_never_costs_more(make: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = make(rng)
    assume(case.policy["quotas"])
    quotas = [dict(quota) for quota in case.policy["quotas"]]
    del quotas[int(rng.integers(len(quotas)))]
    loose = replace(case, policy={**case.policy, "quotas": quotas})
    slate, other = case.run(), loose.run()
    if slate.report.tier in EXACT and other.report.tier in EXACT:
        assert least_weight(loose, other) <= least_weight(case, slate)
    if slate.report.status is SlateStatus.SATISFIED:
        assert deficit(loose.instance(), slate.positions.tolist()) == NOTHING
        assert other.report.status is SlateStatus.SATISFIED
        assert all(o.status is not OutcomeStatus.BROKEN for o in other.report.quotas if not o.soft)


def fingerprint(seeds: range) -> str:
    """Everything that is answered to a mixture of requests."""
    answers = []
    for seed in seeds:
        slate = MAKERS[seed % len(MAKERS)](np.random.default_rng(seed)).run()
        answers.append(f"{slate.positions.tolist()} {slate.gains.tobytes().hex()} {told(slate)} {slate.report}")
    return "\n".join(answers)


def test_same_input_same_bytes_in_threads() -> None:
    alone = fingerprint(range(60))
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(fingerprint, [range(60)] * 6)) == {alone}


@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_input_same_bytes_in_another_process(threads: str) -> None:
    code = (
        "import sys; from tests.property.test_metamorphic import fingerprint; sys.stdout.write(fingerprint(range(60)))"
    )
    variables = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables, "PYTHONHASHSEED": threads, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == fingerprint(range(60))
