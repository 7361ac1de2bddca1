"""The file of settings: TOML, one key a setting, without tables; each value is kept as the text a flag would have."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from reranker.errors import FileViolation, Violation

_MOST_BYTES = 1 << 16
_LINE = re.compile(r" \(at line (\d+), column \d+\)")


class Entry(NamedTuple):
    """One key of the file."""

    text: str
    line: int


def read_entries(file: Path, known: Sequence[str], found: list[Violation]) -> dict[str, Entry]:
    """The keys of a file that are settings; every other one, and every value that is no scalar, goes to `found`.

    Raises `OSError` when the file cannot be read.
    """
    with file.open("rb") as stream:
        data = stream.read(_MOST_BYTES + 1)

    def complain(key: str, reason: str, line: int = 0) -> None:
        found.append(FileViolation(key, reason, line, str(file)))

    if len(data) > _MOST_BYTES:
        complain("config", f"must be at most {_MOST_BYTES} bytes: it is some other file")
        return {}
    try:
        text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
        tree = tomllib.loads(text)
    except UnicodeDecodeError:
        complain("config", "is not UTF-8 text")
        return {}
    except (ValueError, RecursionError) as error:
        where = _LINE.search(str(error))
        complain("config", f"is not TOML: {_LINE.sub('', str(error))}", int(where[1]) if where else 0)
        return {}
    lines = _lines(text)
    entries = {}
    for key, value in tree.items():
        line = lines.get(key, 0)
        if key not in known:
            complain(key, no_such_setting(key, known), line)
        elif (scalar := _as_text(value)) is None:
            complain(key, "must be text in quotes, a number, true or false", line)
        else:
            entries[key] = Entry(scalar, line)
    return entries


def no_such_setting(name: str, known: Sequence[str]) -> str:
    """Why a name is refused, with the one that was perhaps meant."""
    close = get_close_matches(name, known, n=1)
    return f"no such setting; did you mean {close[0]}?" if close else f"no such setting; there are {', '.join(known)}"


def _lines(text: str) -> Mapping[str, int]:
    """The line of every top-level key."""
    from reranker.policy.locate import lines_of  # when there is a file: it brings NumPy, which the flags do without

    return {str(path[0]): line for path, line in lines_of(text).items() if len(path) == 1}


def _as_text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None
