"""Cursors: sealed, bound to a policy, silent about people, and narrowed lists (rules 12 and 13)."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Context, InvalidInput, Policy, rerank
from reranker.engine import rerank_traced
from reranker.engine.seal import Seals
from reranker.slate import OutcomeReason, OutcomeStatus
from reranker.v1.cursor_pb2 import Cursor

TONES = ["light"] * 12 + ["dark"] * 6 + [None] * 2
WHERE = {"where": {"tone": ["dark"], "creator": ["c1"]}, "min_count": 1}


def policy(*quotas: dict[str, Any], **words: Any) -> Policy:
    return Policy.from_dict({"name": "paged", "objective": {"strategy": "relevance"}, "quotas": list(quotas), **words})


def listed(count: int = 20) -> Candidates:
    rows = np.random.default_rng(1).normal(size=(count, 6)).astype(np.float32)
    creators = [f"c{i % 5}" for i in range(count)]
    return Candidates(
        [f"item {i}" for i in range(count)],
        np.linspace(1.0, 0.1, count),
        rows,
        {"tone": TONES[:count], "creator": creators},
    )


FLOOR = {"attribute": "tone", "min_share": {"dark": 0.25}}


def test_a_cursor_that_was_altered_or_made_elsewhere_is_refused() -> None:
    cursor = rerank(listed(), policy(FLOOR), 4).cursor
    forged = bytearray(cursor)
    forged[-1] ^= 1
    elsewhere = rerank_traced(listed(), policy(FLOOR), 4, seals=Seals(b"another key of 16+ bytes"))[0].cursor
    for bad in (bytes(forged), cursor[:-1], cursor[:10], b"x", elsewhere, b"\x02" + cursor[1:]):
        with pytest.raises(InvalidInput) as caught:
            rerank(listed(), policy(FLOOR), 4, context=Context(cursor=bad))
        (violation,) = caught.value.violations
        assert violation.path == "context.cursor"
        assert "begin without it" in violation.reason


def test_a_column_in_which_nobody_has_a_vector_has_no_length_to_differ_in() -> None:
    rules = Policy.from_dict({"name": "wide", "objective": {"strategy": "mmr"}})
    bare = Candidates(["y", "z"], [0, 0], [None, None])
    without = rerank(listed(), rules, 5)
    assert rerank(listed(), rules, 5, context=Context(recent=bare)).ids == without.ids
    rerank(bare, rules, 2, context=Context(recent=listed()))
    later = rerank(listed(), rules, 5, context=Context(cursor=without.cursor))
    assert rerank(listed(), rules, 5, context=Context(cursor=without.cursor, recent=bare)).ids == later.ids


def test_all_embeddings_together_have_one_room_in_a_cursor() -> None:
    rows = np.random.default_rng(2).normal(size=(30, 640))
    rules = Policy.from_dict({"name": "wide", "objective": {"strategy": "mmr"}})
    sizes = {}
    for columns in (1, 8):
        candidates = Candidates(range(30), np.linspace(1, 0, 30), {f"e{i}": rows for i in range(columns)})
        slate = rerank(candidates, rules, 25)
        sizes[columns] = len(slate.cursor)
        assert len(rerank(candidates, rules, 25, context=Context(cursor=slate.cursor))) == 5
    assert sizes[1] < 34_000
    assert sizes[8] < 34_000


def test_a_cursor_belongs_to_one_revision_of_its_policy() -> None:
    cursor = rerank(listed(), policy(FLOOR), 4).cursor
    with pytest.raises(InvalidInput, match="another revision of the policy"):
        rerank(listed(), policy(FLOOR, WHERE), 4, context=Context(cursor=cursor))


def test_keys_can_be_changed_without_losing_a_page() -> None:
    old, new = b"the old key, 16 bytes or more", b"the new key, 16 bytes or more"
    rules, candidates = policy(FLOOR), listed()
    first = rerank_traced(candidates, rules, 4, seals=Seals(old))[0]
    context = Context(cursor=first.cursor)
    second = rerank_traced(candidates, rules, 4, context=context, seals=Seals(new, old))[0]
    assert not set(first.ids) & set(second.ids)
    third = rerank_traced(candidates, rules, 4, context=Context(cursor=second.cursor), seals=Seals(new, old))[0]
    assert not set(third.ids) & {*first.ids, *second.ids}
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Seals(b"short")


def test_a_cursor_says_nothing_of_people_to_whoever_carries_it() -> None:
    rules = policy(FLOOR, {"attribute": "creator", "max_per_value": 2, "window": 5})
    cursor = rerank(listed(), rules, 6).cursor
    assert not [text for text in (b"dark", b"light", b"item", b"c1") if text in cursor]


def test_what_the_user_narrowed_is_in_no_cursor_and_suspends_its_quotas() -> None:
    rules = policy(FLOOR, WHERE, {"attribute": "creator", "max_per_value": 2, "window": 0})
    slate = rerank(listed(), rules, 4, context=Context(refinement={"tone": ["dark"]}))
    assert all(listed().attributes["tone"].listed()[position] == ["dark"] for position in slate.positions)
    suspended = {o.attribute for o in slate.report.quotas if o.status is OutcomeStatus.SUSPENDED}
    assert suspended == {"tone", "tone dark and creator c1"}
    assert {o.reason for o in slate.report.quotas if o.attribute == "tone"} == {OutcomeReason.REFINED}
    message = Cursor.FromString(slate.cursor[17:])
    assert [tally.subject for tally in message.tallies] == ["creator"]
    assert "tone" not in [trail.attribute for trail in message.trails]
    again = rerank(listed(), rules, 4, context=Context(refinement={"tone": ["dark"]}, cursor=slate.cursor))
    assert len(again) == 2
    assert not set(again.ids) & set(slate.ids)


def test_a_quota_that_was_narrowed_on_page_one_begins_on_page_two() -> None:
    rules = policy({"attribute": "tone", "min_share": {"dark": 0.5}})
    first = rerank(listed(), rules, 4, context=Context(refinement={"tone": ["light"]}))
    second = rerank(listed(), rules, 4, context=Context(cursor=first.cursor))
    (outcome,) = second.report.quotas
    assert (outcome.required, outcome.achieved, outcome.share) == (2, 2, 0.5)


def test_a_boosted_choice_comes_first_and_nobody_is_lost() -> None:
    rules = policy(FLOOR, refinement={"mode": "boost"})
    slate = rerank(listed(), rules, 20, context=Context(refinement={"tone": ["dark"]}))
    tones = [TONES[position] for position in slate.positions]
    assert tones == ["dark"] * 6 + ["light"] * 12 + [None] * 2
    assert slate.report.relevance_retained == pytest.approx(1.0)
    retained = rerank(listed(), rules, 4, context=Context(refinement={"tone": ["dark"]})).report.relevance_retained
    assert retained is not None
    assert retained < 1.0


def test_an_ignored_choice_moves_nobody() -> None:
    rules = policy(FLOOR, refinement={"mode": "ignore"})
    slate = rerank(listed(), rules, 4, context=Context(refinement={"tone": ["dark"]}))
    assert slate.positions.tolist() == [0, 1, 2, 3]
    assert any("narrowed" in note for note in slate.report.notes)


def test_a_choice_that_nobody_carries_leaves_an_empty_slate() -> None:
    for refinement in ({"tone": ["no such"]}, {"no such": ["x"]}):
        slate = rerank(listed(), policy(FLOOR), 4, context=Context(refinement=refinement))
        assert len(slate) == 0
        assert slate.cursor


def test_fixed_items_that_were_shown_or_narrowed_away_are_left_out_and_said() -> None:
    rules = policy(FLOOR)
    slate = rerank(listed(), rules, 4, context=Context(refinement={"tone": ["dark"]}, fixed={1: "item 0"}))
    assert "item 0" not in slate.ids
    assert any("a fixed item was narrowed away" in note for note in slate.report.notes)
    first = rerank(listed(), rules, 4, context=Context(fixed={2: "item 15"}))
    assert first.ids[1] == "item 15"
    second = rerank(listed(), rules, 4, context=Context(fixed={1: "item 15"}, cursor=first.cursor))
    assert "item 15" not in second.ids
    with pytest.raises(InvalidInput, match="not among the candidates"):
        rerank(listed(), rules, 4, context=Context(fixed={1: "unheard of"}, cursor=first.cursor))


def test_refined_requests_are_marked_for_those_who_must_not_store_them() -> None:
    assert rerank_traced(listed(), policy(), 4, context=Context(refinement={"tone": ["dark"]}))[1].refined
    assert not rerank_traced(listed(), policy(), 4)[1].refined


def test_the_end_of_the_list_ends_the_pages() -> None:
    rules, cursor, seen = policy(FLOOR), b"", []
    for expected in (8, 8, 4, 0, 0):
        slate = rerank(listed(), rules, 8, context=Context(cursor=cursor))
        assert len(slate) == expected
        cursor = slate.cursor
        seen += slate.ids
    assert sorted(seen) == sorted(listed().ids)


def test_a_slate_can_be_pickled_with_its_cursor() -> None:
    slate = rerank(listed(), policy(FLOOR), 4)
    copy = pickle.loads(pickle.dumps(slate))
    assert copy == slate
    assert copy.cursor == slate.cursor


def test_another_list_on_page_two_is_fine() -> None:
    """Upstream may send what it has next: earlier items are known by the cursor, not by the list."""
    rules = policy({"attribute": "tone", "min_share": {"dark": 0.5}}, {"attribute": "creator", "max_per_value": 1})
    first = rerank(listed(), rules, 2)
    others = Candidates(
        [f"new {i}" for i in range(6)],
        [6.0, 5, 4, 3, 2, 1],
        None,
        {"tone": ["light"] * 3 + ["dark"] * 3, "creator": [*"abcdef"]},
    )
    second = rerank(others, rules, 2, context=Context(cursor=first.cursor))
    by_value = {(o.attribute, o.bound.value): o for o in second.report.quotas}
    assert (by_value["tone", "LOWER"].required, by_value["tone", "LOWER"].achieved) == (2, 2)


def test_a_name_that_nobody_carries_is_said() -> None:
    for refinement, said in (
        ({"hair": ["x"]}, "no candidate carries the attribute hair that the user narrowed"),
        ({"tone": ["no such"]}, "no candidate carries a value that the user chose of tone"),
    ):
        notes = rerank(listed(), policy(FLOOR), 4, context=Context(refinement=refinement)).report.notes
        assert said in notes
        assert not any("no such" in note for note in notes)
    ignored = rerank(listed(), policy(refinement={"mode": "ignore"}), 4, context=Context(refinement={"hair": ["x"]}))
    assert not any("no candidate carries" in note for note in ignored.report.notes)
