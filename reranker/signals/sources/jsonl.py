"""JSON lines: one object an item, from a file or standard input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from reranker.signals.batches import Batch, BuildMistakes, Places
from reranker.signals.sources import values
from reranker.signals.sources.names import Names

_ROWS = 8_192  # whose numbers are Python objects for a moment: a few hundred bytes a number's row


def read_jsonl(stream: BinaryIO, source: str, names: Names) -> Iterator[Batch]:
    """Batches of items; blank lines are passed over. Raises `InvalidInput` where lines are no objects with an id."""
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    mistakes = BuildMistakes()
    seen: set[str] = set()
    for number, line in enumerate(stream, start=1):
        if line.isspace():
            continue
        row = _row(line, number, source, names, mistakes)
        if row is None:
            continue
        rows.append(row)
        lines.append(number)
        if len(rows) == _ROWS:
            yield _batch(rows, lines, source, names, seen)
            rows, lines = [], []
    if rows:
        yield _batch(rows, lines, source, names, seen)
    if mistakes:
        raise mistakes.error()
    if seen:
        names.require(source, seen, "key")


def _row(line: bytes, number: int, source: str, names: Names, mistakes: BuildMistakes) -> dict[str, Any] | None:
    places = Places(source, [number], "line")
    try:
        row = json.loads(line)
    except RecursionError:
        mistakes.add(places, "item", "must nest less deeply", 0)
        return None
    except ValueError as error:  # also where it is not UTF-8
        mistakes.add(places, "item", f"must be one JSON object: {getattr(error, 'msg', 'it is not UTF-8')}", 0)
        return None
    if not isinstance(row, dict):
        mistakes.add(places, "item", "must be one JSON object", 0)
        return None
    if names.id_key not in row:
        mistakes.add(places, names.id_key, "is missing: every item has an id", 0)
        return None
    return row


def _batch(rows: list[dict[str, Any]], lines: list[int], source: str, names: Names, seen: set[str]) -> Batch:
    present = dict.fromkeys(key for row in rows for key in row)
    seen.update(present)
    found = {name: values.vectors([row.get(key) for row in rows]) for name, key in names.embedding_keys.items()}
    return Batch(
        Places(source, lines, "line"),
        [row[names.id_key] for row in rows],
        {name: vectors for name, vectors in found.items() if vectors is not None},
        {
            name: values.attribute([row.get(key) for row in rows])
            for name, key in names.attribute_keys(present).items()
            if key in present
        },
    )
