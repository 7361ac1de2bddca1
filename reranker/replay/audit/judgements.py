"""What turned out to be relevant: the only thing that says whether a group that stands lower deserves it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.errors import InvalidInput, Violation
from reranker.replay.audit.sets import ResultSet

_WORDS = {"request_id", "item_id", "relevance"}
_MOST_VIOLATIONS = 20


@dataclass(slots=True)
class Judgements:
    """Relevance from 0 to 1 of items, by request: all of the file is held.

    In a request that has a judgement, an item without one has 0, or counts for nothing where `only_judged`.
    """

    by_request: dict[str, dict[str, float]]
    only_judged: bool = False

    def of(self, found: ResultSet) -> NDArray[np.float64] | None:
        """The relevance of each candidate (N,), NaN where it is not known; None where the request has none."""
        known = self.by_request.get(found.name)
        if known is None:
            return None
        other = float("nan") if self.only_judged else 0.0
        return np.array([known.get(str(each), other) for each in found.candidates.ids])

    @classmethod
    def read(cls, lines: Iterable[str], source: str, *, only_judged: bool = False) -> Judgements:
        """JSON lines of `request_id`, `item_id` and `relevance`. Raises `InvalidInput` naming the lines that are wrong.

        Of an item that is judged twice the larger relevance counts.
        """
        found: list[Violation] = []
        by_request: dict[str, dict[str, float]] = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            tree = _checked(line, f"line {number}", found)
            if len(found) >= _MOST_VIOLATIONS:
                break
            if tree is not None:
                own = by_request.setdefault(tree["request_id"], {})
                item = str(tree["item_id"])
                own[item] = max(own.get(item, 0.0), float(tree.get("relevance", 1.0)))
        if found:
            raise InvalidInput(found, source)
        return cls(by_request, only_judged)


def _checked(line: str, path: str, found: list[Violation]) -> dict[str, Any] | None:
    before = len(found)
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict) or tree.keys() - _WORDS:
        found.append(Violation(path, "must be a JSON object of request_id, item_id and relevance"))
        return None
    if not isinstance(tree.get("request_id"), str):
        found.append(Violation(f"{path}.request_id", "must be text"))
    if not isinstance(tree.get("item_id"), str | int) or isinstance(tree.get("item_id"), bool):
        found.append(Violation(f"{path}.item_id", "must be text or a whole number"))
    relevance = tree.get("relevance", 1.0)
    if not isinstance(relevance, int | float) or isinstance(relevance, bool) or not 0.0 <= relevance <= 1.0:
        found.append(Violation(f"{path}.relevance", "must be a number from 0 to 1"))
    return tree if len(found) == before else None
