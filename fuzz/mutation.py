"""Mutated requests: by the fields of a message, so that most of them still parse, and by the bytes.

Everything is drawn from one `random.Random`: the same seed gives the same requests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-5, 1e-300, 5e-324, 3.4e38, 1e308, math.nan, math.inf, -math.inf, 0.1 + 0.2)
_WHOLE = (0, 1, 2, 3, 4, 7, 8, 16, 255, 256, 1_000, 1_001, 4_096, 4_097, 10_000, 10_001, 65_536, 2**31 - 1, 2**32 - 1)
_LARGE = (2**53, 2**53 + 1, 2**63 - 1, 2**64 - 1)
_TEXTS = (
    "",
    " ",
    "a",
    "\0",
    "\n",
    "é",
    "e\u0301",
    "\U0001f469\U0001f3fd",
    "1/3",
    "0.2",
    "1e9",
    "x" * 1_024,
    "x" * 1_025,
)
_LONGEST_LIST = 200  # that a mutation makes of its own: requests stay small, so there are many of them
_STAY = 0.2  # how often the way into a request ends where it is

_WIDTH = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (0, 2**31 - 1),
}


class Mutator:
    """Mutates requests of one type; parts of `seeds` go into others, and so do their words and their numbers."""

    def __init__(self, random: Random, request_type: type[Message], seeds: Sequence[bytes]) -> None:
        self._random, self._type, self._seeds = random, request_type, seeds
        self._parts: dict[str, list[Message]] = {}
        self._words: list[str] = [*_TEXTS]
        for seed in seeds:
            for node in _nodes(request_type.FromString(seed)):
                self._parts.setdefault(node.DESCRIPTOR.full_name, []).append(node)
                self._words += [text for field, value in node.ListFields() for text in _texts(field, value)]
        self._words = [*dict.fromkeys(self._words)]

    def seed(self) -> bytes:
        """One of the seeds."""
        return self._random.choice(self._seeds)

    def mutate(self, data: bytes, by_bytes: Callable[[bytes], bytes] | None = None) -> bytes:
        """Three in four by the fields, unless it is no message; the others by their bytes.

        `by_bytes` mutates bytes in place of this class's own way.
        """
        if self._random.random() < 0.75:
            try:
                message = self._type.FromString(data)
            except DecodeError:
                message = self._type.FromString(self.seed())
            for _ in range(self._random.choice((1, 1, 1, 2, 3, 6))):
                self._mutate_message(self._somewhere(message))
            return message.SerializeToString()
        return self.garble(data) if by_bytes is None else by_bytes(data)

    def garble(self, data: bytes) -> bytes:
        """Some bytes changed, dropped, doubled or put in."""
        draw, found = self._random, bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 4, 16))):
            at = draw.randrange(len(found) + 1)
            match draw.randrange(5):
                case 0 if at < len(found):
                    found[at] = draw.randrange(256)
                case 1 if at < len(found):
                    found[at] ^= 1 << draw.randrange(8)
                case 2:
                    del found[at : at + draw.choice((1, 2, 8, 64))]
                case 3:
                    found[at:at] = draw.randbytes(draw.choice((1, 2, 4, 8)))
                case _:
                    found[at:at] = found[at : at + draw.choice((1, 8, 32))]
        return bytes(found)

    def _somewhere(self, message: Message) -> Message:
        """A message at the end of a way into this one, part by part."""
        while self._random.random() >= _STAY:
            inner = [(field, value) for field, value in message.ListFields() if field.message_type is not None]
            if not inner:
                break
            field, value = self._random.choice(inner)
            message = self._random.choice(value) if field.is_repeated else value
        return message

    def _mutate_message(self, message: Message) -> None:
        others = self._parts.get(message.DESCRIPTOR.full_name)
        if others and self._random.random() < 0.1:
            message.CopyFrom(self._random.choice(others))
            return
        if not message.DESCRIPTOR.fields:
            return
        present = [field for field, _ in message.ListFields()]
        fields: Sequence[Any] = present if present and self._random.random() < 0.6 else message.DESCRIPTOR.fields
        field: FieldDescriptor = self._random.choice(fields)
        if field.is_repeated:
            self._mutate_list(message, field)
        elif self._random.random() < 0.15:
            message.ClearField(field.name)
        elif field.message_type is not None:
            self._fill(getattr(message, field.name))
        else:
            setattr(message, field.name, self._scalar(field, getattr(message, field.name)))

    def _mutate_list(self, message: Message, field: FieldDescriptor) -> None:
        values, draw = getattr(message, field.name), self._random
        kind = draw.randrange(7) if len(values) else 0
        if kind == 0:
            self._append(values, field)
        elif kind == 1:
            del values[draw.randrange(len(values))]
        elif kind == 2:  # the same once more
            at = draw.randrange(len(values))
            values.append(values[at]) if field.message_type is None else values.add().CopyFrom(values[at])
        elif kind == 3:
            del values[draw.randrange(len(values) + 1) :]
        elif kind == 4:
            for _ in range(draw.choice((2, 8, _LONGEST_LIST)) if field.message_type is None else 2):
                self._append(values, field)
        elif field.message_type is not None:
            self._fill(values[draw.randrange(len(values))])
        elif kind == 5:
            at, other = draw.randrange(len(values)), draw.randrange(len(values))
            values[at], values[other] = values[other], values[at]
        else:
            at = draw.randrange(len(values))
            values[at] = self._scalar(field, values[at])

    def _append(self, values: Any, field: FieldDescriptor) -> None:
        if field.message_type is not None:
            self._fill(values.add())
        else:
            values.append(self._scalar(field, values[-1] if len(values) else None))

    def _fill(self, message: Message) -> None:
        """Make a part one of a seed's, or just there."""
        others = self._parts.get(message.DESCRIPTOR.full_name)
        if others and self._random.random() < 0.7:
            message.CopyFrom(self._random.choice(others))
        else:
            message.SetInParent()

    def _scalar(self, field: FieldDescriptor, old: Any) -> Any:
        draw, kind = self._random, field.cpp_type
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return not old
        if kind == FieldDescriptor.CPPTYPE_STRING:
            if field.type == FieldDescriptor.TYPE_BYTES:
                return self.garble(old or b"")
            return draw.choice(self._words) + (draw.choice(self._words) if draw.random() < 0.1 else "")
        if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
            if old is not None and draw.random() < 0.5:
                return old * draw.choice((-1.0, 0.5, 2.0, 1.0 + 1e-7, 1e6))
            return draw.choice(_FLOATS) if draw.random() < 0.7 else draw.uniform(-2.0, 2.0)
        least, most = _WIDTH[kind]
        if field.enum_type is not None and draw.random() < 0.9:
            return draw.choice(field.enum_type.values).number
        if old is not None and draw.random() < 0.5:
            return min(most, max(least, old + draw.choice((-2, -1, 1, 2))))
        return min(most, max(least, draw.choice((*_WHOLE, *_LARGE)) * draw.choice((1, 1, 1, -1))))


def _nodes(message: Message) -> list[Message]:
    """The message and every one that it holds."""
    found = [message]
    for node in found:
        for field, value in node.ListFields():
            if field.message_type is not None:
                found.extend(value if field.is_repeated else [value])
    return found


def _texts(field: FieldDescriptor, value: Any) -> list[str]:
    if field.type != FieldDescriptor.TYPE_STRING:
        return []
    return list(value) if field.is_repeated else [value]
