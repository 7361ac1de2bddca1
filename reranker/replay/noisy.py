"""A comparison under label noise: whether what a policy gains survives that some labels are wrong.

The slates stay as the policies made them, of the labels that they had; measured again is what those slates are worth,
by labels that may be the true ones. The interval of each check covers both: which requests there were, and what the
labels hide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from reranker.attributes import AttributeColumn
from reranker.candidates import Candidates
from reranker.codec import DecodedRequest
from reranker.measures import attention_gap, attention_shares, awrf, div, ndkl, skews
from reranker.measures.attribute import MeasuredAttribute
from reranker.replay.bootstrap import DRAWS, Sums, pooled_intervals
from reranker.replay.comparison import Comparison
from reranker.replay.gates import Check, Gate, Gates, Key, Outcome, draws_for, keys_of, outcome_of, verdict
from reranker.replay.noise import IMPUTATIONS, LabelNoise, drawn
from reranker.replay.one import Replayer
from reranker.replay.plan import Plan
from reranker.replay.results import Results
from reranker.replay.slices import everything, slices_of
from reranker.replay.survey import Traffic
from reranker.replay.words import MEANINGS, Measure
from reranker.signals import Catalog
from reranker.v1.request_log_pb2 import RequestLog

Floats = NDArray[np.float64]

MOST_REQUESTS = 20_000
"""Of longer runs every so many-th request is measured again."""
_UNITS = 2_000
_GAINS = ("div", "attention_gap")
_MEASURED = ("div", "attention_gap", "ndkl", "awrf", "min_skew", "max_skew", "attention", "attention_shortfall")


@dataclass(frozen=True, slots=True)
class UnderNoise:
    """The verdict where labels are wrong in one way. `checks` are the gates again, `gains` what has to be left of them.

    `left_alone` are attributes whose labels could not be drawn, as items have several values.
    """

    noise: str
    outcome: Outcome
    checks: tuple[Check, ...]
    gains: tuple[Check, ...]
    requests: int
    imputations: int
    left_alone: tuple[str, ...]


def under_noise(
    found: Comparison,
    results: Results,
    plan: Plan,
    traffic: Traffic,
    noises: Sequence[LabelNoise],
    *,
    gates: Gates,
    catalog: Catalog | None = None,
    seed: int = 0,
    imputations: int = IMPUTATIONS,
) -> Comparison:
    """The comparison with `label_noise`, and the worst of all verdicts as its own. Raises as reading the traffic does.

    Each way of being wrong has a verdict of its own, corrected for its own checks: the whole passes only where all do.
    """
    levels = [_Level.of(noise, found, results, gates, imputations) for noise in noises]
    replayer = Replayer(plan, catalog)
    for place, record in _chosen(results, traffic):
        decoded = replayer.decoded(RequestLog.FromString(record))
        if isinstance(decoded, str):
            continue
        slates = [results.answers[label].positions[place] for label in (found.baseline, found.candidate)]
        if any(results.answers[label].errors[place] for label in (found.baseline, found.candidate)):
            continue
        for level in levels:
            level.add(place, decoded, slates, plan, seed)
    told = tuple(level.told(gates, seed) for level in levels)
    outcomes = [each.outcome for each in told]
    worst = next((o for o in (Outcome.FAIL, Outcome.INSUFFICIENT) if o in (found.outcome, *outcomes)), Outcome.PASS)
    return replace(found, label_noise=told, outcome=worst)


def _chosen(results: Results, traffic: Traffic) -> Iterator[tuple[int, bytes]]:
    """Places among the requests of the run, and their records; reads no further than the last of them."""
    every = -(-len(results.traffic) // MOST_REQUESTS)
    wanted = {int(ordinal): place for place, ordinal in enumerate(results.traffic.ordinals) if place % every == 0}
    for ordinal, record in enumerate(islice(traffic.records(), max(wanted, default=-1) + 1)):
        if ordinal in wanted:
            yield wanted[ordinal], record


@dataclass(slots=True, eq=False)
class _Level:
    """One way of being wrong, while requests are read."""

    noise: LabelNoise
    imputations: int
    values: Mapping[str, tuple[str, ...]]
    truth: Mapping[str, Floats]
    keys: list[Key]
    gains: int
    """How many of the keys, the last of them, are gains."""
    sums: Floats  # (keys, imputations, units)
    counts: Floats
    ends: Floats  # (keys, 2): the least and the largest number of the baseline
    requests: int
    left_alone: set[str]

    @classmethod
    def of(cls, noise: LabelNoise, found: Comparison, results: Results, gates: Gates, imputations: int) -> _Level:
        labelled: dict[str, dict[str, int]] = {}
        for group in found.groups:
            if group.value and noise.concerns(group.attribute) and group.attribute in results.groups():
                labelled.setdefault(group.attribute, {})[group.value] = group.candidates
        values = {name: noise.values(name, tuple(counts)) for name, counts in labelled.items()}
        truth = {
            name: noise.truth(name, own, [labelled[name].get(value, 0) for value in own])
            for name, own in values.items()
        }
        one, other = results.answers[found.baseline], results.answers[found.candidate]
        whole = everything(results.traffic)
        keys = [
            key
            for key in keys_of(gates, one, other, whole, slices_of(results.traffic))
            if key[1].attribute in values and key[1].name in _MEASURED
        ]
        gains = [(gate, measure, whole) for gate, measure in _gains(found, gates, values)]
        shape = (len(keys) + len(gains), imputations, min(len(results.traffic), _UNITS))
        ends = np.tile([np.inf, -np.inf], (shape[0], 1))
        return cls(
            noise, imputations, values, truth, [*keys, *gains], len(gains), np.zeros(shape), np.zeros(shape), ends, 0,
            set(),
        )  # fmt: skip

    def add(
        self, place: int, decoded: DecodedRequest, slates: Sequence[NDArray[np.int32]], plan: Plan, seed: int
    ) -> None:
        """One request whose two slates are known."""
        self.requests += 1
        numbers = [dict[Measure, Floats]() for _ in slates]
        for name in self.values:
            self._measure(numbers, name, decoded, slates, plan, seed)
        unit = place % self.sums.shape[2]
        none = np.full(self.imputations, np.nan)
        for at, (gate, measure, part) in enumerate(self.keys):
            if not part.rows[place]:
                continue
            before, after = (side.get(measure, none) for side in numbers)
            own = after - before if gate.is_of_change else after
            there = ~np.isnan(own)
            self.sums[at, there, unit] += own[there]
            self.counts[at, there, unit] += 1.0
            if gate.is_of_change and there.any():
                self.ends[at, 0] = min(self.ends[at, 0], float(before[there].min()))
                self.ends[at, 1] = max(self.ends[at, 1], float(before[there].max()))

    def _measure(
        self,
        numbers: Sequence[dict[Measure, Floats]],
        name: str,
        decoded: DecodedRequest,
        slates: Sequence[NDArray[np.int32]],
        plan: Plan,
        seed: int,
    ) -> None:
        """Both slates by every draw of the true labels of one attribute."""
        yardstick, candidates = plan.yardstick, decoded.candidates
        column = candidates.attributes.get(name)
        if column is None:
            return
        hard = column.hard(yardstick.thresholds.get(name, 0.5))
        if hard.offsets is not None:
            self.left_alone.add(name)
            return
        place = {value: at for at, value in enumerate(self.values[name])}
        own = np.array([-1, *(place.get(value, -1) for value in hard.values)], np.int64)[hard.codes]
        declared = (decoded.context.targets or {}).get(name)
        domain = yardstick.domains.get(name, ())
        for m, labels in enumerate(drawn(self.truth[name], own, candidates.ids, name, seed, self.imputations)):
            true = {name: AttributeColumn(self.values[name], labels + np.int32(1))}
            group = MeasuredAttribute.of(
                Candidates.from_columns(candidates.ids, candidates.scores, {}, true), name, declared, domain, 0.5
            )
            for side, positions in zip(numbers, slates, strict=True):
                for measure, number in measured(group, positions).items():
                    side.setdefault(measure, np.full(self.imputations, np.nan))[m] = number

    def told(self, gates: Gates, seed: int) -> UnderNoise:
        """What is sure, after the last request."""
        checks: list[Check] = []
        spread = 1.0 - gates.significance / max(len(self.keys), 1)
        draws = draws_for(len(self.keys), gates, DRAWS)
        for at, (gate, measure, part) in enumerate(self.keys):
            meaning = MEANINGS[measure.name]
            low, high = meaning.low, meaning.high
            if gate.is_of_change:
                low, high = low - self.ends[at, 1], high - self.ends[at, 0]
            imputed = [
                Sums(sums[:, None], counts[:, None], np.array([low]), np.array([high]))
                for sums, counts in zip(self.sums[at], self.counts[at], strict=True)
            ]
            interval = pooled_intervals(imputed, spread, seed=seed, draws=draws)
            outcome = outcome_of(gate, interval, gates.min_requests)
            checks.append(Check(gate, measure, (part.dimension, part.value), interval, outcome))
        own, gains = checks[: len(checks) - self.gains], checks[len(checks) - self.gains :]
        return UnderNoise(
            self.noise.name, verdict(checks), tuple(own), tuple(gains), self.requests, self.imputations,
            tuple(sorted(self.left_alone)),
        )  # fmt: skip


def _gains(found: Comparison, gates: Gates, attributes: Mapping[str, object]) -> Iterator[tuple[Gate, Measure]]:
    """What the candidate gains for sure by the labels as they are: so much of it has to be left."""
    for attribute in attributes:
        for name in _GAINS:
            contrast = found.of(name, attribute)
            if contrast is None or not contrast.change.requests:
                continue
            change, limit = contrast.change, gates.gain_kept * contrast.change.mean
            if MEANINGS[name].better > 0 and change.low > 0.0:
                yield Gate(measure=name, attribute=attribute, change_at_least=limit), contrast.measure
            elif MEANINGS[name].better < 0 and change.high < 0.0:
                yield Gate(measure=name, attribute=attribute, change_at_most=limit), contrast.measure


def measured(group: MeasuredAttribute, positions: NDArray[np.int32]) -> dict[Measure, float]:
    """What a slate is worth to one attribute: the numbers that `MeasuredLists` has of the same labels."""
    name, listed = group.attribute, group.members.of(positions)
    skew = skews(listed, group.reference) or (None, None)
    of_attribute = {
        "div": div(listed.first(group.asked)),
        "attention_gap": attention_gap(listed, group.reference),
        "ndkl": ndkl(listed, group.reference),
        "awrf": awrf(listed, group.reference),
        "min_skew": skew[0],
        "max_skew": skew[1],
    }
    numbers = {Measure(key, name): number for key, number in of_attribute.items() if number is not None}
    received = attention_shares(listed)
    if received is None:
        return numbers
    supply = group.members.counts.tolist()
    for value, share, due, carried in zip(
        group.values, received.tolist(), group.reference.tolist(), supply, strict=True
    ):
        if not carried and not due > 0.0:
            continue
        numbers[Measure("attention", name, value)] = min(share, 1.0)
        if due == due:
            numbers[Measure("attention_shortfall", name, value)] = max(0.0, due - share)
    return numbers
