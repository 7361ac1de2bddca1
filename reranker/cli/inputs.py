"""What commands read: candidates and recently shown items as JSON, the rest of the context as flags."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reranker.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from reranker.candidates import Candidates
    from reranker.context import Context

FORMAT = (
    "The JSON is an object of columns (ids, scores, and optionally embeddings and attributes) or a list of rows, each "
    "with id, score, optionally embedding, and any other key as an attribute."
)
_COLUMNS = ("ids", "scores", "embeddings", "attributes")


def add_context_flags(command: argparse.ArgumentParser) -> None:
    """`--slate-size`, `--target`, `--fixed`, `--recent` and `--refine`."""
    command.add_argument("--slate-size", type=int, default=10, metavar="N", help="items in the slate (default 10)")
    command.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="ATTR:VALUE=SHARE,...",
        help='shares for quotas with target = "request", such as gender:woman=0.4,man=0.6; may be repeated',
    )
    command.add_argument(
        "--fixed", action="append", default=[], metavar="SLOT=ID", help="an item that stands in a slot; may be repeated"
    )
    command.add_argument(
        "--recent",
        metavar="FILE",
        help="items shown recently, oldest first: JSON like the candidates', without scores, or a list of ids",
    )
    command.add_argument(
        "--refine",
        action="append",
        default=[],
        metavar="ATTR=VALUE,...",
        help="values that the user chose by hand, such as hair_pattern=coily,curly; may be repeated",
    )


def read_candidates(path: str) -> Candidates:
    """Candidates from a JSON file; `-` is standard input."""
    from reranker.candidates import Candidates

    return Candidates(**_columns(_json(path)))


def read_recent(path: str) -> Candidates | list[str | int]:
    """Recently shown items from a JSON file: with their signals, or a list of ids alone."""
    from reranker.candidates import Candidates

    try:
        tree = _json(path)
        if isinstance(tree, list) and all(isinstance(item, str | int) and not isinstance(item, bool) for item in tree):
            return tree
        return Candidates(**_columns(tree, scored=False))
    except InvalidInput as error:
        raise InvalidInput(error.violations, source=path) from None


def context_of(options: argparse.Namespace, candidates: Candidates) -> Context:
    """The context that the flags make; ids that are numbers are numbers where the candidates' are."""
    from reranker.context import Context

    found: list[Violation] = []
    targets: dict[str, dict[str, float]] = {}
    for text in options.target:
        attribute, colon, shares = text.partition(":")
        pairs = [pair.rpartition("=") for pair in shares.split(",")]
        if not colon or not attribute or not all(value and _is_number(share) for value, _, share in pairs):
            found.append(Violation(f"--target {text}", "must look like gender:woman=0.4,man=0.6"))
            continue
        targets.setdefault(attribute, {}).update({value: float(share) for value, _, share in pairs})
    fixed: dict[int, str | int] = {}
    numbers = bool(len(candidates)) and not isinstance(candidates.ids[0], str)
    for text in options.fixed:
        slot, _, item = text.partition("=")
        if not slot.isdigit() or not item or (numbers and not item.lstrip("-").isdigit()):
            found.append(Violation(f"--fixed {text}", "must look like 3=ad-17, a slot from 1 and an item's id"))
            continue
        fixed[int(slot)] = int(item) if numbers else item
    refinement: dict[str, list[str]] = {}
    for text in options.refine:
        attribute, _, values = text.partition("=")
        if not attribute or not all(values.split(",")):
            found.append(Violation(f"--refine {text}", "must look like hair_pattern=coily,curly"))
            continue
        refinement.setdefault(attribute, []).extend(values.split(","))
    if found:
        raise InvalidInput(found)
    recent = () if options.recent is None else read_recent(options.recent)
    return Context(targets=targets, fixed=fixed, recent=recent, refinement=refinement)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _json(path: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput([Violation("candidates", f"must be JSON: {error}")], source=path) from None


def _columns(tree: Any, *, scored: bool = True) -> dict[str, Any]:
    """The arguments of `Candidates` from either form of the file; scores are 0 where they are not `scored`."""
    if isinstance(tree, dict):
        unknown = [key for key in tree if key not in _COLUMNS]
        absent = [key for key in _COLUMNS[: 1 + scored] if key not in tree]
        found = [Violation(f"candidates.{key}", f"no such column; there are {', '.join(_COLUMNS)}") for key in unknown]
        found += [Violation(f"candidates.{key}", "is missing") for key in absent]
        if found:
            raise InvalidInput(found)
        count = len(tree["ids"]) if isinstance(tree["ids"], list) else 0
        return tree if scored else {**tree, "scores": [0.0] * count}
    if not isinstance(tree, list) or not all(isinstance(row, dict) for row in tree):
        raise InvalidInput([Violation("candidates", "must be an object of columns or a list of rows")])
    names = dict.fromkeys(key for row in tree for key in row if key not in ("id", "score", "embedding"))
    embeddings = [row.get("embedding") for row in tree]
    return {
        "ids": [row.get("id") for row in tree],
        "scores": [float("nan") if row.get("score") is None else row["score"] for row in tree]
        if scored
        else [0.0] * len(tree),
        "embeddings": embeddings if any(vector is not None for vector in embeddings) else None,
        "attributes": {name: [row.get(name) for row in tree] for name in names},
    }
