"""Who gains and who pays: the price by its causes, slots by group, the scores of lifted items, creators that lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.measures import slot_attention
from reranker.replay.bootstrap import DRAWS, Interval, intervals
from reranker.replay.contrasts import column
from reranker.replay.measured import TIMES, UNKNOWN
from reranker.replay.plan import DIVERSITY_ONLY, QUOTAS_ONLY
from reranker.replay.results import Answers, Presences, Results
from reranker.replay.words import Measure

_SLOTS = 50  # representation is shown down to here
_SHOWN = 20  # creators that lose, or gain, most
_RETAINED = Measure("relevance_retained")


@dataclass(frozen=True, slots=True)
class Price:
    """Share of the upstream top's relevance that a policy gives away, and how much of it by which cause.

    The upstream order gives away nothing. `interaction` is what both together cost beyond the sum of each alone.
    """

    both: Interval
    quotas_only: Interval
    diversity_only: Interval
    interaction: Interval


@dataclass(frozen=True, slots=True)
class GroupAccount:
    """One value over all requests: candidates and slots, and the relevance of who was lifted and who was dropped.

    Scores are shares of the best candidate's relevance, the mean of an item; NaN where there is none.
    """

    attribute: str
    value: str
    candidates: int
    baseline_slots: int
    candidate_slots: int
    lifted: int
    lifted_score: float
    dropped: int
    dropped_score: float


@dataclass(frozen=True, slots=True)
class SlotShares:
    """Who stands where: shares[label][s][v] of the items in slot s + 1 carry values[v]; unknown is "", and last."""

    attribute: str
    values: tuple[str, ...]
    shares: dict[str, list[list[float]]]


@dataclass(frozen=True, slots=True)
class Payer:
    """One provider, such as a creator: attention under both policies, over all requests, and in how many it changed."""

    value: str
    baseline: float
    candidate: float
    requests: int


@dataclass(frozen=True, slots=True)
class Payers:
    """How attention moves between the values of one attribute of many values."""

    attribute: str
    lose: int
    gain: int
    moved: float
    """Share of the baseline's attention that goes to others under the candidate."""
    losers: tuple[Payer, ...]
    gainers: tuple[Payer, ...]


def price_of(results: Results, label: str, *, level: float = 0.95, seed: int = 0, draws: int = DRAWS) -> Price | None:
    """The price of one policy by its causes; None where the run has not split it."""
    own = [results.answers.get(name) for name in (label, f"{label}, {QUOTAS_ONLY}", f"{label}, {DIVERSITY_ONLY}")]
    kept = [answers.numbers.get(_RETAINED) for answers in own if answers is not None]
    columns = [values for values in kept if values is not None]
    if len(columns) < 3:
        return None
    there = ~np.isnan(columns).any(axis=0)
    both, quotas, diversity = (np.where(there, 1.0 - values, np.nan) for values in columns)
    lost = [column(_RETAINED, values) for values in (both, quotas, diversity)]
    excess = both - quotas - diversity
    apart = intervals([*lost, type(lost[0])(excess, -2.0, 1.0)], [level] * 4, seed=seed, draws=draws)
    return Price(*apart)


def group_accounts(results: Results, baseline: Answers, candidate: Answers) -> list[GroupAccount]:
    """Every value of every attribute that is compared by group, small and unknown ones too; unknown last."""
    found = []
    for attribute in results.groups():
        one, other = (_totals(answers.presences, attribute) for answers in (baseline, candidate))
        values = sorted({*one, *other}, key=lambda value: (value == UNKNOWN, value))
        for value in values:
            before, after = one.get(value, _NONE), other.get(value, _NONE)
            found.append(
                GroupAccount(
                    attribute,
                    value,
                    max(before.supply, after.supply),
                    before.slots,
                    after.slots,
                    after.lifted,
                    after.lifted_score / after.lifted if after.lifted else float("nan"),
                    after.dropped,
                    after.dropped_score / after.dropped if after.dropped else float("nan"),
                )
            )
    return found


def slot_shares(results: Results, labels: Sequence[str]) -> list[SlotShares]:
    """Representation slot by slot of each of these policies, for every single attribute that is compared by group."""
    found = []
    for attribute in results.groups():
        if TIMES in attribute:
            continue
        some = [results.answers[label].presences for label in labels]
        carried = {str(value) for presences in some for value in presences.value[presences.of(attribute)]}
        values = sorted(carried, key=lambda value: (value == UNKNOWN, value))
        shares = {label: _by_slot(results.answers[label], attribute, values) for label in labels}
        found.append(SlotShares(attribute, tuple(values), shares))
    return found


def payers_of(results: Results, baseline: Answers, candidate: Answers) -> list[Payers]:
    """Who gains and loses attention among the values of each attribute of many values."""
    found = []
    for attribute in results.providers:
        before, after = (_attention(answers.presences, attribute) for answers in (baseline, candidate))
        keys = sorted({*before, *after})
        change: dict[str, float] = {}
        touched: dict[str, int] = {}
        sums: dict[str, list[float]] = {}
        for request, value in keys:
            one, other = before.get((request, value), 0.0), after.get((request, value), 0.0)
            total = sums.setdefault(value, [0.0, 0.0])
            total[0] += one
            total[1] += other
            change[value] = change.get(value, 0.0) + other - one
            touched[value] = touched.get(value, 0) + (one != other)
        ordered = sorted(change, key=lambda value: (change[value], value))
        rows = {value: Payer(value, sums[value][0], sums[value][1], touched[value]) for value in ordered}
        all_of_it = sum(total[0] for total in sums.values())
        lost = -sum(amount for amount in change.values() if amount < 0.0)
        found.append(
            Payers(
                attribute,
                sum(amount < -1e-9 for amount in change.values()),
                sum(amount > 1e-9 for amount in change.values()),
                lost / all_of_it if all_of_it else 0.0,
                tuple(rows[value] for value in ordered[:_SHOWN] if change[value] < -1e-9),
                tuple(rows[value] for value in ordered[: -_SHOWN - 1 : -1] if change[value] > 1e-9),
            )
        )
    return found


@dataclass(slots=True)
class _Total:
    """Sums over all requests of what one value has."""

    supply: int = 0
    slots: int = 0
    lifted: int = 0
    lifted_score: float = 0.0
    dropped: int = 0
    dropped_score: float = 0.0


_NONE = _Total()


def _totals(presences: Presences, attribute: str) -> dict[str, _Total]:
    totals: dict[str, _Total] = {}
    lengths = np.diff(presences.starts)
    for i in presences.of(attribute).tolist():
        total = totals.setdefault(str(presences.value[i]), _Total())
        total.supply += int(presences.supply[i])
        total.slots += int(lengths[i])
        total.lifted += int(presences.lifted[i])
        total.lifted_score += float(presences.lifted_score[i])
        total.dropped += int(presences.dropped[i])
        total.dropped_score += float(presences.dropped_score[i])
    return totals


def _by_slot(answers: Answers, attribute: str, values: Sequence[str]) -> list[list[float]]:
    """Share of each value in each slot. An item of several values counts once for each."""
    longest = min(max((len(slate) for slate in answers.positions), default=0), _SLOTS)
    counts = np.zeros((longest, len(values)))
    place = {value: at for at, value in enumerate(values)}
    presences = answers.presences
    for i in presences.of(attribute).tolist():
        slots = presences.slots[presences.starts[i] : presences.starts[i + 1]]
        counts[slots[slots <= longest] - 1, place[str(presences.value[i])]] += 1.0
    totals = counts.sum(axis=1, keepdims=True)
    shares: list[list[float]] = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0).tolist()
    return shares


def _attention(presences: Presences, attribute: str) -> dict[tuple[int, str], float]:
    """Attention by request and value."""
    entries = presences.of(attribute)
    longest = int(presences.slots.max(initial=0))
    attention = slot_attention(longest)
    found: dict[tuple[int, str], float] = {}
    for i in entries.tolist():
        slots = presences.slots[presences.starts[i] : presences.starts[i + 1]]
        if len(slots) and presences.value[i] != UNKNOWN:
            found[int(presences.request[i]), str(presences.value[i])] = float(attention[slots - 1].sum())
    return found


def quantiles(values: NDArray[np.float64], shares: Sequence[float] = (0.5, 0.9, 0.99, 1.0)) -> dict[str, float]:
    """Quantiles of what is there, by name such as p99; empty where nothing is."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {}
    return {f"p{100 * share:g}": float(np.quantile(known, share, method="higher")) for share in shares}
