"""What is asked of the store: words, and the key that decides which node of a cluster they go to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

Word: TypeAlias = bytes | str | int | float
Reply: TypeAlias = Any
"""What redis-py makes of RESP3: bytes, int, float, None, lists, dicts; or an instance of `StoreError`."""


DEFAULT_PREFIX = "reranker"
"""What every key begins with: servers that share a store and a prefix share what is in it."""


class Command(NamedTuple):
    """One command. `key` is any of its keys, which must share a slot; None goes to whichever node is well.

    `fallback` are the words that do the same where a script is not known yet.
    """

    words: tuple[Word, ...]
    key: bytes | None = None
    fallback: tuple[Word, ...] | None = None


def command(name: str, key: bytes | str, *rest: Word) -> Command:
    """A command whose first argument is its key, as that of most is."""
    encoded = key.encode() if isinstance(key, str) else key
    return Command((name, encoded, *rest), encoded)


def keyless(name: str, *rest: Word) -> Command:
    """A command that concerns no key."""
    return Command((name, *rest))


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script. The store runs it as one step; it is sent in full only to servers that do not know it yet."""

    source: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest())

    def on(self, keys: Sequence[bytes | str], *rest: Word) -> Command:
        """Run it on these keys, all of one slot (give them one {tag}), of which there is at least one."""
        encoded = [key.encode() if isinstance(key, str) else key for key in keys]
        tail: tuple[Word, ...] = (len(encoded), *encoded, *rest)
        return Command(("EVALSHA", self.digest, *tail), encoded[0], ("EVAL", self.source, *tail))
