"""The checks: each mistake by its path and words, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from reranker.policy import words
from reranker.policy.check import check
from reranker.policy.mistakes import Mistakes
from reranker.v1 import policy_pb2 as pb


def found(tree: dict[str, Any]) -> list[tuple[str, str]]:
    mistakes = Mistakes()
    message = words.from_tree(tree, mistakes)
    assert not mistakes.violations
    return found_in(message)


def found_in(message: pb.Policy) -> list[tuple[str, str]]:
    mistakes = Mistakes()
    check(message, mistakes)
    return [(violation.path, violation.reason) for violation in mistakes]


def quota(**block: Any) -> dict[str, Any]:
    return {"quotas": [block]}


def on(**block: Any) -> dict[str, Any]:
    return quota(attribute="a", **block)


SKIN = {"labels": {"a": {"values": ["x", "y"]}}}
INTERSECTION = {"a": ["x"], "b": ["y"]}
FAIR = {"protected": ["x"], "proportion": 0.4, "significance": 0.1}


@pytest.mark.parametrize(
    "tree",
    [
        {},
        on(min_share={"x": 0.6}, max_share={"x": 0.4}),  # conflicts as numbers: relaxed at run time
        on(min_share={"x": 0.7, "y": 0.7}),
        on(min_share={"x": "1/3"}, max_count={"y": 0}, within=10),
        on(min_count={"x": 12}, within=10),
        on(max_per_value=2, window=10, weight=0.5),
        on(max_per_value=2, within=0, tolerance=0, soft=False),
        on(at_least_one_of_each=True, values=["x"], within=10, min_coverage=0.1),
        on(target={"x": 0.3, "y": 0.7}, tolerance=0.1, within=5),
        on(target={"x": 0.1, "y": 0.2, "z": 0.7}, generator="det_cons"),
        on(target="request"),
        on(fair_star=FAIR),
        quota(where=INTERSECTION, min_share=0.1, max_count=3, soft=True),
        quota(max_similarity=0.95, window=10),
        {**SKIN, **on(min_share={"x": 0.1}, max_share={"y": 0.4})},
        {"labels": {"unknown": "group", **SKIN["labels"]}, **on(max_share={"unknown": 0.4})},
        {"labels": {"count": "expected", "a": {"count": "hard"}}, **on(min_count={"x": 1})},
        {"guard": {"min_score": -3.5, "min_share_of_best": 1}},
        {"objective": {"score_zero": -1e300, "relevance_floor": 1, "sample": True}},
        *(
            {"objective": {"strategy": word}, "calibration": {"attribute": "g", "target": "pool"}}
            for word in ("calibrated", "xquad", "pm2", "dum", "round_robin")
        ),
        *({"objective": {"strategy": word}} for word in ("xquad", "pm2", "dum", "round_robin")),
        {"similarity_signals": [{"signal": "image"}, {"attribute": "genre", "kind": "jaccard", "weight": 2}]},
        {"spacings": [{"attribute": "a", "penalty": 0, "window": 1}], "decays": [{"attribute": "a", "factor": 0}]},
        {"exposure": [{"attribute": "a", "target": {"x": 1}, "per": ["surface"], "half_life": "30m"}]},
        {"shadow": {"policy": "other", "fraction": 0}},
        {"about": {"purpose": "", "owner": ""}},
    ],
)
def test_sound(tree: dict[str, Any]) -> None:
    assert found(tree) == []


@pytest.mark.parametrize(
    ("tree", "path", "said"),
    [
        ({"objective": {"diversity": 1.01}}, "objective.diversity", "must be between 0 and 1"),
        ({"objective": {"diversity": float("nan")}}, "objective.diversity", "must be a finite number"),
        ({"objective": {"score_zero": float("inf")}}, "objective.score_zero", "must be a finite number"),
        ({"objective": {"relevance_floor": 0}}, "objective.relevance_floor", "must be above 0 and at most 1"),
        ({"objective": {"window": 2_000_000}}, "objective.window", "must be between 0 and 1,000,000"),
        ({"objective": {"strategy": "mmr", "sample": True}}, "objective.sample", 'goes with strategy = "dpp" only'),
        ({"objective": {"strategy": "calibrated"}}, "objective.strategy", "needs a [calibration] block"),
        (
            {"calibration": {"attribute": "g", "target": "pool"}},
            "calibration",
            "goes with strategy = calibrated, xquad,",
        ),
        (
            {"objective": {"strategy": "mmr"}, "calibration": {"attribute": "g", "target": "pool"}},
            "calibration",
            "pm2, dum or round_robin only",
        ),
        (
            {"objective": {"strategy": "pm2"}, "calibration": {"attribute": "g"}},
            "calibration",
            "needs target",
        ),
        ({"objective": {"sample": True, "window": 3}}, "objective.sample", "goes with window = 0 only"),
        (
            {"objective": {"sample": True}, "similarity_signals": [{"attribute": "a", "kind": "equality"}]},
            "objective.sample",
            "draws by one embedding",
        ),
        ({"name": ""}, "name", "must be 1 to 100 printable characters"),
        ({"name": "a\nb"}, "name", "printable"),
        ({"name": "upstream"}, "name", "untouched order"),
        ({"about": {"review_by": "2027-13-01"}}, "about.review_by", "must be a date such as 2027-06-30"),
        ({"about": {"review_by": "20270630"}}, "about.review_by", "must be a date"),
        ({"guard": {"min_share_of_best": -0.1}}, "guard.min_share_of_best", "between 0 and 1"),
        ({**SKIN, "guard": {"where": {"a": ["x", "z"]}}}, "guard.where.a[1]", '"z" is not a declared value of a'),
        ({"labels": {"a": {"values": ["x", "x"]}}}, "labels.a.values", 'must not repeat "x"'),
        ({"labels": {"a": {"threshold": 1.5}}}, "labels.a.threshold", "between 0 and 1"),
        ({"labels": {"confidence": 1}}, "labels.confidence", "must be above 0 and below 1"),
        (quota(min_share={"x": 0.1}), "quotas[0]", "needs attribute, or where"),
        (quota(attribute="", max_per_value=1), "quotas[0].attribute", "must not be empty"),
        (quota(attribute="a", where=INTERSECTION, min_share=0.1), "quotas[0]", "has both attribute and where"),
        (quota(attribute="a"), "quotas[0]", "sets no bound: give it min_share"),
        (on(at_least_one_of_each=False), "quotas[0]", "sets no bound"),
        (on(min_share=0.2), "quotas[0].min_share", 'must name its values, such as { "value" = 0.2 }'),
        (on(max_count=2), "quotas[0].max_count", 'must name its values, such as { "value" = 2 }'),
        (quota(where=INTERSECTION, min_share={"x": 0.2}), "quotas[0].min_share", "must be a bare number"),
        (quota(where=INTERSECTION, max_per_value=2), "quotas[0].max_per_value", "needs attribute"),
        (on(min_share={"x": 1.5}), "quotas[0].min_share.x", "between 0 and 1"),
        (on(min_share={"x": "3/2"}), "quotas[0].min_share.x", "between 0 and 1"),
        (on(min_share={"x": "1/0"}), "quotas[0].min_share.x", "denominator from 1 to 1,000,000"),
        (on(min_share={"x": "1/1000001"}), "quotas[0].min_share.x", "denominator"),
        (on(min_share={"x": "a third"}), "quotas[0].min_share.x", 'must be a share such as 0.2 or "1/5"'),
        (on(min_share={"x": "-1/3"}), "quotas[0].min_share.x", "must be a share"),
        (on(min_share={"x": "1e-3"}), "quotas[0].min_share.x", "must be a share"),
        (on(max_per_value=0), "quotas[0].max_per_value", "between 1 and 1,000,000"),
        (on(max_per_value=1, within=5), "quotas[0].within", "goes with min_share, max_share"),
        (on(min_share={"x": 0.1}, window=5), "quotas[0].window", "goes with max_per_value or max_similarity only"),
        (on(min_share={"x": 0.1}, values=["x"]), "quotas[0].values", "goes with at_least_one_of_each only"),
        (on(min_share={"x": 0.1}, tolerance=0.1), "quotas[0].tolerance", "goes with target only"),
        (on(min_share={"x": 0.1}, generator="det_cons"), "quotas[0].generator", "goes with target only"),
        (on(min_share={"x": 0.1}, weight=0), "quotas[0].weight", "above 0 and at most 1,000,000"),
        (on(target={"x": 0.6, "y": "a half"}), "quotas[0].target.y", "must be a share"),
        (on(target={"x": 0.6, "y": "1/2"}), "quotas[0].target", "add up to at most 1"),
        (on(max_similarity=0.9, window=2), "quotas[0]", "max_similarity has a block of its own: attribute must not"),
        (on(fair_star={"protected": ["x"], "proportion": 0.4}), "quotas[0].fair_star", "needs significance"),
        (on(fair_star={**FAIR, "proportion": 1}), "quotas[0].fair_star.proportion", "above 0 and below 1"),
        (on(fair_star={**FAIR, "protected": ["x", "x"]}), "quotas[0].fair_star.protected", "must not repeat"),
        ({**SKIN, **on(min_share={"z": 0.1})}, "quotas[0].min_share.z", '[labels] lists "x" and "y"'),
        ({**SKIN, **on(max_count={"z": 1})}, "quotas[0].max_count.z", "not a declared value"),
        ({**SKIN, **on(target={"z": 0.1})}, "quotas[0].target.z", "not a declared value"),
        ({**SKIN, **on(at_least_one_of_each=True, values=["z"])}, "quotas[0].values[0]", "not a declared value"),
        (
            {**SKIN, **on(fair_star={**FAIR, "protected": ["z"]})},
            "quotas[0].fair_star.protected[0]",
            "not a declared value",
        ),
        (
            {**SKIN, **quota(where={"a": ["z"]}, min_share=0.1)},
            "quotas[0].where.a[0]",
            "not a declared value",
        ),
        ({"labels": {"count": "expected"}, **on(min_count={"x": 2})}, "quotas[0].min_count", "ten items at"),
        (
            {"labels": {"a": {"count": "expected"}}, **on(at_least_one_of_each=True)},
            "quotas[0].at_least_one_of_each",
            "does not go with labels",
        ),
        ({"similarity_signals": [{"kind": "cosine"}]}, "similarity_signals[0]", "needs signal"),
        ({"similarity_signals": [{"signal": "i", "attribute": "a"}]}, "similarity_signals[0]", "has both"),
        ({"similarity_signals": [{"attribute": "a"}]}, "similarity_signals[0].kind", "must be equality"),
        (
            {"similarity_signals": [{"signal": "i", "kind": "prefix"}]},
            "similarity_signals[0].kind",
            "must be cosine for an embedding",
        ),
        ({"spacings": [{"attribute": "a", "window": 2}]}, "spacings[0]", "needs penalty"),
        ({"spacings": [{"attribute": "a", "penalty": -1, "window": 2}]}, "spacings[0].penalty", "between 0 and"),
        ({"decays": [{"factor": 0.5}]}, "decays[0]", "needs attribute"),
        ({"decays": [{"attribute": "a", "factor": 0.5}] * 17}, "decays", "has 17 blocks; at most 16"),
        ({"similarity_signals": [{"signal": "a"}] * 9}, "similarity_signals", "has 9 blocks; at most 8"),
        ({"exposure": [{"attribute": "a"}]}, "exposure[0]", "needs target"),
        ({"exposure": [{"attribute": "a", "target": "pool", "per": ["unit"]}]}, "exposure[0].per", "must be from"),
        ({"exposure": [{"attribute": "a", "target": "pool", "half_life": "1 day"}]}, "exposure[0].half_life", '"24h"'),
        ({"shadow": {"policy": "b"}}, "shadow", "needs fraction"),
        ({"name": "b", "shadow": {"policy": "b", "fraction": 0.1}}, "shadow.policy", "another policy"),
    ],
)
def test_mistake(tree: dict[str, Any], path: str, said: str) -> None:
    ((where, reason),) = found(tree)
    assert where == path
    assert said in reason


SHARE = pb.Share(number=0.2)
NAMED = pb.ValueShare(value="x", share=SHARE)


@pytest.mark.parametrize(
    ("message", "path", "said"),
    [
        (pb.Policy(objective=pb.Objective.FromString(b"\x08\x63")), "objective.strategy", "does not know"),
        (pb.Policy.FromString(b"\xa0\x06\x01"), "policy", "carries fields that this release does not know"),
        (pb.Policy(guard=pb.Guard.FromString(b"\xa0\x06\x01")), "policy", "carries fields"),
        (
            pb.Policy(quotas=[pb.Quota(attribute="a", min_share=[NAMED, NAMED])]),
            "quotas[0].min_share.x",
            "is given twice",
        ),
        (
            pb.Policy(quotas=[pb.Quota(attribute="a", min_share=[pb.ValueShare(value="x")])]),
            "quotas[0].min_share.x",
            "must be a share",
        ),
        (
            pb.Policy(quotas=[pb.Quota(attribute="a", target=[NAMED], target_source=pb.TARGET_SOURCE_POOL)]),
            "quotas[0].target",
            "not both",
        ),
        (
            pb.Policy(quotas=[pb.Quota(attribute="a", target=[pb.ValueShare(share=SHARE)])]),
            "quotas[0].target",
            "must name the value",
        ),
        (pb.Policy(guard=pb.Guard(where=[pb.Condition(attribute="a")])), "guard.where.a", "at least one value"),
        (pb.Policy(guard=pb.Guard(where=[pb.Condition(values=["x"])])), "guard.where", "name must not be empty"),
        (
            pb.Policy(
                labels=pb.Labels(attributes=[pb.AttributeLabels(attribute="a"), pb.AttributeLabels(attribute="a")])
            ),
            "labels.a",
            "is given twice",
        ),
        (
            pb.Policy(labels=pb.Labels(threshold=0.5, attributes=[pb.AttributeLabels(attribute="threshold")])),
            "labels.threshold",
            "is given twice",
        ),
        (pb.Policy(labels=pb.Labels(attributes=[pb.AttributeLabels()])), "labels", "name must not be empty"),
    ],
)
def test_messages_that_no_words_make(message: pb.Policy, path: str, said: str) -> None:
    mistakes = found_in(message)
    assert (path, said) in [(where, said) for where, reason in mistakes if said in reason], mistakes


@pytest.mark.parametrize(
    "tree",
    [
        quota(atribute="a", max_per_value=2),
        on(min_shares={"x": 0.1}),
        on(min_share={"x": "much", "y": True}),
        on(max_per_value="two", window=10),
        {"spacings": [{"attribute": "a", "penalty": "high", "window": 2}]},
        {"similarity_signals": [{"signal": 3}]},
        {"objective": {"strategy": "calibratd"}, "calibration": {"attribute": "g", "target": "pool"}},
        {"objective": {"strategy": "calibrated"}, "calibration": "g"},
        on(at_least_one_of_each=True, values=[None]),
    ],
)
def test_what_was_misspelt_or_misread_is_not_called_missing_too(tree: dict[str, Any]) -> None:
    mistakes = Mistakes()
    message = words.from_tree(tree, mistakes)
    read_wrongly = [v for v in mistakes if "share such as" not in v.reason]
    check(message, mistakes)
    assert [v for v in mistakes if "share such as" not in v.reason] == read_wrongly


CONTROLS = "must not hold control characters, nor marks that turn the direction of text"


@pytest.mark.parametrize("mark", ["\x1b", "\n", "\x7f", "\x9b", "\u2028", "\u202e", "\u2066"])
def test_names_and_values_hold_no_control_characters(mark: str) -> None:
    evil = f"a{mark}b"
    tree = {
        "similarity_signals": [{"signal": evil}],
        "guard": {"where": {evil: ["x"]}},
        "quotas": [
            {"attribute": evil, "min_share": {evil: 0.1}},
            {"attribute": "a", "at_least_one_of_each": True, "values": ["x", evil]},
            {"where": {"a": [evil], "b": ["x"]}, "min_count": 1},
        ],
        "labels": {evil: {"unknown": "group"}},
    }
    shown = mark.encode("unicode_escape").decode()
    assert sorted(found(tree)) == sorted(
        (path, CONTROLS)
        for path in (
            "similarity_signals[0].signal",
            f'guard.where."a{shown}b"',
            "quotas[0].attribute",
            f'quotas[0].min_share."a{shown}b"',
            "quotas[1].values",
            "quotas[2].where.a",
            f'labels."a{shown}b"',
        )
    )


@pytest.mark.parametrize("text", ["می\u200cخواهم", "👩\u200d🚀", "a\u00a0b", "שלום\u200f", "5–6", "naïve"])
def test_names_and_values_of_any_script_are_fine(text: str) -> None:
    assert found(on(min_count={text: 1})) == []


def test_a_long_domain_is_listed_in_part_and_in_time() -> None:
    values = [f"v{i:04}" for i in range(900)]
    tree = {"labels": {"a": {"values": values}}, **on(at_least_one_of_each=True, values=[f"x{i}" for i in range(900)])}
    reasons = found(tree)
    assert len(reasons) == 900
    assert reasons[0][1].endswith('"v0018", "v0019" and 880 more')
    repeated = on(at_least_one_of_each=True, values=["x", "y"] * 20_000)
    assert ("quotas[0].values", 'must not repeat "x" and "y"') in found(repeated)
