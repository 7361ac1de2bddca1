"""Exposure targets in one request: prices where the ledger knows enough, quotas where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Context, Policy, SlateStatus, rerank
from reranker.engine import Outlook, rerank_traced
from reranker.exposure.tally import GroupTally, Tally, TallyKey
from reranker.slate import OutcomeReason
from reranker.strategies import STRATEGIES

SHARES = {"x": 0.6, "y": 0.4}


class Shown:
    """A board that shows one tally to whoever asks for it by its key."""

    def __init__(self, tally: Tally | None, age: float = 0.0, key: TallyKey | None = None) -> None:
        self._tally, self.age, self.asked = tally, age, list[TallyKey]()
        self._key = key

    def tally(self, key: TallyKey, half_life: float) -> Tally | None:
        self.asked.append(key)
        return self._tally if self._key in (None, key) else None


def stream(price: float = 0.0, got: float = 0.2, requests: float = 10_000.0) -> Tally:
    """A stream in which y got the share `got` of what was due to it at 0.4, at a mean price."""
    total = 4.5 * requests
    groups = {
        "x": GroupTally(total * (1 - got), 0.0, total * 0.6, 8 * requests, -price * requests),
        "y": GroupTally(total * got, 0.0, total * 0.4, 2 * requests, price * requests),
    }
    return Tally(0.0, requests, groups)


def candidates(count: int = 40, every: int = 4) -> Candidates:
    """Falling scores from 1 to 0.5; every fourth item is a y."""
    scores = np.linspace(1.0, 0.5, count)
    tones = ["y" if i % every == every - 1 else "x" for i in range(count)]
    random = np.random.default_rng(3)
    return Candidates([f"i{i}" for i in range(count)], scores, random.normal(size=(count, 8)), {"tone": tones})


def policy(target: Any = SHARES, strategy: str = "relevance", **words: Any) -> Policy:
    block = {"attribute": "tone", "target": target, **words}
    return Policy.from_dict({"name": "p", "objective": {"strategy": strategy}, "exposure": [block]})


def tones(slate: Any, of: Candidates) -> list[str]:
    column = of.attributes["tone"]
    return [column.values[column.codes[position] - 1] for position in slate.positions]


def as_quota(words: Mapping[str, Any]) -> Policy:
    return Policy.from_dict({"objective": {"strategy": "relevance"}, "quotas": [{"attribute": "tone", **words}]})


class TestWithoutALedger:
    def test_the_target_is_least_shares(self) -> None:
        listed = candidates()
        alone, quota = rerank(listed, policy(), 10), rerank(listed, as_quota({"min_share": SHARES}), 10)
        assert alone.positions.tolist() == quota.positions.tolist()
        assert alone.report.quotas == quota.report.quotas
        assert any("no ledger is known" in note for note in alone.report.notes)
        assert alone.report.exposure == ()
        assert not alone.report.exposure_late

    def test_of_the_pool(self) -> None:
        listed = candidates()
        alone = rerank(listed, policy("pool"), 10)
        quota = rerank(listed, as_quota({"min_share": {"x": "3/4", "y": "1/4"}}), 10)
        assert alone.positions.tolist() == quota.positions.tolist()

    def test_of_the_request(self) -> None:
        listed = candidates()
        context = Context(targets={"tone": SHARES})
        asked = rerank(listed, policy("request"), 10, context=context)
        assert asked.positions.tolist() == rerank(listed, policy(), 10).positions.tolist()
        silent = rerank(listed, policy("request"), 10)
        assert [outcome.reason for outcome in silent.report.quotas] == [OutcomeReason.NO_TARGET]
        assert silent.positions.tolist() == list(range(10))

    @pytest.mark.parametrize(
        ("board", "why"),
        [
            (Shown(None), "too little is known"),
            (Shown(stream(requests=3.0)), "too little is known"),
            (Shown(stream(), age=4_000.0), "too old"),
        ],
    )
    def test_where_it_knows_too_little(self, board: Shown, why: str) -> None:
        listed = candidates()
        slate, trace = rerank_traced(listed, policy(), 10, outlook=Outlook(board))
        assert slate.positions.tolist() == rerank(listed, policy(), 10).positions.tolist()
        assert any(why in note for note in slate.report.notes)
        assert trace.exposure[0].shares == SHARES

    def test_own_quotas_of_the_attribute_merge(self) -> None:
        words = {"name": "p", "objective": {"strategy": "relevance"},
                 "quotas": [{"attribute": "tone", "max_share": {"y": 0.2}}],
                 "exposure": [{"attribute": "tone", "target": SHARES}]}  # fmt: skip
        slate = rerank(candidates(), Policy.from_dict(words), 10)
        assert tones(slate, candidates()).count("y") == 2  # caps outrank floors
        assert slate.report.status == SlateStatus.RELAXED_MINIMAL


class TestWithALedger:
    def test_who_got_too_little_is_lifted(self) -> None:
        listed = candidates()
        slate, trace = rerank_traced(listed, policy(), 10, outlook=Outlook(Shown(stream(price=0.1))), explain=True)
        assert tones(slate, listed).count("y") == 5  # its share and the band
        assert slate.report.quotas == ()
        assert slate.report.status == SlateStatus.SATISFIED
        x, y = slate.report.exposure
        assert (y.value, y.target, y.half_life) == ("y", 0.4, "24h")
        assert (y.due, y.given) == pytest.approx((0.4, 0.2))
        assert y.price > 0.1 > -0.1 > x.price
        assert y.detail.startswith("exposure of tone y: 20.0 points under its target over 24h; its items are lifted by")
        assert trace.exposure[0].prices == {"x": x.price, "y": y.price}
        lifted = next(e for e in slate.explanations if e.displacement > 0)
        assert "tone y has had less exposure than its target asks for" in lifted.text
        fell = next(e for e in slate.explanations if e.displacement < 0)
        assert "tone x has had more exposure than its target asks for" in fell.text

    def test_nothing_moves_where_nothing_is_owed(self) -> None:
        listed = candidates()
        slate, _ = rerank_traced(listed, policy(), 10, outlook=Outlook(Shown(stream(got=0.4))))
        assert slate.positions.tolist() == list(range(10))
        assert [outcome.price for outcome in slate.report.exposure] == [0.0, 0.0]

    @pytest.mark.parametrize("strategy", ["relevance", "mmr", "msd", "dpp", "ssd", "cover", "calibrated"])
    @pytest.mark.parametrize("band", [0.1, 0.25])
    def test_no_more_are_lifted_than_the_band_allows(self, strategy: str, band: float) -> None:
        words = {"name": "p", "objective": {"strategy": strategy, "diversity": 0.3},
                 "exposure": [{"attribute": "tone", "target": SHARES, "band": band}]}  # fmt: skip
        if strategy == "calibrated":
            words["calibration"] = {"attribute": "tone", "target": "pool"}
        # Nobody would be shown for his own worth: all y stand behind all x.
        scores = np.concatenate([np.linspace(10.0, 9.0, 50), np.linspace(1.0, 0.9, 50)])
        vectors = np.tile(np.eye(8, dtype=np.float32)[0], (100, 1))
        listed = Candidates(list(range(100)), scores, vectors, {"tone": ["x"] * 50 + ["y"] * 50})
        board = Shown(stream(price=2.0))
        slate, _ = rerank_traced(listed, Policy.from_dict(words), 10, outlook=Outlook(board))
        assert tones(slate, listed).count("y") == {0.1: 5, 0.25: 7}[band]  # 10 x (0.4 + band), rounded up

    def test_explanations_tell_debts_from_limits(self) -> None:
        """y is owed a lot and stands first; beyond its target and band it falls, and who has no group passes."""
        tones_of = ["y"] * 8 + ["x"] * 4 + [None] * 28
        listed = Candidates(list(range(40)), np.linspace(1.0, 0.5, 40), None, {"tone": tones_of})
        slate, _ = rerank_traced(listed, policy(), 10, outlook=Outlook(Shown(stream(price=0.1))), explain=True)
        assert slate.positions.tolist() == [0, 1, 2, 3, 4, 12, 13, 14, 15, 16]
        assert slate.explanations[5].text.endswith("lifted, because targets of exposure hold better candidates back")
        listed = Candidates(list(range(16)), np.linspace(1.0, 0.5, 16), None, {"tone": tones_of[:16]})
        slate, _ = rerank_traced(listed, policy(), 14, outlook=Outlook(Shown(stream(price=0.1))), explain=True)
        said = [explanation.text.partition(", ")[2].partition(": ")[2] for explanation in slate.explanations]
        assert slate.positions[-3:].tolist() == [7, 8, 9]
        assert said[-3] == (
            "lower than upstream had it, because no more items of tone y are lifted than its target and band make"
        )
        assert said[-1] == "lower than upstream had it, because tone x has had more exposure than its target asks for"

    def test_prices_that_a_strict_policy_did_not_follow_were_not_in_force(self) -> None:
        words = {"name": "p", "objective": {"strategy": "relevance"}, "on_infeasible": {"mode": "strict"},
                 "quotas": [{"attribute": "tone", "min_count": {"nobody": 1}}],
                 "exposure": [{"attribute": "tone", "target": SHARES}]}  # fmt: skip
        board = Outlook(Shown(stream(price=0.1)))
        slate, trace = rerank_traced(candidates(), Policy.from_dict(words), 10, outlook=board)
        assert slate.report.status == SlateStatus.STRICT_UPSTREAM
        assert trace.exposure[0].prices == pytest.approx({"x": -0.1, "y": 0.1})

    def test_the_same_input_and_snapshot_give_the_same_slate(self) -> None:
        listed, board = candidates(), Shown(stream(price=0.1))
        one, two = (rerank_traced(listed, policy(strategy="dpp"), 10, outlook=Outlook(board))[0] for _ in range(2))
        assert one == two

    def test_late_but_good_enough(self) -> None:
        slate, _ = rerank_traced(candidates(), policy(), 10, outlook=Outlook(Shown(stream(), age=20.0)))
        assert slate.report.exposure_late
        assert slate.report.exposure

    def test_what_is_too_old_is_remembered(self) -> None:
        board = Shown(stream(price=0.25), age=1e9)
        _, trace = rerank_traced(candidates(), policy(), 10, outlook=Outlook(board))
        assert trace.exposure[0].prices == pytest.approx({"x": -0.25, "y": 0.25})

    def test_beside_quotas_and_soft_rules_on_other_attributes(self) -> None:
        listed = candidates()
        words = {"name": "p", "objective": {"strategy": "mmr", "diversity": 0.2},
                 "quotas": [{"attribute": "tone", "min_count": {"x": 3}}],
                 "spacings": [{"attribute": "tone", "penalty": 0.01, "window": 2}],
                 "exposure": [{"attribute": "tone", "target": SHARES}]}  # fmt: skip
        without = rerank_traced(listed, Policy.from_dict(words), 10, outlook=Outlook(Shown(stream(got=0.4))))[0]
        slate = rerank_traced(listed, Policy.from_dict(words), 10, outlook=Outlook(Shown(stream(price=1.0))))[0]
        assert slate.report.status == SlateStatus.SATISFIED
        assert tones(slate, listed).count("x") >= 3
        assert tones(slate, listed).count("y") > tones(without, listed).count("y")

    def test_items_of_several_values_and_unknown_ones(self) -> None:
        attributes = {"tone": [["x"], ["x", "y"], [], ["y"], ["x"], []]}
        listed = Candidates(list(range(6)), np.linspace(1.0, 0.5, 6), None, attributes)
        slate, trace = rerank_traced(listed, policy("pool"), 6, outlook=Outlook(Shown(stream(price=0.1))))
        by_slot = [attributes["tone"][position] for position in slate.positions]
        assert [list(values) for values in trace.exposure[0].values] == by_slot
        assert trace.exposure[0].relevance == pytest.approx(tuple(listed.scores[slate.positions]))


class TestStreams:
    def test_the_key_is_of_surface_policy_arm_and_what_splits_it(self) -> None:
        board = Shown(None)
        context = Context(surface="search", country="GB", intent="beauty")
        words = policy(per=["intent", "country"], half_life="30m")
        _, trace = rerank_traced(candidates(), words, 10, context=context, outlook=Outlook(board, "b"))
        key = TallyKey("search", "p", "b", "tone", (("intent", "beauty"), ("country", "GB")))
        assert board.asked == [key]
        assert (trace.exposure[0].key, trace.exposure[0].half_life) == (key, 1_800.0)

    def test_what_a_user_chose_is_neither_steered_nor_recorded(self) -> None:
        context = Context(refinement={"tone": ["y"]})
        board = Shown(stream(price=0.1))
        slate, trace = rerank_traced(candidates(), policy(), 5, context=context, outlook=Outlook(board))
        assert trace.exposure == ()
        assert board.asked == []
        assert {outcome.reason for outcome in slate.report.quotas} == {OutcomeReason.REFINED}

    def test_pages_count_on(self) -> None:
        board = Shown(stream(price=0.1))
        first, _ = rerank_traced(candidates(), policy(), 5, outlook=Outlook(board))
        _, trace = rerank_traced(
            candidates(), policy(), 5, context=Context(cursor=first.cursor), outlook=Outlook(board)
        )
        assert trace.exposure[0].before == 5

    def test_a_group_that_is_away(self) -> None:
        """It is owed what it lacks as long as it is not behind; then others share what it cannot have."""
        listed = Candidates(list(range(10)), np.linspace(1.0, 0.5, 10), None, {"tone": ["x"] * 10})
        near = rerank_traced(listed, policy(), 5, outlook=Outlook(Shown(stream(got=0.39))))[1].exposure[0]
        far = rerank_traced(listed, policy(), 5, outlook=Outlook(Shown(stream(got=0.2, price=0.3))))[1].exposure[0]
        assert near.shares == SHARES
        assert far.shares == pytest.approx({"x": 1.0, "y": 0.0})
        assert far.prices["y"] == pytest.approx(0.3)


class TestStrategies:
    @pytest.mark.parametrize("strategy", sorted(STRATEGIES))
    @pytest.mark.parametrize("window", [0, 3])
    def test_explained_or_not_the_slate_is_the_same(self, strategy: str, window: int) -> None:
        """Prices are laid on once for a slate that is filled in one call, and stay while it is filled slot by slot."""
        words: dict[str, Any] = {"name": "p", "exposure": [{"attribute": "tone", "target": SHARES}]}
        words["objective"] = {"strategy": strategy, "diversity": 0.4, "window": window}
        if strategy == "calibrated":
            words["calibration"] = {"attribute": "tone", "target": "pool"}
        listed, board = candidates(), Outlook(Shown(stream(price=0.05)))
        plain, _ = rerank_traced(listed, Policy.from_dict(words), 10, outlook=board)
        explained, _ = rerank_traced(listed, Policy.from_dict(words), 10, outlook=board, explain=True)
        assert plain.positions.tolist() == explained.positions.tolist()
        assert len(set(plain.positions.tolist())) == 10
        for item in explained.explanations:
            parts = item.relevance_part + item.diversity_part + item.soft_part
            assert item.gain == pytest.approx(parts, abs=1e-6)

    def test_drawn(self) -> None:
        words = {"name": "p", "objective": {"strategy": "dpp", "sample": True},
                 "exposure": [{"attribute": "tone", "target": SHARES}]}  # fmt: skip
        listed, board = candidates(), Outlook(Shown(stream(price=0.3)))
        counts = [
            tones(rerank_traced(listed, Policy.from_dict(words), 10, context=Context(seed=s), outlook=board)[0], listed)
            for s in range(40)
        ]
        drawn = [
            tones(
                rerank(listed, Policy.from_dict({"objective": words["objective"]}), 10, context=Context(seed=s)), listed
            )
            for s in range(40)
        ]
        assert sum(page.count("y") for page in counts) > sum(page.count("y") for page in drawn) + 40


class TestNobody:
    @pytest.mark.parametrize("target", [SHARES, "pool"])
    @pytest.mark.parametrize(
        ("tones", "slots"), [([], 5), (["x", "y"], 0), (["x"], 9), ([None, None], 2), (["q", "r"], 2)]
    )
    def test_lists_with_little_in_them(self, target: Any, tones: list[str | None], slots: int) -> None:
        listed = Candidates(list(range(len(tones))), [1.0] * len(tones), None, {"tone": tones})
        board = Outlook(Shown(stream(price=0.3)))
        slate, trace = rerank_traced(listed, policy(target), slots, outlook=board, explain=True)
        assert len(slate) == min(slots, len(tones))
        assert all(len(served.values) == len(slate) for served in trace.exposure)

    def test_nobody_carries_the_attribute(self) -> None:
        listed = Candidates([1, 2], [1.0, 0.5], None, {})
        slate, trace = rerank_traced(listed, policy(), 2, outlook=Outlook(Shown(stream(price=0.3))))
        assert (len(slate), trace.exposure) == (2, ())


class TestScores:
    @pytest.mark.parametrize(
        "scores",
        [
            [0.0] * 12,
            [1.0] * 12,
            list(np.linspace(-5.0, -1.0, 12)),
            [(1.0 - i / 6) * 1e308 for i in range(12)],
            list(np.linspace(1e-300, 2e-300, 12)),
        ],
        ids=["nothing", "equal", "negative", "the whole range", "tiny"],
    )
    @pytest.mark.parametrize("strategy", ["relevance", "dpp", "mmr"])
    def test_of_any_size_give_a_full_slate(self, scores: list[float], strategy: str) -> None:
        random = np.random.default_rng(1)
        listed = Candidates(list(range(12)), scores, random.normal(size=(12, 4)), {"tone": ["x", "y", "x"] * 4})
        slate, trace = rerank_traced(listed, policy(strategy=strategy), 6, outlook=Outlook(Shown(stream(price=0.5))))
        assert len(set(slate.positions.tolist())) == 6
        assert np.isfinite(slate.gains).all()
        assert all(np.isfinite(trace.exposure[0].relevance))

    def test_a_price_means_the_same_on_any_scale(self) -> None:
        listed = candidates()
        board = Shown(stream(price=0.05))
        once = rerank_traced(listed, policy(), 10, outlook=Outlook(board))[0]
        tones = {"tone": ["y" if i % 4 == 3 else "x" for i in range(40)]}
        larger = Candidates(list(listed.ids), 70.0 * listed.scores, None, tones)
        assert (
            rerank_traced(larger, policy(), 10, outlook=Outlook(board))[0].positions.tolist() == once.positions.tolist()
        )

    def test_many_groups_are_lifted_as_few_are(self) -> None:
        """Beyond a few groups they are counted in one pass; the lift is the same as group by group."""
        random = np.random.default_rng(5)
        values = [f"v{i}" for i in range(40)]
        tones = random.choice(values, 300)
        listed = Candidates(list(range(300)), random.uniform(size=300), None, {"tone": tones.tolist()})
        groups = {
            value: GroupTally(random.uniform(50, 150), 0.0, 100.0, 300.0, random.uniform(-900, 900)) for value in values
        }
        board = Shown(Tally(0.0, 1_000.0, groups))
        target = dict.fromkeys(values, 0.025)
        slate, _ = rerank_traced(listed, policy(target, band=0.2), 10, outlook=Outlook(board))
        prices = {outcome.value: outcome.price for outcome in slate.report.exposure}
        least, lift, seen = min(prices.values()), np.zeros(300), dict.fromkeys(values, 0)
        scores = listed.scores
        for position in np.argsort(-scores, kind="stable").tolist():
            value = str(tones[position])
            lift[position] = prices[value] if seen[value] < 3 else least  # 10 x (0.025 + 0.2), rounded up
            seen[value] += 1
        unit = np.sort(scores)[-10:].mean()
        assert slate.positions.tolist() == np.argsort(-(scores + unit * lift), kind="stable")[:10].tolist()
