"""Reads one value of a policy tree: what it is, whether it fits its field, what an error says when it does not."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from reranker.attributes import attribute_text
from reranker.policy.mistakes import KeyPath, Mistakes, clipped, listed
from reranker.policy.vocabulary import enum_words
from reranker.texts import is_whole
from reranker.v1 import policy_pb2

_MOST = 2**32 - 1  # what a whole number on the wire can hold; the checks allow less
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_KINDS: tuple[tuple[Any, str], ...] = (
    (bool, "a boolean"),  # before numbers: Python counts it as one
    (str, "text"),
    (Real, "a number"),
    (Mapping, "a table"),
    (list | tuple, "a list"),
    (datetime.datetime, "a date with a time"),
    (datetime.date, "a date"),
    (datetime.time, "a time"),
    (type(None), "nothing"),
)


def scalar(field: FieldDescriptor, value: object, path: KeyPath, mistakes: Mistakes) -> Any:
    """The value as a scalar field holds it; None when it does not fit, which is then among the mistakes."""
    if field.enum_type is not None:
        return _enum(field, value, path, mistakes)
    if field.full_name == "reranker.v1.About.review_by":
        return _date(value, path, mistakes)
    return _READERS.get(field.cpp_type, _text)(value, path, mistakes)


def share(value: object, path: KeyPath, mistakes: Mistakes) -> policy_pb2.Share | None:
    """A share as it is written: text, a fraction or a number."""
    if isinstance(value, str) and is_text(value):
        return policy_pb2.Share(fraction=value)
    if isinstance(value, Fraction):
        return policy_pb2.Share(fraction=f"{value.numerator}/{value.denominator}")
    if isinstance(value, Mapping):
        mistakes.add(path, "must be a share, is a table: a value with a dot in it needs quotes")
        return None
    number = _number(value, path, mistakes, 'a share such as 0.2 or "1/5"')
    return None if number is None else policy_pb2.Share(number=number)


def _enum(field: FieldDescriptor, value: object, path: KeyPath, mistakes: Mistakes) -> int | None:
    assert field.enum_type is not None
    words = enum_words(field.enum_type)
    if isinstance(value, str) and value in words:
        return words[value]
    given = clipped(value) if isinstance(value, str) else ""
    guess = difflib.get_close_matches(given.lower(), words, 1)
    mistakes.add(path, f"must be {listed(words)}" + (f'; did you mean "{guess[0]}"?' if guess else ""))
    return None


def _date(value: object, path: KeyPath, mistakes: Mistakes) -> str | None:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    if is_text(value):
        return str(value)  # whether it is a date is checked on the message, which carries text
    mistakes.add(path, f"must be a date such as 2027-06-30, is {kind_of(value)}")
    return None


def _text(value: object, path: KeyPath, mistakes: Mistakes) -> str | None:
    if is_text(value):
        return str(value)
    mistakes.add(path, f"must be text in quotes, is {kind_of(value)}")
    return None


def _boolean(value: object, path: KeyPath, mistakes: Mistakes) -> bool | None:
    if isinstance(value, bool):
        return value
    mistakes.add(path, f"must be true or false, is {kind_of(value)}")
    return None


def _number(value: object, path: KeyPath, mistakes: Mistakes, wanted: str = "a number") -> float | None:
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            return float(value)
        except (OverflowError, ValueError):
            mistakes.add(path, f"must be {wanted}, is beyond every limit")
            return None
    mistakes.add(path, f"must be {wanted}, is {kind_of(value)}")
    return None


def whole(value: object, path: KeyPath, mistakes: Mistakes) -> int | None:
    """A whole number that the wire can hold."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        mistakes.add(path, f"must be a whole number, is {'a decimal' if is_number else kind_of(value)}")
    elif not 0 <= int(value) <= _MOST:
        mistakes.add(path, "must be 0 or more" if int(value) < 0 else f"must be at most {_MOST}")
    else:
        return int(value)
    return None


def value_text(value: object) -> str:
    """An attribute value as candidates spell it; empty when it has no text."""
    try:
        text = attribute_text(value)
    except ValueError:  # an integer of thousands of digits has no text
        return ""
    return text if is_text(text) else ""


def is_text(value: object) -> bool:
    """Text that can travel: half of a surrogate pair cannot."""
    return isinstance(value, str) and is_whole(value)


def kind_of(value: object) -> str:
    """What a value is, in a policy owner's words."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), f"of type {type(value).__name__}")


def iso_date(text: str) -> datetime.date | None:
    """The day that a text such as 2027-06-30 names, or None."""
    try:
        return datetime.date.fromisoformat(text) if _ISO_DATE.match(text) else None
    except ValueError:
        return None


_READERS: Mapping[int, Callable[[object, KeyPath, Mistakes], Any]] = {
    FieldDescriptor.CPPTYPE_BOOL: _boolean,
    FieldDescriptor.CPPTYPE_DOUBLE: _number,
    FieldDescriptor.CPPTYPE_UINT32: whole,
}
