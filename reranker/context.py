"""What is known about the request beside its candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set, Sized
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from reranker.attributes import attribute_text
from reranker.errors import InvalidInput, Violation
from reranker.inputs import entries
from reranker.texts import TORN, is_whole

if TYPE_CHECKING:
    from reranker.candidates import Candidates

_TEXTS = ("surface", "language", "country", "intent", "unit")
_NO_LIST = (str, bytes, bytearray, Mapping)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known about the request; nothing in it identifies a person.

    `targets` are shares by attribute and value (each 0..1, together at most 1), `fixed` maps slots (from 1) to ids,
    `refinement` maps attributes to the values a user chose. Values become text as the candidates' do; the tables are
    copied. Raises `InvalidInput` naming every violation.
    """

    surface: str = ""
    language: str = ""
    country: str = ""
    intent: str = ""
    unit: str = ""
    recent: Candidates | Sequence[str | int] = ()
    cursor: bytes = b""
    refinement: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fixed: Mapping[int, str | int] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    without_profiling: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        texts = (self.surface, self.language, self.country, self.intent, self.unit)
        found: list[Violation] = []
        if not all(type(text) is str and text.isascii() for text in texts):  # as they nearly always are
            named = list(zip(_TEXTS, texts, strict=True))
            found += [Violation(f"context.{word}", "must be text") for word, text in named if not isinstance(text, str)]
            found += [Violation(f"context.{word}", TORN) for word, text in named if _is_torn(text)]
        for word, checked in _TABLES.items():
            table = getattr(self, word)
            empty = type(table) is dict and not table  # as nearly always, in the request path
            object.__setattr__(self, word, {} if empty else checked(table, found))
        found += _other_violations(self)
        if found:
            raise InvalidInput(found)


def _other_violations(context: Context) -> list[Violation]:
    found = []
    recent, seed = context.recent, context.seed
    if type(recent) is not tuple and (isinstance(recent, (*_NO_LIST, Set)) or not isinstance(recent, Sized)):
        found.append(Violation("context.recent", "must be Candidates or a list of ids"))
    elif isinstance(recent, Sequence) and not all(isinstance(item, str) or _is_integer(item) for item in recent):
        found.append(Violation("context.recent", "ids must be text or integers"))
    if not isinstance(context.cursor, bytes):
        found.append(Violation("context.cursor", "must be bytes"))
    if not isinstance(context.without_profiling, bool):
        found.append(Violation("context.without_profiling", "must be True or False"))
    if seed is not None and (not _is_integer(seed) or not 0 <= seed < 2**64):
        found.append(Violation("context.seed", "must be an integer from 0 to 2^64 - 1"))
    return found


def _targets(targets: Any, found: list[Violation]) -> dict[str, dict[str, float]]:
    """Shares by attribute and by value as text."""
    checked = {}
    for attribute, shares in _tables("context.targets", targets, "shares", found):
        path = f"context.targets[{attribute!r}]"
        if not isinstance(shares, Mapping):
            found.append(Violation(path, "must be a mapping from values to shares"))
            continue
        texts = [attribute_text(value) for value in shares]
        if any(map(_is_torn, shares)):
            found.append(Violation(path, TORN))
        elif "" in texts or len(set(texts)) < len(texts):
            found.append(Violation(path, "values must be distinct, each text, a finite number or a boolean"))
        elif not all(isinstance(share, Real) and not isinstance(share, bool) for share in shares.values()):
            found.append(Violation(path, "every share must be a number between 0 and 1"))
        elif any(not 0.0 <= share <= 1.0 for share in shares.values()):
            found.append(Violation(path, "every share must be between 0 and 1"))
        elif sum(shares.values()) > 1.0 + 1e-6:
            found.append(Violation(path, "shares must add up to at most 1"))
        else:
            checked[attribute] = dict(zip(texts, map(float, shares.values()), strict=True))
    return checked


def _refinement(refinement: Any, found: list[Violation]) -> dict[str, tuple[str, ...]]:
    """The chosen values by attribute, as text."""
    checked = {}
    for attribute, values in _tables("context.refinement", refinement, "lists of values", found):
        listed = entries(values, refused=_NO_LIST)
        texts = tuple(attribute_text(value) for value in listed or ())
        if any(map(_is_torn, listed or ())):
            found.append(Violation(f"context.refinement[{attribute!r}]", TORN))
        elif not texts or "" in texts:
            reason = "must be a list of one value or more, each text, a finite number or a boolean"
            found.append(Violation(f"context.refinement[{attribute!r}]", reason))
        else:
            checked[attribute] = texts
    return checked


def _tables(path: str, tables: Any, what: str, found: list[Violation]) -> list[tuple[str, Any]]:
    """The entries of a mapping by attribute."""
    if not isinstance(tables, Mapping):
        found.append(Violation(path, f"must be a mapping from attributes to {what}"))
        return []
    if not all(isinstance(attribute, str) and attribute for attribute in tables):
        found.append(Violation(path, "attributes must be text, not empty"))
    found += [Violation(f"{path}[{attribute!r}]", TORN) for attribute in tables if _is_torn(attribute)]
    return [(str.__str__(name), entry) for name, entry in tables.items() if isinstance(name, str) and name]


def _fixed(fixed: Any, found: list[Violation]) -> dict[int, str | int]:
    """Ids by slot."""
    if not isinstance(fixed, Mapping):
        found.append(Violation("context.fixed", "must be a mapping from slots to ids"))
        return {}
    for slot in fixed:
        if not _is_integer(slot):
            # Only what looks like a slot is quoted: a key of another kind may be an id in the wrong place.
            place = f"[{slot}]" if isinstance(slot, str) and slot.isdecimal() else ""
            found.append(Violation(f"context.fixed{place}", "slots are integers from 1"))
        elif slot < 1:
            found.append(Violation(f"context.fixed[{slot}]", "slots count from 1"))
    ids = list(fixed.values())
    if not all(isinstance(item, str) or _is_integer(item) for item in ids):
        found.append(Violation("context.fixed", "ids must be text or integers"))
        return {}
    for slot, item in fixed.items():
        if _is_torn(item):
            found.append(Violation(f"context.fixed[{slot}]" if _is_integer(slot) else "context.fixed", TORN))
    if len(set(ids)) < len(ids):
        found.append(Violation("context.fixed", "an item can be fixed in one slot only"))
    return {
        int(slot): item if isinstance(item, str) else int(item) for slot, item in fixed.items() if _is_integer(slot)
    }


def _is_torn(value: Any) -> bool:
    return isinstance(value, str) and not is_whole(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


_TABLES: dict[str, Callable[[Any, list[Violation]], dict[Any, Any]]] = {
    "targets": _targets,
    "fixed": _fixed,
    "refinement": _refinement,
}
