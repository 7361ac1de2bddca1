"""The line of every key in a TOML text; `tomllib` keeps none. The text must be one that `tomllib` has accepted."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from contextlib import suppress

from reranker.policy.mistakes import KeyPath

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_GAP = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_TOKEN = re.compile(rf"#[^\n]*|{_STRING.pattern}|[\"'\[\]{{}}.,=\n]", re.DOTALL)
DEEPEST = 16  # levels of brackets, or of dotted keys, that a text may nest; a policy needs five


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line (from 1) at which each key, table and list item of a TOML text begins, by its path.

    Where the text surprises the scanner, the lines found so far are returned: an error then names its block's line.
    """
    scanner = _Scanner(text)
    with suppress(_Surprise, RecursionError):
        scanner.document()
    return scanner.lines


def key_before(text: str, line: int, column: int) -> KeyPath:
    """The key or header that ends at this place or around it; empty when there is none."""
    scanner = _Scanner(text)
    with suppress(_Surprise, RecursionError):
        scanner.document()
    breaks = [-1, *(match.start() for match in re.finditer("\n", text))]
    place = breaks[line - 1] + column
    ends = [(end, -start, path) for start, end, path in scanner.spans if start < place <= end]
    return min(ends)[2] if ends else ()


def too_deep(text: str) -> int:
    """The line at which brackets or dotted keys nest deeper than `DEEPEST`; 0 where they never do.

    For any text: parsers need a stack as deep as the brackets, and memory that grows with the square of a key's dots.
    """
    depth = dots = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == ".":
            dots += 1
        elif token in ("[", "{"):
            depth, dots = depth + 1, 0
        elif token in ("]", "}"):
            depth, dots = depth - 1, 0
        elif token in (",", "=", "\n"):
            dots = 0
        elif token in ('"', "'"):
            break  # a string without an end: no parser comes further
        if depth > DEEPEST or dots >= DEEPEST:
            return text.count("\n", 0, match.start()) + 1
    return 0


class _Surprise(Exception):
    """The text is not what TOML allows here."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._lists: dict[KeyPath, int] = {}  # how many [[tables]] each list has
        self.lines: dict[KeyPath, int] = {}
        self.spans: list[
            tuple[int, int, KeyPath]
        ] = []  # where each header, and each key with its value, begins and ends

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        start = self._at
        is_list = self._text.startswith("[[", start)
        self._at += 2 if is_list else 1
        *parents, last = self._keys()
        self._expect("]]" if is_list else "]")
        path: KeyPath = ()
        for key in parents:
            path = self._latest((*path, key))
            self._mark(path, start)
        path = (*path, last)
        self.spans.append((start, self._at, path))
        if not is_list:
            self._mark(path, start)
            return path
        index = self._lists[path] = self._lists.get(path, -1) + 1
        self._mark(path, start)
        self._mark((*path, index), start)
        return (*path, index)

    def _latest(self, path: KeyPath) -> KeyPath:
        """A header's parent that is a list of tables means its last table."""
        return (*path, self._lists[path]) if path in self._lists else path

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        path = table
        for key in self._keys():
            path = (*path, key)
            self._mark(path, start)
        self._expect("=")
        self._value(path)
        self.spans.append((start, self._at, path))

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._text.startswith(".", self._at):
            self._at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip(_GAP)
        bare = _BARE_KEY.match(self._text, self._at)
        match = bare or _STRING.match(self._text, self._at)
        if match is None:
            raise _Surprise
        self._at = match.end()
        self._skip(_GAP)
        if bare:
            return match.group()
        try:  # tomllib knows the escapes of a quoted key
            return str(tomllib.loads(f"key = {match.group()}")["key"])
        except tomllib.TOMLDecodeError:
            raise _Surprise from None

    def _value(self, path: KeyPath) -> None:
        self._skip(_GAP)
        if self._text.startswith("[", self._at):
            self._items(path)
        elif self._text.startswith("{", self._at):
            self._inline_table(path)
        else:
            match = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            if match is None:
                raise _Surprise
            self._at = match.end()

    def _items(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while not self._ends("]"):
            self._mark((*path, index), self._at)
            self._value((*path, index))
            self._separate("]")
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while not self._ends("}"):
            self._pair(path)
            self._separate("}")

    def _ends(self, closing: str) -> bool:
        self._skip(_BLANK)
        if not self._text.startswith(closing, self._at):
            return False
        self._at += 1
        return True

    def _separate(self, closing: str) -> None:
        self._skip(_BLANK)
        if not self._text.startswith(closing, self._at):
            self._expect(",")

    def _expect(self, mark: str) -> None:
        if not self._text.startswith(mark, self._at):
            raise _Surprise
        self._at += len(mark)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _mark(self, path: KeyPath, start: int) -> None:
        self.lines.setdefault(path, bisect_right(self._breaks, start) + 1)
