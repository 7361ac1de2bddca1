"""The context on the wire: fixed items and targets as the engine knows them, and every refusal by its path."""

from __future__ import annotations

import pytest

from reranker.client import from_columns
from reranker.codec import decode_request
from reranker.codec.limits import Limits
from reranker.context import Context
from reranker.errors import Violation
from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.context_pb2 import FixedItem
from reranker.v1.reranker_service_pb2 import RerankRequest

TEXTS = from_columns(["a", "b", "c", "d"], [4, 3, 2, 1])
LIMITS = Limits()
NUMBERS = from_columns([0, 7, 2**64 - 1], [3, 2, 1])


def decoded(
    fixed: list[FixedItem], ids: CandidateList = TEXTS, slate_size: int = 3, limits: Limits = LIMITS
) -> tuple[Context, list[str]]:
    """The context, and every violation as one text."""
    request = RerankRequest(candidates=ids, slate_size=slate_size)
    request.context.fixed.extend(fixed)
    found: list[Violation] = []
    context = decode_request(request, limits, found).context
    return context, [str(violation) for violation in found]


def violations(
    *fixed: FixedItem, ids: CandidateList = TEXTS, slate_size: int = 3, limits: Limits = LIMITS
) -> list[str]:
    return decoded(list(fixed), ids, slate_size, limits)[1]


def paths(*fixed: FixedItem, slate_size: int = 3, limits: Limits = LIMITS) -> list[str]:
    return [violation.partition(":")[0] for violation in violations(*fixed, slate_size=slate_size, limits=limits)]


def test_items_are_fixed_by_the_form_of_id_that_the_list_has() -> None:
    texts = [FixedItem(slot=3, item_id="a"), FixedItem(slot=1, item_id="d")]
    assert decoded(texts) == (Context(fixed={3: "a", 1: "d"}), [])
    numbers = [FixedItem(slot=2, item_number=0), FixedItem(slot=1, item_number=2**64 - 1)]
    assert decoded(numbers, NUMBERS) == (Context(fixed={2: 0, 1: 2**64 - 1}), [])


def test_a_slot_beyond_a_short_list_is_sound_while_the_slate_has_it() -> None:
    assert decoded([FixedItem(slot=9, item_id="a")], slate_size=9) == (Context(fixed={9: "a"}), [])


@pytest.mark.parametrize(
    ("item", "violation"),
    [
        (FixedItem(item_id="a"), "context.fixed[1].slot: slots count from 1"),
        (FixedItem(slot=4, item_id="a"), "context.fixed[1].slot: is beyond the slate, which has 3 slots"),
        (FixedItem(slot=2**32 - 1, item_id="a"), "context.fixed[1].slot: is beyond the slate, which has 3 slots"),
        (FixedItem(slot=2, item_id="a"), "context.fixed[1].slot: must be unique among the fixed items"),
        (
            FixedItem(slot=1),
            "context.fixed[1]: exactly one of item_id and item_number must be filled, none is",
        ),
        (
            FixedItem(slot=1, item_id="a", item_number=0),
            "context.fixed[1]: exactly one of item_id and item_number must be filled, both are",
        ),
        (FixedItem(slot=1, item_id="b"), "context.fixed[1].item_id: an item can be fixed in one slot only"),
        (FixedItem(slot=1, item_id="z"), "context.fixed[1].item_id: names an item that is not among the candidates"),
        (FixedItem(slot=1, item_id="z" * 2000), "context.fixed[1].item_id: must have at most 1024 characters"),
        (
            FixedItem(slot=1, item_number=0),
            "context.fixed[1].item_number: must be given as item_id, as the candidates' ids are",
        ),
    ],
)
def test_a_violation_has_its_path_on_the_wire(item: FixedItem, violation: str) -> None:
    assert violations(FixedItem(slot=2, item_id="b"), item) == [violation]


def test_numbers_are_held_to_the_same_rules() -> None:
    wrong = [FixedItem(slot=1, item_number=5), FixedItem(slot=2, item_id="7"), FixedItem(slot=3, item_number=7)]
    assert violations(*wrong, ids=NUMBERS) == [
        "context.fixed[0].item_number: names an item that is not among the candidates",
        "context.fixed[1].item_id: must be given as item_number, as the candidates' ids are",
    ]


def test_everything_wrong_is_said_at_once_and_each_thing_once() -> None:
    wrong = [
        FixedItem(item_id="z"),
        FixedItem(slot=1, item_id="a"),
        FixedItem(slot=1, item_id="a"),
        FixedItem(slot=8),
    ]
    assert paths(*wrong) == [
        "context.fixed[0].slot",
        "context.fixed[0].item_id",
        "context.fixed[2].slot",
        "context.fixed[2].item_id",
        "context.fixed[3].slot",
        "context.fixed[3]",
    ]


def test_an_empty_list_has_nobody_to_fix() -> None:
    found = violations(FixedItem(slot=1, item_id="a"), ids=from_columns([], []))
    assert found == ["context.fixed[0].item_id: names an item that is not among the candidates"]


def test_a_list_or_a_size_that_cannot_be_read_is_no_fault_of_the_fixed_items() -> None:
    item = FixedItem(slot=900, item_id="b")
    assert paths(item, slate_size=1000, limits=Limits(candidates=2)) == ["candidates.item_ids"]
    assert paths(item, slate_size=-1) == ["slate_size"]


def test_more_fixed_items_than_a_slate_can_have_are_not_looked_at() -> None:
    items = [FixedItem(slot=slot, item_id="z") for slot in range(5)]
    assert violations(*items, limits=Limits(slate_size=4)) == ["context.fixed: must be at most 4 items, are 5"]


def test_a_context_without_fixed_items_fixes_nothing() -> None:
    assert decoded([]) == (Context(), [])
