"""Measures as a message: every field that Python has is on the wire under the same name, and None is absent."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from reranker.codec.measures import fill_measures
from reranker.slate import GroupMeasures, ListMeasures, OrderMeasures, SlateMeasures
from reranker.v1 import slate_pb2


def numbered(kind: Any, **words: Any) -> Any:
    """A value of its own for every field."""
    return kind(**{**{field.name: at / 7 for at, field in enumerate(fields(kind), 1)}, **words})


GROUP = numbered(
    GroupMeasures,
    attribute="tone",
    values=("light", "dark"),
    shares=(0.25, 0.75),
    reference_shares=(0.5, 0.5),
    reference_declared=True,
)
LIST = numbered(ListMeasures, groups={"tone": GROUP, "size": replace(GROUP, attribute="size", values=())})
MEASURES = SlateMeasures(LIST, replace(LIST, ndcg=0.5), numbered(OrderMeasures, max_displacement=9))


def sent(measures: SlateMeasures) -> slate_pb2.SlateMeasures:
    message = slate_pb2.SlateMeasures()
    fill_measures(message, measures)
    return slate_pb2.SlateMeasures.FromString(message.SerializeToString())


def read(message: Any, kind: Any, **words: Any) -> Any:
    """The dataclass of a message; an absent field is None."""
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in words:
            continue
        descriptor = message.DESCRIPTOR.fields_by_name[field.name]
        value = getattr(message, field.name)
        is_absent = descriptor.has_presence and not message.HasField(field.name)
        values[field.name] = tuple(value) if descriptor.is_repeated else None if is_absent else value
    return kind(**values, **words)


def read_list(message: slate_pb2.ListMeasures) -> ListMeasures:
    groups = {group.attribute: read(group, GroupMeasures) for group in message.groups}
    found: ListMeasures = read(message, ListMeasures, groups=groups)
    return found


def test_measures_come_back_as_they_went() -> None:
    message = sent(MEASURES)
    assert read_list(message.before) == MEASURES.before
    assert read_list(message.after) == MEASURES.after
    assert read(message.change, OrderMeasures) == MEASURES.change


@pytest.mark.parametrize("kind", [GroupMeasures, ListMeasures, OrderMeasures, SlateMeasures])
def test_both_sides_have_the_same_fields(kind: Any) -> None:
    descriptor = getattr(slate_pb2, kind.__name__).DESCRIPTOR
    assert {field.name for field in fields(kind)} == set(descriptor.fields_by_name)


def test_what_is_none_is_absent_and_what_is_nought_is_not() -> None:
    nothing = ListMeasures(None, None, None, {})
    message = sent(SlateMeasures(nothing, replace(nothing, ndcg=0.0, vendi_score=0.0)))
    assert not message.before.ByteSize()
    assert [field.name for field, _ in message.after.ListFields()] == ["ndcg", "vendi_score"]
    assert not message.HasField("change")
