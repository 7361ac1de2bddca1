"""What is known about a request as a `Context` message; what the server would refuse of it is refused here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from numbers import Integral, Real
from typing import Any

from reranker.client.columns import recent_items
from reranker.client.values import as_text, is_torn
from reranker.errors import InvalidInput, Violation
from reranker.texts import TORN
from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.context_pb2 import AttributeTargets, Context, FixedItem, Refinement, ValueTarget

MIRRORABLE = "reranker-mirrorable"
"""The metadata key that says "1" of a request that may go to a shadow too (deploy/envoy-mirror.yaml)."""

_NO_LIST = (str, bytes, bytearray, Mapping, Set)
_SLACK = 1e-6  # shares such as three times 1/3 may add up to a little more than 1


def request_context(
    *,
    surface: str = "",
    language: str = "",
    country: str = "",
    intent: str = "",
    unit: str = "",
    recent: CandidateList | Iterable[str | int] = (),
    cursor: bytes = b"",
    refinement: Mapping[str, Iterable[Any]] | None = None,
    targets: Mapping[str, Mapping[Any, float]] | None = None,
    fixed: Mapping[int, str | int] | None = None,
    without_profiling: bool = False,
    seed: int | None = None,
) -> Context:
    """The message for `Client.rerank(..., context=...)`; the words are those of `reranker.Context`.

    `recent` are items that the user saw recently, oldest first: what `CandidateBuilder.build_recent` or `recent_items`
    makes, or ids alone, to be looked up among the candidates. `cursor` is the last page's `slate.cursor`; `refinement`
    maps attributes to the values, one or more, that the user chose by hand.

    `targets` are shares by attribute and value (each 0..1, together at most 1), for policies that say
    `target = "request"`; `fixed` maps slots, from 1, to ids, text or integers as the candidates' are; `seed` is from 0
    to 2^64 - 1. Raises `InvalidInput` naming every violation.
    """
    texts = {"surface": surface, "language": language, "country": country, "intent": intent, "unit": unit}
    found = [Violation(f"context.{word}", "must be text") for word, text in texts.items() if not isinstance(text, str)]
    shown = _recent(recent, found)
    if not isinstance(cursor, bytes):
        found.append(Violation("context.cursor", "must be bytes"))
    narrowed = _refinement({} if refinement is None else refinement, found)
    found += [Violation(f"context.{word}", TORN) for word, text in texts.items() if is_torn(text)]
    shares = _targets({} if targets is None else targets, found)
    items = _fixed({} if fixed is None else fixed, found)
    if not isinstance(without_profiling, bool):
        found.append(Violation("context.without_profiling", "must be True or False"))
    if seed is not None and not _is_id_number(seed):
        found.append(Violation("context.seed", "must be an integer from 0 to 2^64 - 1"))
    if found:
        raise InvalidInput(found)
    return Context(
        surface=surface,
        language=language,
        country=country,
        intent=intent,
        unit=unit,
        recent=shown,
        cursor=cursor,
        refinement=narrowed,
        targets=shares,
        fixed=items,
        without_profiling=without_profiling,
        seed=None if seed is None else int(seed),
    )


def may_be_mirrored(context: Context | None) -> bool:
    """Whether a request may be copied to a server that answers nobody.

    Not where a user narrowed the list by hand, nor a later page, which only the server that made the first can go on
    with, nor where the user is not to be profiled.
    """
    return context is None or not (context.refinement or context.cursor or context.without_profiling)


def _recent(recent: Any, found: list[Violation]) -> CandidateList | None:
    """The items as the message has them; None when there are none."""
    if isinstance(recent, CandidateList):
        return recent
    # The entries of a table are its columns' names, which must not pass for ids.
    is_table = hasattr(recent, "columns") or hasattr(recent, "schema")
    if is_table or isinstance(recent, _NO_LIST) or not isinstance(recent, Iterable):
        found.append(Violation("context.recent", "must be a list of ids, or what build_recent makes of rows"))
        return None
    try:
        items = recent_items(recent)
    except InvalidInput as error:
        found += [Violation(f"context.recent.{violation.path}", violation.reason) for violation in error.violations]
        return None
    return items if items.item_ids or items.item_numbers else None


def _refinement(refinement: Any, found: list[Violation]) -> list[Refinement]:
    if not isinstance(refinement, Mapping):
        found.append(Violation("context.refinement", "must be a mapping from attributes to lists of values"))
        return []
    messages = []
    for attribute, values in refinement.items():
        if not isinstance(attribute, str) or not attribute:
            found.append(Violation("context.refinement", "attributes must be text, not empty"))
            continue
        listed = isinstance(values, Iterable) and not isinstance(values, _NO_LIST)
        texts = [as_text(value) for value in values] if listed else []
        if not texts or "" in texts:
            reason = "must be a list of one value or more, each text, a finite number or a boolean"
            found.append(Violation(f"context.refinement[{attribute!r}]", reason))
            continue
        messages.append(Refinement(attribute=attribute, values=texts))
    return messages


def _targets(targets: Any, found: list[Violation]) -> list[AttributeTargets]:
    if not isinstance(targets, Mapping):
        found.append(Violation("context.targets", "must be a mapping from attributes to shares"))
        return []
    messages = []
    for attribute, shares in targets.items():
        if not isinstance(attribute, str) or not attribute:
            found.append(Violation("context.targets", "attributes must be text, not empty"))
            continue
        mistake = TORN if is_torn(attribute) else _shares_mistake(shares)
        if mistake:
            found.append(Violation(f"context.targets[{attribute!r}]", mistake))
            continue
        values = [ValueTarget(value=as_text(value), share=float(share)) for value, share in shares.items()]
        messages.append(AttributeTargets(attribute=attribute, shares=values))
    return messages


def _shares_mistake(shares: Any) -> str:
    """What is wrong with one attribute's shares; empty when nothing is."""
    if not isinstance(shares, Mapping):
        return "must be a mapping from values to shares"
    texts = [as_text(value) for value in shares]
    if any(map(is_torn, shares)):
        return TORN
    if "" in texts or len(set(texts)) < len(texts):
        return "values must be distinct, each text, a finite number or a boolean"
    if not all(isinstance(share, Real) and not isinstance(share, bool) for share in shares.values()):
        return "every share must be a number between 0 and 1"
    if not all(0 <= share <= 1 for share in shares.values()):
        return "every share must be between 0 and 1"
    return "shares must add up to at most 1" if sum(shares.values()) > 1 + _SLACK else ""


def _fixed(fixed: Any, found: list[Violation]) -> list[FixedItem]:
    if not isinstance(fixed, Mapping):
        found.append(Violation("context.fixed", "must be a mapping from slots to ids"))
        return []
    slots = [slot for slot in fixed if _is_integer(slot)]
    if len(slots) < len(fixed):
        found.append(Violation("context.fixed", "slots are integers from 1"))
    found += [Violation(f"context.fixed[{slot}]", "slots count from 1") for slot in slots if slot < 1]
    found += [Violation(f"context.fixed[{slot}]", "slots end at 2^32 - 1") for slot in slots if slot >= 2**32]
    found += [Violation(f"context.fixed[{slot}]", TORN) for slot in slots if is_torn(fixed[slot])]
    ids = [fixed[slot] for slot in slots]
    if not all(_is_id_number(item) or (isinstance(item, str) and item) for item in ids):
        found.append(Violation("context.fixed", "ids must be text that is not empty, or integers from 0 to 2^64 - 1"))
    elif len(set(ids)) < len(ids):
        found.append(Violation("context.fixed", "an item can be fixed in one slot only"))
    elif len({isinstance(item, str) for item in ids}) > 1:
        found.append(Violation("context.fixed", "ids must be all text or all integers, as the candidates' are"))
    return [] if found else [_fixed_item(int(slot), fixed[slot]) for slot in slots]


def _fixed_item(slot: int, item: Any) -> FixedItem:
    return FixedItem(slot=slot, item_id=item) if isinstance(item, str) else FixedItem(slot=slot, item_number=int(item))


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_id_number(value: Any) -> bool:
    return _is_integer(value) and 0 <= value < 2**64
