"""What variety and representation cost over a sweep: every setting a point, with its intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reranker.replay.bootstrap import DRAWS, Column, Interval, intervals
from reranker.replay.contrasts import column
from reranker.replay.measured import TIMES
from reranker.replay.plan import Entry
from reranker.replay.results import Results
from reranker.replay.words import Measure

COST = Measure("relevance_retained")
_GAINS = ("intra_list_average_distance",)
_OF_ATTRIBUTES = ("div", "attention_gap")


@dataclass(frozen=True, slots=True)
class Point:
    """One policy on the frontier: what it keeps of the relevance, and what it has for it, by measure."""

    label: str
    setting: tuple[tuple[str, float], ...]
    cost: Interval
    gains: dict[Measure, Interval]


def frontier(
    results: Results,
    entries: Sequence[Entry],
    candidate: str,
    *,
    level: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
) -> list[Point]:
    """The swept settings of one policy in the order of the sweep, and the policies that stand for themselves."""
    shown = [entry for entry in entries if entry.setting and entry.part_of == candidate]
    if not shown:
        return []
    shown += [entry for entry in entries if not entry.part_of]
    measures = [COST, *map(Measure, _GAINS)]
    measures += [Measure(name, of) for of in results.groups() if TIMES not in of for name in _OF_ATTRIBUTES]
    columns: list[Column] = []
    kept: list[tuple[Entry, Measure]] = []
    for entry in shown:
        numbers = results.answers[entry.label].numbers
        for measure in measures:
            if measure in numbers:
                columns.append(column(measure, numbers[measure]))
                kept.append((entry, measure))
    found = dict(zip(kept, intervals(columns, [level] * len(columns), seed=seed, draws=draws), strict=True))
    return [
        Point(
            entry.label,
            entry.setting,
            found[entry, COST],
            {measure: found[entry, measure] for measure in measures[1:] if (entry, measure) in found},
        )
        for entry in shown
        if (entry, COST) in found
    ]
