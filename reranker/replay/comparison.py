"""Everything that can be said of two policies on the same requests, and its plain form for files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from reranker.errors import InvalidInput, Violation
from reranker.replay.accounts import (
    GroupAccount,
    Payers,
    Price,
    SlotShares,
    group_accounts,
    payers_of,
    price_of,
    quantiles,
    slot_shares,
)
from reranker.replay.bootstrap import DRAWS, Column, Interval, intervals
from reranker.replay.contrasts import HEADLINES, Contrast, contrasts, measures_of, together
from reranker.replay.gates import DEFAULT, Check, Gates, Outcome, check_gates, verdict
from reranker.replay.results import Deficit, Results
from reranker.replay.slices import everything, slices_of
from reranker.replay.words import MEANINGS, Measure

if TYPE_CHECKING:
    from reranker.replay.noisy import UnderNoise


@dataclass(frozen=True, slots=True)
class SliceSize:
    """One slice of the traffic; `is_small` where no gate could pass on so few requests."""

    dimension: str
    value: str
    requests: int
    is_small: bool


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two policies of a run. All intervals outside `checks` are at `level`, each by itself."""

    baseline: str
    candidate: str
    requests: int
    level: float
    seed: int
    outcome: Outcome
    checks: tuple[Check, ...]
    overall: tuple[Contrast, ...]
    sliced: tuple[Contrast, ...]
    slices: tuple[SliceSize, ...]
    together: Mapping[str, Interval]
    price: Price | None
    groups: tuple[GroupAccount, ...]
    slots: tuple[SlotShares, ...]
    payers: tuple[Payers, ...]
    deficits: Mapping[str, tuple[Deficit, ...]]
    statuses: Mapping[str, Mapping[str, int]]
    refusals: Mapping[str, Mapping[str, int]]
    latency: Mapping[str, Mapping[str, float]]
    label_noise: tuple[UnderNoise, ...] = ()
    """The same under label noise, where that was asked for (`noisy.under_noise`)."""

    @property
    def every_check(self) -> list[tuple[str, Check]]:
        """All checks with how labels are wrong there, "" where they are taken as they are: those come first."""
        noisy = [(level.noise, check) for level in self.label_noise for check in (*level.checks, *level.gains)]
        return [*(("", check) for check in self.checks), *noisy]

    def of(self, name: str, attribute: str = "", value: str = "") -> Contrast | None:
        """One measure over all requests."""
        wanted = Measure(name, attribute, value)
        return next((contrast for contrast in self.overall if contrast.measure == wanted), None)


def compare(
    results: Results,
    baseline: str,
    candidate: str,
    *,
    gates: Gates = DEFAULT,
    level: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
) -> Comparison:
    """Compare two policies of a run by their labels. Raises `InvalidInput` for a label that the run does not have.

    A pure function: equal results and seed give an equal comparison.
    """
    unknown = [label for label in (baseline, candidate) if label not in results.answers]
    if unknown or baseline == candidate:
        known = ", ".join(map(repr, results.answers))
        reason = f"the run has no {unknown[0]!r}" if unknown else "must be two different policies"
        raise InvalidInput([Violation("policies", f"{reason}; it has {known}")])
    one, other = results.answers[baseline], results.answers[candidate]
    whole, parts = everything(results.traffic), slices_of(results.traffic)
    overall = contrasts(one, other, measures_of(one, other), [whole], level=level, noise=True, seed=seed, draws=draws)
    sliced = contrasts(one, other, measures_of(one, other, HEADLINES), parts, level=level, seed=seed, draws=draws)
    checks = check_gates(gates, one, other, whole, parts, seed=seed, draws=draws)
    pairs = together(results, baseline, candidate)
    columns = [Column(values, MEANINGS[key.name].low, MEANINGS[key.name].high) for key, values in pairs.items()]
    found = intervals(columns, [level] * len(columns), seed=seed, draws=draws)
    shown = [label for label in dict.fromkeys(("upstream", baseline, candidate)) if label in results.answers]
    both = {label: results.answers[label] for label in (baseline, candidate)}
    return Comparison(
        baseline,
        candidate,
        len(results.traffic),
        level,
        seed,
        verdict(checks),
        tuple(checks),
        tuple(overall),
        tuple(sliced),
        tuple(
            SliceSize(part.dimension, part.value, part.requests, part.requests < gates.min_requests) for part in parts
        ),
        {key.name: interval for key, interval in zip(pairs, found, strict=True)},
        price_of(results, candidate, level=level, seed=seed, draws=draws),
        tuple(group_accounts(results, baseline, candidate)),
        tuple(slot_shares(results, shown)),
        tuple(payers_of(results, baseline, candidate)),
        {label: answers.deficits for label, answers in both.items()},
        {label: dict(answers.statuses) for label, answers in both.items()},
        {label: dict(answers.refusals) for label, answers in both.items()},
        {label: quantiles(answers.microseconds) for label, answers in both.items()},
    )


def plain(thing: Any) -> Any:
    """Dataclasses as what JSON knows: enums by value, measures as text, NaN as null."""
    if isinstance(thing, Measure):
        return str(thing)
    if isinstance(thing, Enum):
        return thing.value
    if is_dataclass(thing):
        return {field.name: plain(getattr(thing, field.name)) for field in fields(thing)}
    if isinstance(thing, Mapping):
        return {str(key): plain(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [plain(value) for value in thing]
    if isinstance(thing, np.generic):
        return plain(thing.item())
    if isinstance(thing, float) and not math.isfinite(thing):
        return None
    return thing
