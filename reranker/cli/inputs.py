"""What commands read: a policy, lists as JSON, the rest of the context as flags; every mistake of them at once."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from reranker.errors import FileViolation, InvalidInput, Violation

if TYPE_CHECKING:
    from reranker.candidates import Candidates, Id
    from reranker.context import Context
    from reranker.policy import Policy

T = TypeVar("T")

FORMAT = (
    "The JSON is an object of columns (ids, scores, and optionally embeddings and attributes) or a list of rows, each "
    "with id, score, optionally embedding, and any other key as an attribute."
)
SLATE_SIZE = 10
_COLUMNS = ("ids", "scores", "embeddings", "attributes")
_SLOT = re.compile(r"[0-9]{1,9}", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,4000}", re.ASCII)
_CONTEXT = re.compile(r"context\.(fixed|targets|refinement|recent)(?:\[(.*)\])?(?:\..*)?", re.DOTALL)
_FLAG = {"fixed": "--fixed", "targets": "--target", "refinement": "--refine", "recent": "--recent"}


@dataclass(frozen=True, slots=True)
class Request:
    """What a command that makes a slate works on."""

    policy: Policy
    candidates: Candidates
    context: Context
    slate_size: int


def add_context_flags(command: argparse.ArgumentParser) -> None:
    """`--slate-size`, `--target`, `--fixed`, `--recent` and `--refine`."""
    command.add_argument("--slate-size", type=int, metavar="N", help=f"items in the slate (default {SLATE_SIZE})")
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


def context_flags(options: argparse.Namespace) -> list[str]:
    """The flags of `add_context_flags` that are given."""
    flags = ("slate_size", "target", "fixed", "recent", "refine")
    return ["--" + name.replace("_", "-") for name in flags if getattr(options, name, None) not in (None, [])]


def read_policy(options: argparse.Namespace) -> Policy:
    """The policy that a command is about, where it reads nothing else; flags that speak of candidates are mistakes."""
    from reranker.policy import Policy

    reading = _Reading()
    policy = reading.attempt(lambda: Policy.from_toml(Path(options.policy)))
    reading.found += [InvalidInput([Violation(flag, "goes with --candidates only")]) for flag in context_flags(options)]
    if policy is None or reading.found:
        raise reading.error()
    return policy


def read_request(options: argparse.Namespace) -> Request:
    """Policy, candidates and flags, each looked at whatever is wrong with the others."""
    from reranker.policy import Policy

    reading = _Reading()
    policy = reading.attempt(lambda: Policy.from_toml(Path(options.policy)))
    waiting = options.candidates == "-" and sys.stdin.isatty()
    if policy is None and waiting:  # nobody should type a list for a policy that is refused
        raise reading.error()
    candidates = reading.attempt(lambda: _read_candidates(options.candidates))
    context = reading.attempt(lambda: _context(options, None if candidates is None else candidates.ids))
    if policy is None or candidates is None or context is None:
        raise reading.error()
    size = SLATE_SIZE if options.slate_size is None else options.slate_size
    return Request(policy, candidates, context, size)


def in_words_of_the_command(error: InvalidInput, options: argparse.Namespace) -> InvalidInput:
    """What policy and list together showed to be wrong, by file and flag."""
    if error.source:  # a file's own mistakes
        return error
    return InvalidInput((_named(violation, options) for violation in error.violations), error.source)


def _named(violation: Violation, options: argparse.Namespace) -> Violation:
    if isinstance(violation, FileViolation):
        return violation
    path, place = violation.path, _CONTEXT.fullmatch(violation.path)
    if path == "slate_size":
        return Violation("--slate-size", violation.reason)
    if place is not None:
        return Violation(" ".join(filter(None, (_FLAG[place[1]], place[2]))), violation.reason)
    if path.startswith("candidates"):
        return FileViolation(path, violation.reason, violation.line, _name_of(options.candidates))
    return violation


class _Reading:
    """Reads one thing after another and keeps what is wrong with them."""

    def __init__(self) -> None:
        self.found: list[InvalidInput | OSError] = []

    def attempt(self, read: Callable[[], T]) -> T | None:
        """What was read; None when it cannot be had."""
        try:
            return read()
        except (InvalidInput, OSError) as error:
            self.found.append(error)
            return None

    def error(self) -> Exception:
        """Everything that is wrong, as one error."""
        if len(self.found) == 1:
            return self.found[0]
        return InvalidInput(violation for error in self.found for violation in _violations(error))


def _violations(error: InvalidInput | OSError) -> Iterable[Violation]:
    if isinstance(error, OSError):
        return [FileViolation("file", f"cannot be read: {error.strerror}", file=str(error.filename))]
    if not error.source:
        return error.violations
    return [FileViolation(each.path, each.reason, each.line, error.source) for each in error.violations]


def _name_of(path: str) -> str:
    return "standard input" if path == "-" else path


def _read_candidates(path: str) -> Candidates:
    """Candidates from a JSON file; `-` is standard input."""
    from reranker.candidates import Candidates

    try:
        return Candidates(**_columns(_json(path)))
    except InvalidInput as error:
        raise InvalidInput(error.violations, source=_name_of(path)) from None


def _read_recent(path: str) -> Candidates | list[str | int]:
    """Recently shown items from a JSON file: with their signals, or a list of ids alone."""
    from reranker.candidates import Candidates

    try:
        tree = _json(path)
        if isinstance(tree, list) and all(isinstance(item, str | int) and not isinstance(item, bool) for item in tree):
            return tree
        return Candidates(**_columns(tree, scored=False))
    except InvalidInput as error:
        raise InvalidInput(error.violations, source=_name_of(path)) from None


def _context(options: argparse.Namespace, ids: Sequence[Id] | None) -> Context:
    """The context that the flags make; ids that are numbers are numbers where the candidates' are."""
    from reranker.context import Context

    found: list[Violation] = []
    size = SLATE_SIZE if options.slate_size is None else options.slate_size
    if size < 0:
        found.append(Violation("--slate-size", "must be at least 0"))
    if getattr(options, "page", 1) < 1:
        found.append(Violation("--page", "pages count from 1"))
    targets = _targets(options.target, found)
    fixed = _fixed(options.fixed, ids, size, found)
    refinement = _refinement(options.refine, found)
    try:
        recent = () if options.recent is None else _read_recent(options.recent)
        context = Context(targets=targets, fixed=fixed, recent=recent, refinement=refinement)
    except InvalidInput as error:
        found += [_named(violation, options) for violation in _violations(error)]
    if found:
        raise InvalidInput(found)
    return context


def _targets(texts: list[str], found: list[Violation]) -> dict[str, dict[str, float]]:
    targets: dict[str, dict[str, float]] = {}
    for text in texts:
        attribute, colon, shares = text.partition(":")
        pairs = [pair.rpartition("=") for pair in shares.split(",")]
        if not colon or not attribute or not all(value and _is_number(share) for value, _, share in pairs):
            found.append(Violation(f"--target {text}", "must look like gender:woman=0.4,man=0.6"))
            continue
        known = targets.setdefault(attribute, {})
        for value, _, share in pairs:
            if value in known:
                found.append(Violation(f"--target {text}", "gives a value the second share"))
            known.setdefault(value, float(share))
    return targets


def _fixed(texts: list[str], ids: Sequence[Id] | None, size: int, found: list[Violation]) -> dict[int, Id]:
    """Ids by slot; `ids` are the candidates', None when they could not be read."""
    fixed: dict[int, Id] = {}
    known = None if ids is None else frozenset(ids)
    are_numbers = ids is not None and len(ids) > 0 and not isinstance(ids[0], str)
    for text in texts:
        slot, _, item = text.partition("=")
        if not _SLOT.fullmatch(slot) or not item:
            found.append(Violation(f"--fixed {text}", "must look like 3=ad-17, a slot from 1 and an item's id"))
        elif are_numbers and not _INTEGER.fullmatch(item):
            found.append(Violation(f"--fixed {text}", "must look like 3=17: the candidates' ids are integers"))
        elif int(slot) in fixed:
            found.append(Violation(f"--fixed {text}", f"slot {int(slot)} is taken by another --fixed"))
        else:
            named: Id = int(item) if are_numbers else item
            fixed[int(slot)] = named
            if int(slot) > size >= 0:
                found.append(Violation(f"--fixed {text}", f"is beyond the slate, which has {size} slots"))
            if known is not None and named not in known:
                found.append(Violation(f"--fixed {text}", "names an item that is not among the candidates"))
    return fixed


def _refinement(texts: list[str], found: list[Violation]) -> dict[str, list[str]]:
    """The chosen values by attribute."""
    refinement: dict[str, list[str]] = {}
    for text in texts:
        attribute, _, values = text.partition("=")
        if not attribute or not all(values.split(",")):
            found.append(Violation(f"--refine {text}", "must look like hair_pattern=coily,curly"))
        else:
            refinement.setdefault(attribute, []).extend(values.split(","))
    return refinement


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _json(path: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise InvalidInput([Violation("candidates", "must be JSON that nests less deeply")]) from None
    except ValueError as error:
        raise InvalidInput([Violation("candidates", f"must be JSON: {error}")]) from None


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
        "scores": [_score(row) if scored else 0.0 for row in tree],
        "embeddings": embeddings if any(vector is not None for vector in embeddings) else None,
        "attributes": {name: [row.get(name) for row in tree] for name in names},
    }


def _score(row: dict[str, Any]) -> Any:
    return float("nan") if row.get("score") is None else row["score"]
