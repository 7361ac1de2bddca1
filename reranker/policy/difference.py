"""What changed between two revisions of a policy or of the routes, word by word."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from typing import Any

from reranker.policy.describe_routes import described_moves
from reranker.policy.mistakes import KeyPath, shown
from reranker.policy.model import Policy
from reranker.policy.routes import Routes

_MOST_LINES = 200


def difference(before: Policy | Routes | None, after: Policy | Routes) -> list[str]:
    """A line for each word that went (-) or came (+), by its path; of routes also who moves. Bounded in length."""
    old = {} if before is None else dict(_words(before.to_dict()))
    new = dict(_words(after.to_dict()))
    lines = []
    for path in dict.fromkeys((*old, *new)):
        if old.get(path) != new.get(path):
            lines += [f"{sign} {path} = {words[path]}" for sign, words in (("-", old), ("+", new)) if path in words]
    if isinstance(before, Routes) and isinstance(after, Routes):
        lines += described_moves(before, after)
    more = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"and {more} lines more"] if more > 0 else lines


def _words(tree: Any, path: KeyPath = ()) -> Iterator[tuple[str, str]]:
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _words(value, (*path, key))
    elif isinstance(tree, list) and tree and isinstance(tree[0], Mapping):
        for index, value in enumerate(tree):
            yield from _words(value, (*path, index))
    else:
        yield shown(path), tree.isoformat() if isinstance(tree, datetime.date) else json.dumps(tree, ensure_ascii=False)
