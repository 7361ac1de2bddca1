"""Fixed items: which candidate stands in which slot, named by the form of id that the candidates have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reranker.candidates import Id
from reranker.codec.limits import Limits
from reranker.errors import Violation
from reranker.v1 import context_pb2, reranker_service_pb2


def decode_fixed(
    message: reranker_service_pb2.RerankRequest, ids: Sequence[Id] | None, limits: Limits, found: list[Violation]
) -> dict[int, Id]:
    """Ids by slot, of those fixed items that are sound; what is wrong with the others is added to `found`.

    `ids` are the candidates', None when they could not be read: then nobody is looked up. Complexity O(candidates).
    """
    items = message.context.fixed
    if len(items) > limits.slate_size:
        found.append(Violation("context.fixed", f"must be at most {limits.slate_size} items, are {len(items)}"))
        return {}
    reader = _Reader(
        slots=message.slate_size if 0 <= message.slate_size <= limits.slate_size else limits.slate_size,
        known=None if ids is None else frozenset(ids),
        numbers=bool(message.candidates.item_numbers),
        text_length=limits.text_length,
    )
    for i, item in enumerate(items):
        reader.read(f"context.fixed[{i}]", item, found)
    return reader.by_slot


@dataclass(slots=True)
class _Reader:
    """Reads fixed items one after another; remembers which slots and ids are taken."""

    slots: int
    known: frozenset[Id] | None
    numbers: bool
    text_length: int
    by_slot: dict[int, Id] = field(default_factory=dict)
    _slots_seen: set[int] = field(default_factory=set)
    _ids_seen: set[Id] = field(default_factory=set)

    def read(self, path: str, item: context_pb2.FixedItem, found: list[Violation]) -> None:
        """Keep the item, or say what is wrong with it."""
        wrong_slot = self._slot_mistake(item.slot)
        if wrong_slot:
            found.append(Violation(f"{path}.slot", wrong_slot))
        self._slots_seen.add(item.slot)
        if bool(item.item_id) == item.HasField("item_number"):
            both = "both are" if item.item_id else "none is"
            found.append(Violation(path, f"exactly one of item_id and item_number must be filled, {both}"))
            return
        form = "item_number" if item.HasField("item_number") else "item_id"
        item_id: Id = getattr(item, form)
        wrong_id = self._id_mistake(item_id)
        if wrong_id:
            found.append(Violation(f"{path}.{form}", wrong_id))
        self._ids_seen.add(item_id)
        if not wrong_slot and not wrong_id:
            self.by_slot[item.slot] = item_id

    def _slot_mistake(self, slot: int) -> str:
        """What is wrong with a slot; empty when nothing is."""
        if slot < 1:
            return "slots count from 1"
        if slot > self.slots:
            return f"is beyond the slate, which has {self.slots} slots"
        return "must be unique among the fixed items" if slot in self._slots_seen else ""

    def _id_mistake(self, item_id: Id) -> str:
        """What is wrong with an id; empty when nothing is."""
        if isinstance(item_id, str) and len(item_id) > self.text_length:
            return f"must have at most {self.text_length} characters"
        if item_id in self._ids_seen:
            return "an item can be fixed in one slot only"
        if self.known is None or item_id in self.known:
            return ""
        if self.known and self.numbers == isinstance(item_id, str):
            return f"must be given as {'item_number' if self.numbers else 'item_id'}, as the candidates' ids are"
        return "names an item that is not among the candidates"
