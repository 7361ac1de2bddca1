"""The ladder of what is made where time is short: every rung is judged as a slate, and says what it is."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reranker.context import Context
from reranker.engine import Schedule, rerank_traced
from reranker.engine.descent import NEAR
from reranker.errors import TooLittleTime
from reranker.policy import Policy
from reranker.slate import OutcomeReason, QuotaTier, Rung, Slate, SlateStatus
from tests.property.test_against_referees import check_status
from tests.reference import instances, overlapping
from tests.reference.judge import Case, check_outcomes, check_shape
from tests.reference.naive_strategies import upstream_order
from tests.reference.told_paces import ToldPaces

CASES = 150
LOWER = (Rung.WINDOW, Rung.MMR, Rung.QUOTAS)
FAR = 1e5  # seconds: what the paces say decides, and no clock


def drawn(seed: int) -> Case:
    case = overlapping.small(np.random.default_rng(seed))
    return replace(case, slate_size=min(case.slate_size, max(1, len(case.scores) // (NEAR + 1))), fixed={})


def on(
    case: Case, rung: Rung, policy: dict[str, Any] | None = None, *, explain: bool = False, cursor: bytes = b""
) -> Slate:
    """The slate where all that is above the rung takes ages."""
    words = {"name": "case", **(case.policy if policy is None else policy)}
    paces = ToldPaces(rung, words["objective"]["strategy"])
    schedule = Schedule(deadline=time.perf_counter() + FAR, paces=paces, degrades=True)
    context = Context(fixed=dict(case.fixed), targets=case.targets, cursor=cursor)
    return rerank_traced(
        case.candidates(), Policy.from_dict(words), case.slate_size, explain=explain, context=context, schedule=schedule
    )[0]


def variant(case: Case, rung: Rung) -> Case:
    """The case whose policy asks outright for what the rung makes."""
    words = dict(case.policy["objective"])
    near = NEAR * min(case.slate_size, len(case.scores))
    if rung is Rung.QUOTAS:
        words.pop("window", None)
        words = {"strategy": "relevance"}
    else:
        words |= {"candidate_window": near} | ({"strategy": "mmr"} if rung is Rung.MMR else {})
    return replace(case, policy={**case.policy, "objective": words})


@pytest.mark.parametrize("rung", LOWER)
def test_a_rung_is_the_answer_of_a_policy_that_asks_for_it(rung: Rung) -> None:
    met = 0
    for seed in range(CASES):
        case = drawn(seed)
        slate = on(case, rung)
        if slate.report.rung is not rung:  # it would be the same as the one above or below
            strategy = case.policy["objective"]["strategy"]
            assert strategy == "relevance" or (strategy, rung) == ("mmr", Rung.MMR), seed
            continue
        met += 1
        expected = variant(case, rung).run()
        assert slate.positions.tolist() == expected.positions.tolist(), seed
        assert slate.report.quotas == expected.report.quotas, seed
        assert (slate.report.status, slate.report.tier) == (expected.report.status, expected.report.tier)
        check_shape(case, slate)
        check_status(slate, check_outcomes(case, slate))
        assert any(note.startswith("too little time") for note in slate.report.notes)
    assert met > CASES / 2


def test_the_last_rung_is_the_upstream_order_and_claims_nothing_that_does_not_hold() -> None:
    late = 0
    for seed in range(CASES):
        case = drawn(seed)
        slate = on(case, Rung.UPSTREAM)
        report = slate.report
        assert report.rung is Rung.UPSTREAM
        assert slate.positions.tolist() == upstream_order(case.scores)[: len(slate)]
        broken = check_outcomes(case, slate)
        assert (report.status is SlateStatus.SATISFIED) == (not broken), seed
        assert report.status is not SlateStatus.RELAXED_MINIMAL
        assert report.tier in (QuotaTier.HEURISTIC, QuotaTier.NONE)
        assert not any(note.startswith("no slate") for note in report.notes), "nobody looked for one"
        late += any(outcome.reason is OutcomeReason.DEADLINE for outcome in report.quotas)
    assert late > CASES / 4


def test_fixed_items_stand_on_every_rung() -> None:
    case = replace(drawn(3), fixed={1: 4}, policy={"objective": {"strategy": "dpp"}})
    for rung in Rung:
        slate = on(case, rung)
        assert (slate.report.rung, int(slate.positions[0])) == (rung, 4)


def test_every_rung_explains_its_slots_and_leads_to_the_next_page() -> None:
    case = replace(drawn(3), policy={"objective": {"strategy": "ssd"}, "quotas": drawn(3).policy["quotas"]})
    shown: list[int] = []
    cursor = b""
    for rung in Rung:
        slate = on(case, rung, explain=True, cursor=cursor)
        assert slate.report.rung is rung
        assert [explanation.slot for explanation in slate.explanations] == list(range(1, len(slate) + 1))
        assert len(slate) == min(case.slate_size, len(case.scores) - len(shown)) > 0
        assert not set(shown) & set(slate.positions.tolist())
        shown += slate.positions.tolist()
        cursor = slate.cursor


@pytest.mark.parametrize("rung", LOWER)
def test_a_relevance_floor_holds_on_the_rungs_that_have_one(rung: Rung) -> None:
    objective = {"strategy": "dpp", "diversity": 0.9, "relevance_floor": 0.95, "score_zero": 0.0}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        case = Case(rng.random(40), instances.rows(rng, 40, 6), {}, {"objective": objective}, 6)
        slate, expected = on(case, rung), variant(case, rung).run()
        assert slate.positions.tolist() == expected.positions.tolist()
        if rung is not Rung.QUOTAS:  # relevance alone keeps all of it
            assert slate.report.floor == expected.report.floor
        assert float(case.scores[slate.positions].sum()) >= 0.95 * np.sort(case.scores)[-6:].sum() - 1e-9


def test_whoever_has_time_gets_what_was_asked_for() -> None:
    for seed in range(20):
        case = drawn(seed)
        slate = on(case, Rung.WHOLE)
        assert slate.report.rung is Rung.WHOLE
        assert slate == case.run()


def modes(mode: str) -> dict[str, Any]:
    return {
        "objective": {"strategy": "dpp"},
        "quotas": [{"attribute": "tone", "min_count": {"b": 1}}],
        "on_infeasible": {"mode": mode},
    }


TONES = ["a"] * 9 + ["b"]
PLAIN = Case(np.linspace(1.0, 0.1, 10), np.eye(10, dtype=np.float32), {"tone": TONES}, modes("relax"), 2)


def test_a_policy_that_takes_no_broken_bound_gets_no_upstream_order() -> None:
    assert 9 in on(PLAIN, Rung.QUOTAS, modes("fail")).positions
    with pytest.raises(TooLittleTime, match="are left for it"):
        on(PLAIN, Rung.UPSTREAM, modes("fail"))


@pytest.mark.parametrize(("mode", "status"), [("relax", "RELAXED_BEST_EFFORT"), ("strict", "STRICT_UPSTREAM")])
def test_the_others_hear_what_the_upstream_order_breaks(mode: str, status: str) -> None:
    report = on(PLAIN, Rung.UPSTREAM, modes(mode)).report
    assert report.status == status
    (outcome,) = report.quotas
    assert (outcome.status, outcome.reason, outcome.over_fetch) == ("BROKEN", OutcomeReason.DEADLINE, 0)
    assert outcome.detail.endswith("there was no time left to keep to it")
