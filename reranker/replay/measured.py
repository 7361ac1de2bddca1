"""What slates are worth to a comparison: every policy by the same yardstick, measured as in `reranker.measures`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reranker.candidates import Candidates
from reranker.policy import Policy
from reranker.policy.compile import compiled
from reranker.replay.columns import MOST_VALUES, TIMES, Column, column_of, crossed
from reranker.replay.groups import add_groups
from reranker.replay.lists import Lists, Slates, ToMeasure
from reranker.replay.numbers import Numbers
from reranker.replay.presences import NOBODY, Presences, in_order, presences_of, together
from reranker.replay.segments import Indices, Mask
from reranker.replay.vocabulary import Vocabulary
from reranker.replay.worth import add_worth

__all__ = ["MOST_VALUES", "TIMES", "UNKNOWN", "MeasuredLists", "Yardstick"]

UNKNOWN = ""
"""The value of an item of which none is known."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """How slates are measured, whatever policy made them; else a policy would be judged by its own words.

    `attributes` are measured beside those that requests bring targets for; none: every small one that is carried.
    """

    attributes: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    domains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    score_zero: float | None = None

    @classmethod
    def of(cls, policies: Iterable[Policy], more: Sequence[str] = ()) -> Yardstick:
        """What these policies name, each word as the first policy that has it means it; and `more` attributes."""
        names: dict[str, None] = {}
        thresholds: dict[str, float] = {}
        domains: dict[str, tuple[str, ...]] = {}
        zero: float | None = None
        for policy in policies:
            rules = compiled(policy, 1)
            names.update(dict.fromkeys((*rules.named_attributes, *rules.soft_attributes)))
            for name, rule in rules.label_rules.items():
                thresholds.setdefault(name, rule.threshold)
            for name, values in rules.wanted_values().items():
                domains.setdefault(name, values)
            if zero is None and rules.score_zero_given:
                zero = rules.score_zero
        names.update(dict.fromkeys(more))
        return cls(tuple(names), thresholds, domains, zero)

    def named(self, candidates: Candidates) -> tuple[str, ...]:
        """The attributes to measure on one list."""
        if self.attributes:
            return self.attributes
        return tuple(name for name, column in candidates.attributes.items() if len(column.values) <= MOST_VALUES)


class MeasuredLists:
    """Some candidate lists, laid out once for the slates of all policies. `targets` are those of each one's request.

    What is found of a slate does not depend on which others are measured with it, to the last bit.
    """

    def __init__(
        self,
        candidates: Sequence[Candidates],
        targets: Sequence[Mapping[str, Mapping[str, float]]],
        yardstick: Yardstick,
        vocabulary: Vocabulary,
    ) -> None:
        self._vocabulary = vocabulary
        self._lists = Lists(candidates, yardstick.score_zero)
        names = [
            list(dict.fromkeys((*yardstick.named(own), *declared)))
            for own, declared in zip(candidates, targets, strict=True)
        ]
        every = list(dict.fromkeys(name for own in names for name in own))
        singles = [
            column_of(
                name,
                self._lists,
                np.array([own.index(name) if name in own else -1 for own in names], np.intp),
                targets,
                yardstick.domains.get(name, ()),
                yardstick.thresholds.get(name, 0.5),
                vocabulary,
            )
            for name in every
        ]
        pairs = [
            crossed(one, other, len(every), vocabulary) for one in singles for other in singles if one is not other
        ]
        self._columns: list[Column] = [*singles, *(pair for pair in pairs if pair is not None)]

    def measure(self, made: Sequence[ToMeasure], rows: Indices, numbers: Numbers) -> Presences:
        """What slates of the lists are worth goes into `numbers`.

        `rows`, ascending, are what the slates are called there and in what is returned: who stands where, by row.
        """
        slates = Slates(self._lists, made)
        add_worth(numbers, slates, rows)
        guarded = self._guarded(slates)
        found, keys = [], []
        for column in self._columns:
            listed = add_groups(numbers, slates, column, rows, guarded)
            presences, key = presences_of(listed, rows, self._vocabulary.number(column.attribute))
            found.append(presences)
            keys.append(key)
        if not found:
            return NOBODY
        joined = together(found)
        return in_order(joined, np.lexsort((np.concatenate(keys), joined.row)))

    def _guarded(self, slates: Slates) -> Mask | None:
        """Who of the slates' pool may be lifted: guard-passers and the upstream top; None where nobody has a guard."""
        policies = {id(each.policy): each.policy for each in slates.made if each.policy is not None}
        passes = {key: self._lists.may_be_lifted(policy) for key, policy in policies.items()}
        if all(own is None for own in passes.values()):
            return None
        pool, candidates = slates.pool
        may = np.ones(pool.total, bool)
        for key, own in passes.items():
            if own is not None:
                of_policy = np.array([id(each.policy) == key for each in slates.made], bool)[pool.owner]
                may[of_policy] = own[candidates[of_policy]]
        return may | (self._lists.rank[candidates] < slates.slots.lengths[pool.owner])
