"""What was made last and may be asked for again, bounded by the bytes that it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(slots=True, eq=False)
class _Entry(Generic[Value]):
    """A value, its bytes, and whether it was asked for since room was last made."""

    value: Value
    size: int
    wanted: bool = False


class Kept(Generic[Key, Value]):
    """Values by key, at most so many bytes of them; those that nobody asks for are dropped first. For many threads.

    Looking one up takes no lock: it only marks the entry as asked for. Room is made in the order in which entries came,
    and one that was asked for since its last turn gets another. The newest stays, however large.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self.size = most_bytes, 0
        self._lock = threading.Lock()
        self._made: dict[Key, _Entry[Value]] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._made

    def get(self, key: Key, make: Callable[[], Value], size_of: Callable[[Value], int]) -> Value:
        """The value of a key, made now where it is not kept; `size_of` says how many bytes it takes, roughly."""
        known = self._made.get(key)
        if known is not None:
            known.wanted = True
            return known.value
        made = make()
        entry = _Entry(made, size_of(made))
        with self._lock:
            if key not in self._made:
                self._made[key] = entry
                self.size += entry.size
            while self.size > self._most_bytes and len(self._made) > 1:
                self._drop_one(key)
        return made

    def keys(self) -> list[Key]:
        """All keys, those that came first in front."""
        with self._lock:
            return list(self._made)

    def _drop_one(self, newest: Key) -> None:
        key = next(iter(self._made))
        entry = self._made.pop(key)
        if entry.wanted or key == newest:
            entry.wanted = False
            self._made[key] = entry
        else:
            self.size -= entry.size
