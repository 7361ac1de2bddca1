"""Collects everything that is wrong with a policy, with the key's path and, where the text is known, its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from reranker.errors import InvalidInput, Violation
from reranker.texts import escaped

KeyPath: TypeAlias = tuple[str | int, ...]

MOST_BYTES = 1 << 18  # of a policy, as text or as a message: thousands of bounds, and refused in about a second
TOO_LARGE = f"is too large: at most {MOST_BYTES:,} bytes are read"
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SHOWN = 60  # characters of a key that are worth showing
_LISTED = 20  # values that are worth listing


class Mistakes:
    """The mistakes of one policy, or of what `whole` names; `lines` maps key paths to lines of its text (from 1)."""

    def __init__(self, lines: Mapping[KeyPath, int] | None = None, whole: str = "policy") -> None:
        self._lines = lines or {}
        self._whole = whole
        self._found: list[Violation] = []
        self._misread: set[KeyPath] = set()
        self._half_read: set[KeyPath] = set()

    def add(self, path: KeyPath, reason: str) -> None:
        """Notes that the key at `path` is wrong; without a line of its own it takes its block's."""
        self.add_at(path, reason, self.line_of(path))

    def add_unknown_key(self, path: KeyPath, reason: str) -> None:
        """Notes a key that its block does not know: it may be a misspelt one that now seems to be missing."""
        self.add(path, reason)
        self._half_read.add(path[:-1])

    def add_misread_block(self, path: KeyPath, reason: str) -> None:
        """Notes that a block is no table: all its keys are missing, and none should be called so."""
        self.add(path, reason)
        self._half_read.add(path)

    def add_at(self, path: KeyPath, reason: str, line: int) -> None:
        """Notes a mistake whose line is already known (0 = none)."""
        self._found.append(Violation(shown(path) if path else self._whole, reason, line))
        self._misread.update(path[:length] for length in range(1, len(path) + 1))

    def misread(self, path: KeyPath) -> bool:
        """Whether the key at this path, or one below it, has a mistake."""
        return path in self._misread

    def excuse(self, block: KeyPath, *keys: str) -> bool:
        """Whether a key that its block seems to lack was there, misspelt or misread: that has been said already."""
        return block in self._half_read or any(self.misread((*block, key)) for key in keys)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """All of them, in the order of the text."""
        return tuple(sorted(self._found, key=lambda violation: violation.line))

    def raise_if_any(self, source: str = "") -> None:
        """Raises `InvalidInput` naming every mistake, if there is one."""
        if self._found:
            raise InvalidInput(self.violations, source)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Violation]:
        return iter(self.violations)

    def line_of(self, path: KeyPath) -> int:
        """The first line of a key, or of the block that it is in; 0 when it is not known."""
        for length in range(len(path), 0, -1):
            if line := self._lines.get(path[:length]):
                return line
        return 0


def shown(path: KeyPath) -> str:
    """A path as TOML would write it: `quotas[0].min_share."5-6"`; the whole policy is `policy`."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{key}" if _PLAIN_KEY.match(key) and len(key) <= _SHOWN else f'."{clipped(key)}"'
    return text.removeprefix(".") or "policy"


def clipped(text: str) -> str:
    """Text fit for an error: of bounded length, on one line, and always encodable."""
    short = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    return escaped(short)


def quoted(value: str) -> str:
    """A value of the policy as an error shows it."""
    return f'"{clipped(value)}"'


def listed(words: Iterable[str], last: str = "or") -> str:
    """`a, b or c`."""
    *head, tail = words
    return f"{', '.join(head)} {last} {tail}" if head else tail


def listed_in_part(words: Iterable[str]) -> str:
    """`a, b and c`, or the first few and how many more there are."""
    known = list(words)
    more = len(known) - _LISTED
    return listed([*known[:_LISTED], f"{more} more"] if more > 1 else known, "and")
