"""Targets of representation: which share of a result set each group should have."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reranker.errors import InvalidInput, Violation

UNIFORM, REQUEST = "uniform", "request"
_WHOLE = 1.0 + 1e-6
_FORMS = f"must be {UNIFORM}, {REQUEST}, ATTR:VALUE=SHARE,… or a .toml or .json file of shares by attribute"


@dataclass(frozen=True, slots=True)
class Targets:
    """`shares` by attribute and value. An attribute without them has the request's own where `of_request`.

    Else all its values alike where `uniform`, and the shares of the candidates where nothing is said.
    """

    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    uniform: bool = False
    of_request: bool = False


def read_targets(texts: Sequence[str]) -> Targets:
    """`--target` as given, any number of them. Raises `InvalidInput` naming every one that is wrong, and `OSError`."""
    found: list[Violation] = []
    shares: dict[str, Mapping[str, float]] = {}
    for text in texts:
        if text in (UNIFORM, REQUEST):
            continue
        try:
            own = _of_file(Path(text)) if text.endswith((".toml", ".json")) else _inline(text)
        except InvalidInput as error:
            found += error.violations
            continue
        found += [Violation(f"--target {name}", "is given twice") for name in own if name in shares]
        shares |= own
    if UNIFORM in texts and REQUEST in texts:
        found.append(Violation("--target", f"cannot be both {UNIFORM} and {REQUEST}"))
    if found:
        raise InvalidInput(found)
    return Targets(shares, UNIFORM in texts, REQUEST in texts)


def checked(tree: Any, path: str) -> dict[str, dict[str, float]]:
    """Shares by attribute and value from a tree as of JSON. Raises `InvalidInput` naming every mistake."""
    if not isinstance(tree, Mapping):
        raise InvalidInput([Violation(path, "must be shares by attribute and value")])
    found: list[Violation] = []
    for attribute, shares in tree.items():
        if not isinstance(shares, Mapping) or not shares:
            found.append(Violation(f"{path}.{attribute}", "must be shares by value"))
            continue
        wrong = [value for value, share in shares.items() if not _is_share(share)]
        found += [Violation(f"{path}.{attribute}.{value}", "must be a number from 0 to 1") for value in wrong]
        if not wrong and sum(shares.values()) > _WHOLE:
            found.append(Violation(f"{path}.{attribute}", f"adds up to {sum(shares.values()):g}, which is more than 1"))
    if found:
        raise InvalidInput(found)
    return {str(name): {str(value): float(x) for value, x in shares.items()} for name, shares in tree.items()}


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def _of_file(path: Path) -> dict[str, dict[str, float]]:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        tree = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise InvalidInput([Violation(f"--target {path}", f"is not {path.suffix[1:].upper()}: {error}")]) from None
    return checked(tree, f"--target {path}")


def _inline(text: str) -> dict[str, dict[str, float]]:
    attribute, colon, rest = text.partition(":")
    pairs = [pair.rpartition("=") for pair in rest.split(",")]
    try:
        shares = {value: float(share) for value, _, share in pairs}
    except ValueError:
        shares = {}
    if not colon or not attribute or not shares or "" in shares or len(shares) < len(pairs):
        raise InvalidInput([Violation(f"--target {text}", _FORMS)])
    return checked({attribute: shares}, f"--target {text}")
