"""What an audit looks at: result sets, from request logs or from JSON lines, with what is known of each request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from reranker.candidates import Candidates
from reranker.errors import InvalidInput, Violation
from reranker.replay.audit.targets import checked
from reranker.replay.measured import Yardstick
from reranker.replay.one import Replayer
from reranker.replay.plan import Plan
from reranker.requestlog.traffic import records_of
from reranker.signals import Catalog
from reranker.v1.request_log_pb2 import RequestLog

SETS = ".jsonl"
_MOST_VIOLATIONS = 20
_OF_ITEMS = ("id", "score", "embedding")


@dataclass(frozen=True, slots=True, eq=False)
class ResultSet:
    """One list that upstream made. `fields` say what the request is, by name; `top` is how many of it are shown.

    `is_ranked` is False where items have no scores: they are then draws of a generator, and their order says nothing.
    """

    name: str
    fields: Mapping[str, str]
    candidates: Candidates
    targets: Mapping[str, Mapping[str, float]]
    top: int
    is_ranked: bool = True


@dataclass(slots=True)
class Source:
    """Where result sets come from; `refused` counts what could not be read, by reason, once they have been read.

    `queries` are the words of a request, by its id: fields `query` and `prompt`. `top` replaces the slate size.
    """

    files: tuple[Path, ...]
    catalog: Catalog | None = None
    queries: Mapping[str, str] = field(default_factory=dict)
    top: int | None = None
    refused: Counter[str] = field(default_factory=Counter)

    def sets(self) -> Iterator[ResultSet]:
        """One after the other; none is kept. Raises `InvalidInput` where a file is damaged, `OSError`."""
        replayer = Replayer(Plan((), Yardstick()), self.catalog)
        for path in self.files:
            if path.name.endswith(SETS):
                with path.open(encoding="utf-8", errors="replace") as lines:
                    yield from _of_lines(lines, str(path), self.top)
                continue
            for record in records_of([path]):
                found = self._of_record(record, replayer)
                if found is not None:
                    yield found

    def _of_record(self, record: bytes, replayer: Replayer) -> ResultSet | None:
        try:
            log = RequestLog.FromString(record)
        except DecodeError:
            self.refused["the record is not a RequestLog message"] += 1
            return None
        decoded = replayer.decoded(log)
        if isinstance(decoded, str):
            self.refused[decoded] += 1
            return None
        request, context = log.request, log.request.context
        name = request.request_id or log.metadata.request_hash.hex()
        fields = {
            "kind": log.metadata.kind,
            "surface": context.surface,
            "intent": context.intent,
            "language": context.language,
            "country": context.country,
            "tenant": log.metadata.tenant,
            "origin": log.metadata.origin,
            "arm": log.response.arm,
        }
        if self.queries:
            fields |= dict.fromkeys(("query", "prompt"), self.queries.get(name, ""))
        top = self.top or decoded.slate_size
        return ResultSet(name, fields, decoded.candidates, decoded.context.targets or {}, top)


def _of_lines(lines: Iterable[str], source: str, top: int | None) -> Iterator[ResultSet]:
    found: list[Violation] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            made = _of_tree(_tree(line), f"line {number}", top)
        except InvalidInput as error:
            found += [Violation(f"line {number} {each.path}".rstrip(), each.reason) for each in error.violations]
            if len(found) >= _MOST_VIOLATIONS:
                break
            continue
        if not found:
            yield made
    if found:
        raise InvalidInput(found, source)


def _tree(line: str) -> Mapping[str, Any]:
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):
        tree = None
    items = tree.get("items") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InvalidInput([Violation("", 'must be a JSON object with "items", a list of objects')])
    return tree


def _of_tree(tree: Mapping[str, Any], place: str, top: int | None) -> ResultSet:
    items = tree["items"]
    scored = [item.get("score") is not None for item in items]
    if any(scored) and not all(scored):
        raise InvalidInput([Violation("items", "must have a score each, or none of them")])
    is_ranked = bool(items) and all(scored)
    names = dict.fromkeys(key for item in items for key in item if key not in _OF_ITEMS)
    vectors = [item.get("embedding") for item in items]
    candidates = Candidates(
        ids=[item.get("id", f"{place}, item {at}") for at, item in enumerate(items, start=1)],
        scores=[item["score"] for item in items] if is_ranked else np.zeros(len(items)),
        embeddings=vectors if any(vector is not None for vector in vectors) else None,
        attributes={name: [item.get(name) for item in items] for name in names},
    )
    fields = {key: value for key, value in tree.items() if isinstance(value, str)}
    shown = top if top is not None and is_ranked else len(items)
    return ResultSet(fields.get("request_id", place), fields, candidates, _targets(tree), shown, is_ranked)


def _targets(tree: Mapping[str, Any]) -> Mapping[str, Mapping[str, float]]:
    return checked(tree.get("targets", {}), "targets")
