"""The request's context: what it holds, and every refusal at once."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from reranker.context import Context
from reranker.errors import InvalidInput


def violations(**words: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        Context(**words)
    return [(violation.path, violation.reason) for violation in caught.value.violations]


def test_an_empty_context_knows_nothing() -> None:
    context = Context()
    assert (context.surface, context.unit, context.cursor, context.seed) == ("", "", b"", None)
    assert not context.targets
    assert not context.fixed
    assert not context.without_profiling


def test_a_context_cannot_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Context().surface = "home"  # type: ignore[misc]  # that it is an error for mypy too is the point


def test_two_contexts_do_not_share_their_tables() -> None:
    assert Context().targets is not Context().targets


@pytest.mark.parametrize(
    "shares", [{}, {"f": 0.0}, {"f": 1.0}, {"f": 0.1, "m": 0.9}, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}]
)
def test_target_shares_may_add_up_to_one(shares: dict[str, float]) -> None:
    assert Context(targets={"gender": shares}).targets["gender"] == shares


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ({"f": 1.1}, "every share must be between 0 and 1"),
        ({"f": -0.1, "m": 0.5}, "every share must be between 0 and 1"),
        ({"f": math.nan}, "every share must be between 0 and 1"),
        ({"f": math.inf}, "every share must be between 0 and 1"),
        ({"f": 0.6, "m": 0.6}, "shares must add up to at most 1"),
    ],
)
def test_target_shares_are_shares(shares: dict[str, float], reason: str) -> None:
    assert violations(targets={"gender": shares}) == [("context.targets['gender']", reason)]


@pytest.mark.parametrize("slot", [0, -1])
def test_slots_count_from_one(slot: int) -> None:
    assert violations(fixed={slot: "ad"}) == [(f"context.fixed[{slot}]", "slots count from 1")]


def test_an_item_is_fixed_in_one_slot_only() -> None:
    assert violations(fixed={1: "ad", 3: "ad"}) == [("context.fixed", "an item can be fixed in one slot only")]


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_a_seed_has_64_bits(seed: int) -> None:
    assert Context(seed=seed).seed == seed


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "7"])
def test_any_other_seed_is_refused(seed: Any) -> None:
    assert violations(seed=seed) == [("context.seed", "must be an integer from 0 to 2^64 - 1")]


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ({"targets": {"gender": {"f": "much"}}}, "context.targets['gender']"),
        ({"fixed": {"1": "ad"}}, "context.fixed[1]"),
    ],
)
def test_words_of_another_type_are_refused(words: dict[str, Any], path: str) -> None:
    assert [found for found, _ in violations(**words)] == [path]


def test_everything_wrong_is_said_at_once() -> None:
    found = violations(targets={"a": {"x": 2.0}, "b": {"x": 0.7, "y": 0.7}}, fixed={0: "p", 2: "p"}, seed=-5)
    assert [path for path, _ in found] == [
        "context.targets['a']",
        "context.targets['b']",
        "context.fixed[0]",
        "context.fixed",
        "context.seed",
    ]


def test_a_refusal_quotes_neither_values_nor_ids() -> None:
    with pytest.raises(InvalidInput) as caught:
        Context(targets={"gender": {"secret": 7.25}}, fixed={0: "alice", 1: "alice"}, seed=-123456)
    assert not any(word in str(caught.value) for word in ("secret", "7.25", "alice", "123456"))


def test_recently_shown_ids_are_text_or_integers() -> None:
    assert Context(recent=["a", "b"]).recent == ["a", "b"]
    wrong: list[Any] = [["a"], 1.5, None]
    for item in wrong:
        with pytest.raises(InvalidInput, match="ids must be text or integers"):
            Context(recent=[item])
