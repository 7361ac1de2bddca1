"""Text that came from outside: whether it can travel, whether anybody can mean it, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

TORN = "must be whole Unicode text: half of a surrogate pair stands alone in it"

_JOINERS = "\u200c\u200d"  # invisible, and part of how Persian, Indic scripts and emoji are written
# Control characters, line and paragraph separators, what turns the direction of the text around it, and noncharacters.
_NEVER_MEANT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def escaped(text: str) -> str:
    r"""The text on one line, safe for a terminal: control, bidi and other unprintable characters as \x1b or \u202e."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _JOINERS else char.encode("unicode_escape").decode() for char in text
    )


def is_whole(text: str) -> bool:
    """Whether the text can be encoded: half of a surrogate pair, which JSON can spell, cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def are_whole(texts: Iterable[str]) -> bool:
    """Whether every text can be encoded. O(characters)."""
    return is_whole("".join(texts))


def has_controls(text: str) -> bool:
    """Whether the text holds characters that no name or value is ever meant to hold."""
    return _NEVER_MEANT.search(text) is not None


def harmless(text: str) -> str:
    """The text as it is, `escaped` where it holds such characters."""
    return escaped(text) if has_controls(text) else text
