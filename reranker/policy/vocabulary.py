"""What the proto descriptors say about the policy words: keys, enum words, places, and which a message sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from reranker.policy.mistakes import KeyPath
from reranker.v1 import policy_pb2, routes_pb2

_HIDDEN = frozenset({
    "target_source",  # written as target = "request" or "pool"
    "reranker.v1.Labels.attributes",  # written as [labels.<attribute>]
    "reranker.v1.AttributeLabels.attribute",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class SetWord:
    """One word that a message sets.

    `key` is the dotted key without indices and attributes (`quotas.min_share`, `labels.threshold`); `value` is a
    number, text, boolean, an enum's word (None for a number without one), a `Share`, a list of texts, or the block.
    """

    path: KeyPath
    key: str
    value: Any


@cache
def keys_of(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    """The keys that a table of this message may have, in the order of the fields."""
    return {field.name: field for field in descriptor.fields if not {field.name, field.full_name} & _HIDDEN}


@cache
def enum_words(enum: EnumDescriptor) -> Mapping[str, int]:
    """Words and numbers of an enum, lower case without the prefix; the unspecified value has no word."""
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    return {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number}


@cache
def enum_word(enum: EnumDescriptor, number: int) -> str | None:
    """The word of an enum's number; None when it has none."""
    return next((word for word, known in enum_words(enum).items() if known == number), None)


@cache
def places() -> Mapping[str, str]:
    """The dotted place of each block by its message's name: Quota -> `quotas`, AttributeLabels -> `labels`."""
    found: dict[str, str] = {}
    for whole in (policy_pb2.Policy, routes_pb2.Routes):
        _place(cast(Descriptor, whole.DESCRIPTOR), "", found)
    return found


def word_of(message: Message, field: FieldDescriptor) -> str | None:
    """The word of an enum field that is set; None when it is not, or to a number without a word."""
    assert field.enum_type is not None
    return enum_word(field.enum_type, getattr(message, field.name))


def fraction_of(share: policy_pb2.Share) -> Fraction | None:
    """A share as an exact fraction: text as written, a number as the nearest with a denominator up to 10^6."""
    try:
        if share.WhichOneof("form") == "fraction":
            return Fraction(share.fraction)
        if share.WhichOneof("form") == "number":
            return Fraction(share.number).limit_denominator(10**6)
    except (ValueError, OverflowError, ZeroDivisionError):
        pass
    return None


def set_words(message: Message, path: KeyPath = ()) -> Iterator[SetWord]:
    """Every word that the message sets, blocks before their keys."""
    for field, value in message.ListFields():
        name, key = field.name, _key(field)
        if field.is_repeated:
            yield from _set_repeated(field, value, key, (*path, name))
        elif field.message_type is not None:
            yield SetWord((*path, name), key, value)
            yield from set_words(value, (*path, name))
        elif field.enum_type is not None:
            if value:  # set to "unspecified" is not set
                yield SetWord((*path, key.rpartition(".")[2]), key, enum_word(field.enum_type, value))
        elif field.has_presence:  # without presence it is the attribute or value that keys its own block
            yield SetWord((*path, name), key, value)


def _set_repeated(field: FieldDescriptor, items: Any, key: str, path: KeyPath) -> Iterator[SetWord]:
    kind = field.message_type.name if field.message_type is not None else ""
    if not kind:
        if items:
            yield SetWord(path, key, list(items))
    elif kind == "AttributeLabels":
        for item in items:
            yield SetWord((*path[:-1], item.attribute), "labels", item)
            yield from set_words(item, (*path[:-1], item.attribute))
    elif kind == "Condition":
        yield from (SetWord((*path, item.attribute), key, list(item.values)) for item in items)
    elif kind == "ValueShare":
        yield from (SetWord(entry_path(path, item.value), key, item.share) for item in items)
    elif kind == "ValueCount":
        yield from (SetWord(entry_path(path, item.value), key, item.count) for item in items)
    else:
        for index, item in enumerate(items):
            yield SetWord((*path, index), key, item)
            yield from set_words(item, (*path, index))


@cache
def _key(field: FieldDescriptor) -> str:
    assert field.containing_type is not None
    place = places()[field.containing_type.name]
    name = "target" if field.name == "target_source" else field.name
    return f"{place}.{name}" if place else name


def entry_path(path: KeyPath, value: str) -> KeyPath:
    """The path of one value's bound; a bare bound has its table's."""
    return (*path, value) if value else path


def _place(descriptor: Descriptor, place: str, found: dict[str, str]) -> None:
    found[descriptor.name] = place
    for field in descriptor.fields:
        if field.message_type is not None:
            inner = f"{place}.{field.name}" if place else field.name
            _place(field.message_type, "labels" if inner == "labels.attributes" else inner, found)
