"""Every exception that reaches a caller.

RerankerError
├── InvalidInput (ValueError)     bad candidates, context or policy; names every violation at once
├── UnknownPolicy (LookupError)   no policy of that name serves
├── DeadlinePassed                the deadline came before the slate was full
├── TooLittleTime                 what is left until the deadline is known to be too little: nothing was begun
├── CallerGone                    the caller went away before the slate was full
├── QuotasInfeasible              a hard bound broke and the policy says mode = "fail"
├── BadCatalog                    an item catalog is missing, foreign, cut off or damaged
├── BadLedger                     an exposure ledger cannot be opened
├── StoreError                    Redis or Valkey did not do what it was asked
│   ├── StoreUnavailable          it is slow, gone, full, or does not let us in
│   └── StoreLied                 it answers what cannot be: a wrong type, a value that is cut off
└── MissingExtra (ImportError)    an optional dependency is not installed
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reranker.texts import escaped


class RerankerError(Exception):
    """Anything this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with an input.

    `path` names the field (`candidates.scores[3]`, `quotas[0].min_share`), `reason` says what is wrong and what is
    allowed; neither quotes a value that may describe a person. `line` is the line of a policy file, 0 when there is
    none.
    """

    path: str
    reason: str
    line: int = 0

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return escaped(f"{where}{self.path}: {self.reason}")


@dataclass(frozen=True, slots=True)
class FileViolation(Violation):
    """A violation in a named file, where several files are looked at together."""

    file: str = ""

    def __str__(self) -> str:
        line = f", line {self.line}" if self.line else ""
        return escaped(f"{self.file}{line}: {self.path}: {self.reason}")


class InvalidInput(RerankerError, ValueError):
    """The input breaks one rule or more; `violations` lists all of them, `source` names the file if there is one."""

    def __init__(self, violations: Iterable[Violation], source: str = "") -> None:
        self.violations: tuple[Violation, ...] = tuple(violations)
        self.source = source
        super().__init__(self._text())

    def __reduce__(self) -> tuple[type[InvalidInput], tuple[object, ...]]:
        """An error crosses processes by what it was made of, not by its text."""
        return type(self), (self.violations, self.source)

    def _text(self) -> str:
        count = len(self.violations)
        head = f"{escaped(self.source)}: " if self.source else ""
        if count == 1:
            return f"{head}{self.violations[0]}"
        lines = "\n".join(f"  {violation}" for violation in self.violations)
        return f"{head}{count} violations\n{lines}"


class UnknownPolicy(RerankerError, LookupError):
    """No policy of this name serves."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        self.known: tuple[str, ...] = tuple(sorted(known))
        listed = ", ".join(self.known) or "none"
        super().__init__(f"no policy is called {name!r}; these serve: {listed}")

    def __reduce__(self) -> tuple[type[UnknownPolicy], tuple[object, ...]]:
        return type(self), (self.name, self.known)


class DeadlinePassed(RerankerError):
    """The caller's deadline came before the slate was full; nothing is returned."""

    def __init__(self, slots: int, filled: int) -> None:
        self.slots, self.filled = slots, filled
        super().__init__(f"the deadline passed after {filled} of {slots} slots")

    def __reduce__(self) -> tuple[type[DeadlinePassed], tuple[object, ...]]:
        return type(self), (self.slots, self.filled)


class CallerGone(RerankerError):
    """The caller went away before the slate was full: nobody would read it."""

    def __init__(self, slots: int, filled: int) -> None:
        self.slots, self.filled = slots, filled
        super().__init__(f"the caller went away after {filled} of {slots} slots")

    def __reduce__(self) -> tuple[type[CallerGone], tuple[object, ...]]:
        return type(self), (self.slots, self.filled)


class TooLittleTime(RerankerError):
    """What is left until the deadline is less than the slate takes, `needed` seconds: it was not begun."""

    def __init__(self, needed: float, left: float) -> None:
        self.needed, self.left = needed, left
        super().__init__(
            f"the slate takes about {1e3 * needed:.3g} ms here, and {1e3 * max(0.0, left):.3g} ms are left for it"
        )

    def __reduce__(self) -> tuple[type[TooLittleTime], tuple[object, ...]]:
        return type(self), (self.needed, self.left)


class QuotasInfeasible(RerankerError):
    """A hard bound cannot hold and the policy says `mode = "fail"`; `outcomes` are the quota outcomes of the slate."""

    def __init__(self, outcomes: Iterable[Any]) -> None:
        self.outcomes: tuple[Any, ...] = tuple(outcomes)
        broken = "; ".join(o.detail for o in self.outcomes if o.status == "BROKEN")
        super().__init__(f"hard quotas cannot all hold: {broken}")

    def __reduce__(self) -> tuple[type[QuotasInfeasible], tuple[object, ...]]:
        return type(self), (self.outcomes,)


class BadCatalog(RerankerError):
    """An item catalog cannot be used; the text names the file or folder, says why, and what to do next."""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = str(path), reason
        super().__init__(escaped(f"{self.path}: {reason}"))

    def __reduce__(self) -> tuple[type[BadCatalog], tuple[object, ...]]:
        return type(self), (self.path, self.reason)


class StoreError(RerankerError):
    """Redis or Valkey did not do what it was asked; `reason` is one of a small fixed set of words, for metrics."""

    said = "the store failed"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{self.said}: {reason}")

    def __reduce__(self) -> tuple[type[StoreError], tuple[object, ...]]:
        return type(self), (self.reason,)


class StoreUnavailable(StoreError):
    """It gave no answer: it is slow, gone, left alone (its breaker is open), loading, full or does not let us in."""

    said = "the store is unavailable"


class StoreLied(StoreError):
    """It gave an answer that cannot be: a wrong type, a damaged value, or an error that should not occur."""

    said = "the store gave a wrong answer"


class BadLedger(RerankerError):
    """An exposure ledger cannot be used; the text names its file or folder, and says why and what to do next."""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = str(path), reason
        super().__init__(escaped(f"{self.path}: {reason}"))

    def __reduce__(self) -> tuple[type[BadLedger], tuple[object, ...]]:
        return type(self), (self.path, self.reason)


class RegisterDamaged(RerankerError):
    """A line of the register of published policies cannot be; nothing of it is believed."""

    def __init__(self, line: int, reason: str) -> None:
        self.line, self.reason = line, reason
        super().__init__(f"line {line} of the register of policies {reason}: it was damaged or altered")

    def __reduce__(self) -> tuple[type[RegisterDamaged], tuple[object, ...]]:
        return type(self), (self.line, self.reason)


class RegisterRefused(RerankerError):
    """What somebody asked of the register of published policies cannot be done; the text says what can."""


class MissingExtra(RerankerError, ImportError):
    """An optional dependency is missing; the text names the extra that brings it."""

    def __init__(self, module: str, extra: str) -> None:
        self.module, self.extra = module, extra
        super().__init__(f"{module} is not installed: pip install 'diversity-reranker[{extra}]'")

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[object, ...]]:
        return type(self), (self.module, self.extra)
