"""What is known about the request beside its candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reranker.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from reranker.candidates import Candidates

_EMPTY: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known about the request; nothing in it identifies a person.

    `targets` are shares by attribute and value (each 0..1, together at most 1), `fixed` maps slots (from 1) to ids,
    `refinement` maps attributes to the values a user chose. Raises `InvalidInput` naming every violation.
    """

    surface: str = ""
    language: str = ""
    country: str = ""
    intent: str = ""
    unit: str = ""
    recent: Candidates | Sequence[str | int] = ()
    cursor: bytes = b""
    refinement: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fixed: Mapping[int, str | int] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    without_profiling: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        violations = [*_target_violations(self.targets), *_fixed_violations(self.fixed)]
        if self.seed is not None and not 0 <= self.seed < 2**64:
            violations.append(Violation("context.seed", "must be an integer from 0 to 2^64 - 1"))
        if violations:
            raise InvalidInput(violations)


def _target_violations(targets: Mapping[str, Mapping[str, float]]) -> list[Violation]:
    violations = []
    for attribute, shares in targets.items():
        path = f"context.targets[{attribute!r}]"
        if any(not 0.0 <= share <= 1.0 for share in shares.values()):
            violations.append(Violation(path, "every share must be between 0 and 1"))
        elif sum(shares.values()) > 1.0 + 1e-6:
            violations.append(Violation(path, "shares must add up to at most 1"))
    return violations


def _fixed_violations(fixed: Mapping[int, str | int]) -> list[Violation]:
    violations = [Violation(f"context.fixed[{slot}]", "slots count from 1") for slot in fixed if slot < 1]
    if len(set(fixed.values())) < len(fixed):
        violations.append(Violation("context.fixed", "an item can be fixed in one slot only"))
    return violations
