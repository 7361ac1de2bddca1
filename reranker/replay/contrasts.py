"""Two policies on the same requests: each measure of one beside the other's, and the change, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.measures import overlap, rank_biased_overlap
from reranker.replay.bootstrap import DRAWS, Column, Interval, halves, intervals
from reranker.replay.results import Answers, Results
from reranker.replay.slices import Slice
from reranker.replay.words import MEANINGS, Measure

Floats = NDArray[np.float64]

HEADLINES = (
    "answered",
    "bounds_met",
    "relevance_retained",
    "ndcg",
    "intra_list_average_distance",
    "div",
    "attention_gap",
    "attention",
    "attention_shortfall",
)
"""What is looked at in every slice; all other measures over all requests alone."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """One measure of two policies on the requests of a slice that have it under both.

    `change` is candidate minus baseline, request by request. `left_out` requests of the slice lack the measure under
    one policy or both. `noise` is by how much the baseline differs from itself between random halves of these requests:
    what other traffic alone could bring; NaN in slices.
    """

    measure: Measure
    slice: tuple[str, str]
    baseline: Interval
    candidate: Interval
    change: Interval
    left_out: int
    noise: float = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The numbers of one measure of two policies where both have it, (n,) with NaN elsewhere, and their difference."""

    baseline: Floats
    candidate: Floats
    change: Floats

    def of(self, places: NDArray[np.intp]) -> Pair:
        """The same of some of the requests."""
        return Pair(self.baseline[places], self.candidate[places], self.change[places])


def paired(measure: Measure, baseline: Answers, candidate: Answers, rows: NDArray[np.bool_]) -> Pair:
    """One measure on some of the requests: both columns are emptied where either policy has no number."""
    count = len(rows)
    none = np.full(count, np.nan)
    one, other = baseline.numbers.get(measure, none), candidate.numbers.get(measure, none)
    there = rows & ~np.isnan(one) & ~np.isnan(other)
    one, other = np.where(there, one, np.nan), np.where(there, other, np.nan)
    return Pair(one, other, other - one)


def column(measure: Measure, values: Floats) -> Column:
    """The numbers of one policy, with the measure's range."""
    meaning = MEANINGS[measure.name]
    return Column(values, meaning.low, meaning.high)


def change_column(measure: Measure, pair: Pair) -> Column:
    """Differences of two policies' numbers, with the range that they can have beside such numbers of the baseline."""
    meaning = MEANINGS[measure.name]
    known = pair.baseline[~np.isnan(pair.baseline)]
    if not len(known):
        return Column(pair.change)
    return Column(pair.change, meaning.low - float(known.max()), meaning.high - float(known.min()))


def measures_of(baseline: Answers, candidate: Answers, names: Iterable[str] | None = None) -> list[Measure]:
    """What either policy has a number of, in the order of `MEANINGS`."""
    order = {name: place for place, name in enumerate(MEANINGS)}
    wanted = set(MEANINGS if names is None else names)
    both = {measure for measure in (*baseline.numbers, *candidate.numbers) if measure.name in wanted}
    return sorted(both, key=lambda measure: (measure.attribute, order[measure.name], measure.value))


def contrasts(
    baseline: Answers,
    candidate: Answers,
    measures: Sequence[Measure],
    slices: Sequence[Slice],
    *,
    level: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
    noise: bool = False,
) -> list[Contrast]:
    """Every measure in every slice, slice by slice; also where no request of the slice has the measure."""
    found: list[Contrast] = []
    for part in slices:  # one after the other: each needs as many columns as there are measures
        found += _of_slice(baseline, candidate, measures, part, level, seed, draws, noise)
    return found


def _of_slice(
    baseline: Answers,
    candidate: Answers,
    measures: Sequence[Measure],
    part: Slice,
    level: float,
    seed: int,
    draws: int,
    noise: bool,
) -> list[Contrast]:
    places = np.flatnonzero(part.rows)  # no draw for requests of other slices: a small slice is soon done

    def pairs() -> Iterator[tuple[Measure, Pair]]:  # one at a time: three columns of a long run are all that is held
        return ((measure, paired(measure, baseline, candidate, part.rows).of(places)) for measure in measures)

    def columns() -> Iterator[Column]:
        for measure, pair in pairs():
            yield from (column(measure, pair.baseline), column(measure, pair.candidate), change_column(measure, pair))

    found = intervals(columns(), [level] * (3 * len(measures)), seed=seed, draws=draws)
    apart = halves((pair.baseline for _, pair in pairs()), seed=seed) if noise else [float("nan")] * len(measures)
    return [
        Contrast(
            measure,
            (part.dimension, part.value),
            baseline=found[3 * i],
            candidate=found[3 * i + 1],
            change=found[3 * i + 2],
            left_out=part.requests - found[3 * i + 2].requests,
            noise=apart[i],
        )
        for i, measure in enumerate(measures)
    ]


def together(results: Results, baseline: str, candidate: str) -> Mapping[Measure, Floats]:
    """What two slates of one request have together, (n,): NaN where either policy has none. Computed once a pair."""
    key = (baseline, candidate)
    if key not in results.pairs:
        results.pairs[key] = _together(results.answers[baseline], results.answers[candidate])
    return results.pairs[key]


def _together(baseline: Answers, candidate: Answers) -> dict[Measure, Floats]:
    count = len(baseline.positions)
    found = {
        Measure(name): np.full(count, np.nan) for name in ("changed", "overlap", "rank_biased_overlap", "displacement")
    }
    for i, (one, other) in enumerate(zip(baseline.positions, candidate.positions, strict=True)):
        if baseline.errors[i] or candidate.errors[i]:
            continue
        found[Measure("changed")][i] = float(not np.array_equal(one, other))
        for name, number in (
            ("overlap", overlap(one, other)),
            ("rank_biased_overlap", rank_biased_overlap(one, other)),
            ("displacement", _displacement(one, other)),
        ):
            if number is not None:
                found[Measure(name)][i] = number
    return found


def _displacement(one: NDArray[np.int32], other: NDArray[np.int32]) -> float | None:
    """Mean distance between the two slots of an item that both slates hold; None where they share none."""
    _, here, there = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return float(np.abs(here - there).mean()) if len(here) else None
