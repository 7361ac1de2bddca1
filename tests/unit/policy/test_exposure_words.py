"""`[[exposure]]` as words: mistakes all at once, what it says in sentences, and warnings of targets out of reach."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from reranker.errors import InvalidInput
from reranker.policy import Policy
from reranker.policy.binding import numbers, warnings
from reranker.policy.compile import compiled
from reranker.policy.describe import described
from reranker.policy.exposure import seconds_of

SHARES = {"x": 0.6, "y": "1/3"}


def policy(*blocks: dict[str, Any], **words: Any) -> Policy:
    return Policy.from_dict({"exposure": list(blocks), **words})


def test_every_mistake_at_once() -> None:
    blocks: list[dict[str, Any]] = [
        {"attribute": "a", "target": {"x": 0.8, "y": 0.4}, "per": ["unit", "surface"], "half_life": "a day"},
        {"target": "pool", "band": 2},
        {"attribute": "a", "target": "pool", "per": ["intent", "intent"], "min_count": 2_000_000},
        {"attribute": "tone", "target": {"green": 0.5}},
    ]
    with pytest.raises(InvalidInput) as caught:
        policy(*blocks, labels={"tone": {"values": ["light", "dark"]}})
    assert {violation.path for violation in caught.value.violations} == {
        "exposure[0].target",
        "exposure[0].per",
        "exposure[0].half_life",
        "exposure[1]",
        "exposure[1].band",
        "exposure[2].attribute",
        "exposure[2].per",
        "exposure[2].min_count",
        "exposure[3].target.green",
    }
    assert "one attribute has one target" in str(caught.value)


def test_more_blocks_than_can_be_served() -> None:
    with pytest.raises(InvalidInput, match="at most 8 can be served"):
        policy(*({"attribute": f"a{i}", "target": "pool"} for i in range(9)))


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800)])
def test_half_lives(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


def test_compiled() -> None:
    rules = compiled(policy({"attribute": "a", "target": SHARES, "per": ["intent"], "half_life": "30m"}), 10)
    (exposure,) = rules.exposure
    assert exposure.shares == (("x", 0.6), ("y", 1 / 3))
    assert (exposure.per, exposure.half_life, exposure.band, exposure.min_count) == (("intent",), 1_800.0, 0.1, 100)
    bounds = exposure.alone.prefix_bounds
    assert [(bound.value, bound.share, bound.upper) for bound in bounds] == [
        ("x", Fraction(3, 5), None),
        ("y", Fraction(1, 3), None),
    ]
    assert rules.named_attributes == ("a",)


def test_in_sentences() -> None:
    block = {"attribute": "a", "target": SHARES, "per": ["surface", "intent"], "half_life": "7d", "band": 0.25}
    text = "\n".join(described(policy(block)))
    assert "a: over requests, shares of exposure are steered to x 3/5, y 1/3, for each surface and intent apart" in text
    assert "the past counts half after 7d" in text
    assert "In one slate a value is lifted to 0.25 above its share at most." in text
    pool = "\n".join(described(policy({"attribute": "a", "target": "pool"})))
    assert "steered to those among the labelled candidates that pass the guard" in pool
    assert "those that requests name" in "\n".join(described(policy({"attribute": "a", "target": "request"})))


def test_numbers_and_warnings() -> None:
    quotas = [{"attribute": "a", "min_share": {"x": 0.7}, "max_share": {"y": 0.2}}]
    steered = policy(
        {"attribute": "a", "target": SHARES}, {"attribute": "b", "target": "pool", "band": 0}, quotas=quotas
    )
    lines = numbers(steered)
    assert any(line.startswith("exposure[0] a, without a ledger") for line in lines)
    assert any("slot 3" in line and "1/3" in line for line in lines)
    assert [warning for warning in warnings(steered) if warning.startswith("exposure")] == [
        "exposure[0] a x: the target, 3/5, is below the least that a slate may hold, 7/10",
        "exposure[0] a y: the target, 1/3, is above the most that a slate may hold, 1/5",
        "exposure[1] b: with a band of 0 earlier requests change nothing",
    ]
