"""What a build reads: items in batches, held to the rules of `Candidates`, and where each of them came from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.errors import FileViolation, InvalidInput, Violation

_SHOWN = 20  # mistakes of one kind that are listed one by one; the rest is counted
_ROW = re.compile(r"(?P<what>.*?)\[(?P<row>\d+)\]", re.DOTALL)
_REPEATS = re.compile(r"repeats candidates\.ids\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Places:
    """Where some items stand in a source: `numbers` are their lines from 1, or their rows from 0, as `word` says."""

    source: str
    numbers: Sequence[int] | NDArray[np.integer]
    word: str = "row"

    def name(self, row: int) -> str:
        """The place of one item, in words."""
        return f"{self.word} {int(self.numbers[row])}"

    def violation(self, what: str, reason: str, row: int) -> Violation:
        """A mistake of one item; a negative row means all of them."""
        if row < 0:
            return FileViolation(what, reason, file=self.source)
        number = int(self.numbers[row])
        if self.word == "line":
            return FileViolation(what, reason, number, self.source)
        return FileViolation(f"rows[{number}].{what}", reason, file=self.source)

    def kept(self, rows: NDArray[np.integer]) -> Places:
        """The places of some of the items."""
        return Places(self.source, np.asarray(self.numbers)[rows], self.word)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some items, in the words of `Candidates`: ids, embeddings by name, attributes by name."""

    places: Places
    ids: Sequence[Any] | NDArray[Any]
    embeddings: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def checked(self, mistakes: BuildMistakes) -> Candidates | None:
        """The columns, or None with what is wrong with them added to `mistakes`. O(items (D + attributes))."""
        try:
            return Candidates(self.ids, np.zeros(len(self.ids)), self.embeddings, self.attributes)
        except InvalidInput as error:
            for violation in error.violations:
                self._translate(violation, mistakes)
            return None

    def _translate(self, violation: Violation, mistakes: BuildMistakes) -> None:
        """A mistake by the place in the source in place of that in the batch."""
        path = violation.path.removeprefix("candidates.")
        place = _ROW.fullmatch(path)
        what, row = (place["what"], int(place["row"])) if place else (path, -1)
        reason = _REPEATS.sub(lambda found: f"repeats {self.places.name(int(found[1]))}", violation.reason)
        mistakes.add(self.places, what, reason, row)


class BuildMistakes:
    """What is wrong with the input: the first few of each kind by place, the rest as counts."""

    def __init__(self) -> None:
        self._listed: list[Violation] = []
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def __bool__(self) -> bool:
        return bool(self._listed)

    def add(self, places: Places, what: str, reason: str, row: int = -1) -> None:
        """One mistake of the item in `row` of these places, or of all of them."""
        kind = (places.source, what, re.sub(r"\d+", "", reason))
        self._counts[kind] += 1
        if self._counts[kind] <= _SHOWN:
            self._listed.append(places.violation(what, reason, row))

    def add_rows(self, places: Places, what: str, reason: str, wrong: NDArray[np.bool_]) -> None:
        """The same mistake of every marked item."""
        for row in np.flatnonzero(wrong).tolist():
            self.add(places, what, reason, row)

    def error(self, others: Iterable[Violation] = ()) -> InvalidInput:
        """All of them as one error, with others behind."""
        more = [
            FileViolation(what, f"{count - _SHOWN} more are wrong in the same way", file=source)
            for (source, what, _), count in self._counts.items()
            if count > _SHOWN
        ]
        return InvalidInput([*self._listed, *more, *others])
