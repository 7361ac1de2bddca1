"""Gates: limits that a policy has to clear before it serves, each with as much certainty as was asked for.

A gate passes only if the whole interval lies on the right side of its limit. Every slice and group that a gate looks
at is one check; the intervals of m checks leave out significance / m each (Bonferroni), so that the chance of any wrong
pass or wrong failure among all of them stays below the significance, however they depend on each other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from reranker.errors import InvalidInput, Violation
from reranker.replay.bootstrap import DRAWS, Column, Interval, intervals
from reranker.replay.contrasts import change_column, column, measures_of, paired
from reranker.replay.measured import TIMES
from reranker.replay.results import Answers
from reranker.replay.slices import LENGTH, QUERY, Slice
from reranker.replay.words import MEANINGS, OF_PAIRS, Meaning, Measure

DIMENSIONS = ("kind", "surface", "intent", "language", "country", QUERY, LENGTH)
_MOST_DRAWS = 40_000  # beyond 100 checks the ends are too far out rather than too far in
LIMITS = ("at_least", "at_most", "change_at_least", "change_at_most")


class Outcome(StrEnum):
    """What became of a gate."""

    PASS = "PASS"
    FAIL = "FAIL"
    INSUFFICIENT = "INSUFFICIENT EVIDENCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One limit: on what the candidate has (`at_least`, `at_most`) or on how far it is from the baseline.

    Without `attribute` a measure of attributes is looked at for each of them, without `value` for each value. `by`
    names dimensions: every slice of them has to clear the limit as well as all requests together.
    """

    measure: str
    attribute: str = ""
    value: str = ""
    at_least: float | None = None
    at_most: float | None = None
    change_at_least: float | None = None
    change_at_most: float | None = None
    by: tuple[str, ...] = ()

    @property
    def limit(self) -> tuple[str, float]:
        """The word and its number."""
        return next((word, getattr(self, word)) for word in LIMITS if getattr(self, word) is not None)

    @property
    def is_of_change(self) -> bool:
        """Whether the limit is on the distance from the baseline."""
        return self.limit[0].startswith("change")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """All gates and how sure they want to be: `significance` is the chance of any wrong answer among all checks."""

    gates: tuple[Gate, ...]
    significance: float = 0.05
    min_requests: int = 30
    gain_kept: float = 0.5
    """So much of a gain in representation has to be left under label noise."""


@dataclass(frozen=True, slots=True)
class Check:
    """One limit on one group in one slice: `interval` is as wide as all checks together demand."""

    gate: Gate
    measure: Measure
    slice: tuple[str, str]
    interval: Interval
    outcome: Outcome

    @property
    def text(self) -> str:
        """The check in words."""
        word, limit = self.gate.limit
        title = MEANINGS[self.measure.name].title
        of = f", {self.measure.attribute}{' = ' + self.measure.value if self.measure.value else ''}"
        where = f", {self.slice[0]} = {self.slice[1]}" if self.slice[0] else ""
        said = word.replace("change_", "change ").replace("_", " ")
        number = f"{limit:g}"
        if MEANINGS[self.measure.name].percent:
            number = f"{100.0 * limit:g} {'points' if self.gate.is_of_change else '%'}"
        return f"{title}{of if self.measure.attribute else ''}{where}: {said} {number}"


Key = tuple[Gate, Measure, Slice]
"""One check: a gate on one measure in one slice."""

DEFAULT = Gates(
    gates=(
        Gate(measure="answered", change_at_least=-0.02),
        Gate(measure="relevance_retained", change_at_least=-0.05),
        Gate(measure="ndcg", change_at_least=-0.05),
        Gate(measure="div", change_at_least=-0.02),
        Gate(measure="attention_gap", change_at_most=0.02),
        Gate(measure="attention_shortfall", change_at_most=0.02),
    )
)
"""Where nobody says otherwise: no request is lost, little relevance is, and no group falls further behind its share."""


def check_gates(
    gates: Gates,
    baseline: Answers,
    candidate: Answers,
    whole: Slice,
    slices: Sequence[Slice],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> list[Check]:
    """Every gate on every group and slice that it names. A gate that finds nothing to look at is a check of nothing."""
    keys = keys_of(gates, baseline, candidate, whole, slices)
    if not keys:
        return []
    level = 1.0 - gates.significance / len(keys)
    none = np.full(len(whole.rows), np.nan)

    def columns() -> Iterator[Column]:
        for gate, measure, part in keys:
            if gate.is_of_change:
                yield change_column(measure, paired(measure, baseline, candidate, part.rows))
            else:
                yield column(measure, np.where(part.rows, candidate.numbers.get(measure, none), np.nan))

    found = intervals(columns(), [level] * len(keys), seed=seed, draws=draws_for(len(keys), gates, draws))
    return [
        Check(gate, measure, (part.dimension, part.value), interval, outcome_of(gate, interval, gates.min_requests))
        for (gate, measure, part), interval in zip(keys, found, strict=True)
    ]


def keys_of(gates: Gates, baseline: Answers, candidate: Answers, whole: Slice, slices: Sequence[Slice]) -> list[Key]:
    """What every gate looks at."""
    keys: list[Key] = []
    for gate in gates.gates:
        parts = [whole, *(part for part in slices if part.dimension in gate.by)]
        keys += [(gate, measure, part) for part in parts for measure in _subjects(gate, baseline, candidate)]
    return keys


def draws_for(checks: int, gates: Gates, draws: int) -> int:
    """So many draws that ten are beyond each end, or the end would be one draw's luck."""
    return max(draws, min(int(np.ceil(20.0 * checks / gates.significance)), _MOST_DRAWS))


def verdict(checks: Iterable[Check]) -> Outcome:
    """The worst of all: one failure fails, and one gate that cannot be told leaves all of it open."""
    outcomes = {check.outcome for check in checks}
    return next((o for o in (Outcome.FAIL, Outcome.INSUFFICIENT) if o in outcomes), Outcome.PASS)


def _subjects(gate: Gate, baseline: Answers, candidate: Answers) -> list[Measure]:
    """The measures that a gate is about: pairs of attributes only where they are named."""
    found = [
        measure
        for measure in measures_of(baseline, candidate, [gate.measure])
        if (measure.attribute == gate.attribute if gate.attribute else TIMES not in measure.attribute)
        and (not gate.value or measure.value == gate.value)
    ]
    return found or ([Measure(gate.measure, gate.attribute, gate.value)] if gate.attribute else [])


def outcome_of(gate: Gate, interval: Interval, min_requests: int) -> Outcome:
    """Whether the whole interval clears the limit, misses it, or neither."""
    word, limit = gate.limit
    if interval.requests < min_requests:
        return Outcome.INSUFFICIENT
    if word.endswith("at_least"):
        clears, misses = interval.low >= limit, interval.high < limit
    else:
        clears, misses = interval.high <= limit, interval.low > limit
    return Outcome.PASS if clears else Outcome.FAIL if misses else Outcome.INSUFFICIENT


def read_gates(path: Path) -> Gates:
    """Gates from a TOML file; raises `InvalidInput` naming every mistake, and `OSError`."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput([Violation("gates", f"is not TOML: {error}")], str(path)) from None
    found: list[Violation] = []
    gates = [_gate(f"gates[{i}]", block, found) for i, block in enumerate(_blocks(tree, found))]
    found += [
        Violation(key, "no such word; there are gates, significance, min_requests and gain_kept")
        for key in tree
        if key not in ("gates", "significance", "min_requests", "gain_kept")
    ]
    kept = tree.get("gain_kept", 0.5)
    if not _is_number(kept) or not 0.0 <= kept <= 1.0:
        found.append(Violation("gain_kept", "must be a number from 0 to 1"))
    significance, least = tree.get("significance", 0.05), tree.get("min_requests", 30)
    if not _is_number(significance) or not 0.0 < significance < 0.5:
        found.append(Violation("significance", "must be a number above 0 and below 0.5"))
    if not isinstance(least, int) or isinstance(least, bool) or least < 2:
        found.append(Violation("min_requests", "must be a whole number of at least 2"))
    if found:
        raise InvalidInput(found, str(path))
    return Gates(
        gates=tuple(gate for gate in gates if gate), significance=significance, min_requests=least, gain_kept=kept
    )


def _blocks(tree: dict[str, Any], found: list[Violation]) -> list[dict[str, Any]]:
    blocks = tree.get("gates", [])
    if not isinstance(blocks, list) or not blocks or not all(isinstance(block, dict) for block in blocks):
        found.append(Violation("gates", "must be one [[gates]] block or more"))
        return []
    return blocks


def _gate(path: str, block: dict[str, Any], found: list[Violation]) -> Gate | None:
    before = len(found)
    known = [each.name for each in fields(Gate)]
    found += [
        Violation(f"{path}.{key}", f"no such word; there are {', '.join(known)}") for key in block if key not in known
    ]
    name = block.get("measure")
    allowed = [word for word in MEANINGS if word not in OF_PAIRS]
    if name not in allowed:
        found.append(Violation(f"{path}.measure", f"must be one of {', '.join(allowed)}"))
    for key in ("attribute", "value"):
        if not isinstance(block.get(key, ""), str):
            found.append(Violation(f"{path}.{key}", "must be text"))
    given = [word for word in LIMITS if word in block]
    if len(given) != 1:
        found.append(Violation(path, f"must have exactly one of {', '.join(LIMITS)}, has {len(given)}"))
    for word in given:
        reason = _wrong_limit(word, block[word], MEANINGS.get(str(name)))
        found += [Violation(f"{path}.{word}", reason)] if reason else []
    by = block.get("by", [])
    if not isinstance(by, list) or not set(map(str, by)) <= set(DIMENSIONS):
        found.append(Violation(f"{path}.by", f"must be a list of {', '.join(DIMENSIONS)}"))
    return None if len(found) > before else Gate(**{**block, "by": tuple(by)})


def _wrong_limit(word: str, limit: Any, meaning: Meaning | None) -> str:
    """Why no such limit can be meant: everything would clear it, or nothing."""
    if not _is_number(limit):
        return "must be a number"
    if meaning is None:
        return ""
    low, high = meaning.low, meaning.high
    if word.startswith("change"):
        low, high = low - high, high - low
    if low <= limit <= high:
        return ""
    of_shares = "; shares are written as 0.05, not as 5" if meaning.percent else ""
    ends = f"from {low:g} to {high:g}" if np.isfinite(high) else f"of at least {low:g}"
    return f"must be a number {ends}, as nothing else can occur{of_shares}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
