"""Measures as a message: fields have the same names on both sides, and what is None is absent."""

from __future__ import annotations

from dataclasses import fields

from google.protobuf.message import Message

from reranker.slate import GroupMeasures, ListMeasures, OrderMeasures, SlateMeasures
from reranker.v1 import slate_pb2


def fill_measures(message: slate_pb2.SlateMeasures, measures: SlateMeasures) -> None:
    """Write the measures of both orders, and of the way from one to the other, into `message`."""
    _fill_list(message.before, measures.before)
    _fill_list(message.after, measures.after)
    _fill(message.change, measures.change)


def _fill_list(message: slate_pb2.ListMeasures, measures: ListMeasures) -> None:
    _fill(message, measures, but=("groups",))
    for group in measures.groups.values():
        _fill(message.groups.add(), group)


def _fill(message: Message, measures: ListMeasures | GroupMeasures | OrderMeasures, but: tuple[str, ...] = ()) -> None:
    for field in fields(measures):
        value = getattr(measures, field.name)
        if field.name in but or value is None:
            continue
        if isinstance(value, tuple):
            getattr(message, field.name).extend(value)
        else:
            setattr(message, field.name, value)
