"""What goes out: positions, gains, report, explanations. The same words as `proto/reranker/v1/slate.proto`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.texts import escaped


class SlateStatus(StrEnum):
    """How the hard bounds fared."""

    SATISFIED = "SATISFIED"
    SUPPLY_LIMITED = "SUPPLY_LIMITED"
    RELAXED_MINIMAL = "RELAXED_MINIMAL"
    RELAXED_BEST_EFFORT = "RELAXED_BEST_EFFORT"
    STRICT_UPSTREAM = "STRICT_UPSTREAM"
    NOT_TRIGGERED = "NOT_TRIGGERED"


class QuotaTier(StrEnum):
    """How strong the guarantee behind the quotas is."""

    NONE = "NONE"
    LOWER_EXACT = "LOWER_EXACT"
    PARTITION_EXACT = "PARTITION_EXACT"
    FLOW_EXACT = "FLOW_EXACT"
    HEURISTIC = "HEURISTIC"


class Rung(StrEnum):
    """What made a slate, by the time that was left: the first is what the policy asks for, each next one is faster."""

    WHOLE = "WHOLE"
    WINDOW = "WINDOW"
    MMR = "MMR"
    QUOTAS = "QUOTAS"
    UPSTREAM = "UPSTREAM"


class BoundKind(StrEnum):
    """What a bound counts."""

    LOWER = "LOWER"
    UPPER = "UPPER"
    WINDOW = "WINDOW"
    SIMILARITY = "SIMILARITY"


class OutcomeStatus(StrEnum):
    """How one bound fared."""

    MET = "MET"
    BROKEN = "BROKEN"
    SUSPENDED = "SUSPENDED"


class OutcomeReason(StrEnum):
    """Why a bound is broken or suspended."""

    SUPPLY = "SUPPLY"
    GUARD = "GUARD"
    CROWDING = "CROWDING"
    CONFLICT = "CONFLICT"
    PINNED = "PINNED"
    UNKNOWN_LABELS = "UNKNOWN_LABELS"
    LOW_COVERAGE = "LOW_COVERAGE"
    NO_TARGET = "NO_TARGET"
    REFINED = "REFINED"
    DEADLINE = "DEADLINE"


@dataclass(frozen=True, slots=True)
class QuotaOutcome:
    """What became of one bound. `required` and `achieved` are counts at the first failing prefix, else at the last.

    A bound on every value (WINDOW) names the value that breaks it first, and none when it holds. `crowded_slots` are
    the first and the last of the slots that floors together overfill, for the reason CROWDING; else (0, 0). `soft`
    outcomes never change the slate's status.
    """

    attribute: str
    value: str
    bound: BoundKind
    required: float
    achieved: float
    share: float
    first_failing_prefix: int
    status: OutcomeStatus
    reason: OutcomeReason | None
    over_fetch: int
    crowded_slots: tuple[int, int] = (0, 0)
    soft: bool = False

    @property
    def detail(self) -> str:
        """The outcome in a sentence, for the policy's owner."""
        who = escaped(f"{self.attribute} {self.value}".rstrip())
        if self.status == OutcomeStatus.SUSPENDED and self.reason:
            return f"{who}: {REASON_WORDS[self.reason]}"
        where = f" in the first {self.first_failing_prefix} slots" if self.first_failing_prefix else ""
        if self.bound == BoundKind.SIMILARITY:
            where = f" at slot {self.first_failing_prefix}" if self.first_failing_prefix else ""
        text = f"{who}: {_WANTED[self.bound]} {self.required:g}, has {self.achieved:g}{where}"
        if self.reason is None:
            return text
        why = REASON_WORDS[self.reason]
        if self.soft and self.reason == OutcomeReason.CONFLICT:
            why = "it is soft, and other things weighed more"
        if self.crowded_slots[1]:
            why = "more is asked of slots {} to {} than there are".format(*self.crowded_slots)
        more = f"; {self.over_fetch} more of them would do" if self.over_fetch and self.bound == BoundKind.LOWER else ""
        return f"{text}: {why}{more}"


_WANTED = {
    BoundKind.LOWER: "at least",
    BoundKind.UPPER: "at most",
    BoundKind.WINDOW: "no value more often than",
    BoundKind.SIMILARITY: "a cosine of at most",
}
REASON_WORDS = {
    OutcomeReason.SUPPLY: "too few candidates for it came in",
    OutcomeReason.GUARD: "too few candidates for it pass the guard",
    OutcomeReason.CROWDING: "more is asked of these slots than there are slots",
    OutcomeReason.CONFLICT: "another bound excludes it",
    OutcomeReason.PINNED: "items kept in their places break it",
    OutcomeReason.UNKNOWN_LABELS: "candidates without a label could have met it",
    OutcomeReason.LOW_COVERAGE: "too few labelled candidates to go by, so it does not apply",
    OutcomeReason.NO_TARGET: "the request named no target, so it does not apply",
    OutcomeReason.REFINED: "the user chose a value, so it does not apply",
    OutcomeReason.DEADLINE: "there was no time left to keep to it",
}
"""Why a bound is broken or suspended, in words that go on from its name."""


@dataclass(frozen=True, slots=True)
class GroupMeasures:
    """The measures of one attribute in one list; a measure is None where it has no meaning (nothing labelled)."""

    attribute: str
    values: tuple[str, ...]
    shares: tuple[float, ...]
    reference_shares: tuple[float, ...]
    reference_declared: bool
    label_coverage: float
    div: float | None
    div_ceiling: float | None
    div_ceiling_guarded: float | None
    min_skew: float | None
    max_skew: float | None
    ndkl: float | None
    value_coverage: float | None = None
    subtopic_recall: float | None = None
    alpha_ndcg: float | None = None
    err_ia: float | None = None
    entropy: float | None = None
    gini: float | None = None
    awrf: float | None = None
    exposure_parity: float | None = None
    in_group_fairness: float | None = None
    calibration_kl: float | None = None
    rnd: float | None = None
    rkl: float | None = None
    rrd: float | None = None


@dataclass(frozen=True, slots=True)
class ListMeasures:
    """The measures of one order; None where they have no meaning (one item, no embeddings)."""

    ndcg: float | None
    intra_list_average_distance: float | None
    intra_list_minimum_distance: float | None
    groups: Mapping[str, GroupMeasures]
    vendi_score: float | None = None
    log_determinant: float | None = None


@dataclass(frozen=True, slots=True)
class OrderMeasures:
    """How far the slate is from the upstream order; None where there is nothing to compare."""

    rank_biased_overlap: float | None = None
    kendall_tau: float | None = None
    mean_displacement: float | None = None
    max_displacement: int | None = None


@dataclass(frozen=True, slots=True)
class SlateMeasures:
    """The slate beside the upstream order at the same length, and how far one is from the other."""

    before: ListMeasures
    after: ListMeasures
    change: OrderMeasures = OrderMeasures()


@dataclass(frozen=True, slots=True)
class QuotaInfluence:
    """How a bound touched a pick: it kept `blocked` better candidates from the slot."""

    attribute: str
    value: str
    bound: BoundKind
    blocked: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one item stands in its slot; slots and ranks count from 1, displacement is upstream rank minus slot.

    `nearest_slot` is that of the most similar pick above it on this slate, of those in the window where mmr or dpp has
    one; 0 when there is none, and `nearest_similarity` is None.
    """

    slot: int
    gain: float
    relevance_part: float
    diversity_part: float
    upstream_rank: int
    displacement: int
    nearest_slot: int
    nearest_similarity: float | None
    pinned: bool
    rank_exhausted: bool
    forced_by: tuple[QuotaInfluence, ...]
    instead_of_rank: int
    text: str
    soft_part: float = 0.0


@dataclass(frozen=True, slots=True)
class SignalCounts:
    """What was missing in the request."""

    missing_embeddings: int = 0
    unknown_ids: int = 0
    absent_attributes: tuple[str, ...] = ()
    unknown_values: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RelevanceFloor:
    """What a relevance floor came to.

    `required` is the share of the best slate's relevance to keep, `diversity` the most diversity that does,
    `best_retained` the share of the upstream top's relevance that the best slate under the same quotas keeps.
    """

    required: float
    diversity: float
    best_retained: float | None


@dataclass(frozen=True, slots=True)
class ExposureOutcome:
    """What the exposure of one group over earlier requests asked of this slate.

    `target` is its share of attention by this request's target, `due` its share by the targets of earlier requests and
    `given` what it got, both over `half_life`. `price` is what its items gain, in units of the mean relevance of
    upstream's slate; below 0 they are held back.
    """

    attribute: str
    value: str
    target: float
    due: float
    given: float
    price: float
    half_life: str

    @property
    def detail(self) -> str:
        """The same in a sentence, for the policy's owner."""
        who = escaped(f"{self.attribute} {self.value}")
        gap = 100.0 * (self.due - self.given)
        side = "under" if gap > 0 else "over"
        what = "lifted" if self.price > 0 else "held back"
        return (
            f"exposure of {who}: {abs(gap):.1f} points {side} its target over {self.half_life}; its items are {what} "
            f"by {abs(self.price):.3g} of the relevance of upstream's slate"
        )


@dataclass(frozen=True)
class Report:
    """How the slate meets its policy. `measures` are computed on first access, from the arrays of this request.

    `exposure` is what earlier requests asked of this one, and `exposure_late` whether what is known of them is older
    than it should be. `rung` is WHOLE unless the deadline was too near for what the policy asks for.
    """

    status: SlateStatus
    tier: QuotaTier
    quotas: tuple[QuotaOutcome, ...]
    relevance_retained: float | None
    signals: SignalCounts
    notes: tuple[str, ...]
    policy_name: str
    policy_revision: str
    measure: Callable[[], SlateMeasures] = field(repr=False, compare=False)
    floor: RelevanceFloor | None = None
    exposure: tuple[ExposureOutcome, ...] = ()
    exposure_late: bool = False
    rung: Rung = Rung.WHOLE

    @cached_property
    def measures(self) -> SlateMeasures:
        """Measures of the upstream order and of the slate."""
        return self.measure()

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: the measures, computed now, in place of the request that they come from."""
        measures = self.measures
        return {**self.__dict__, "measures": measures, "measure": _Measured(measures)}


@dataclass(frozen=True)
class _Measured:
    """Measures that are known already, where a report holds the way to compute them."""

    measures: SlateMeasures

    def __call__(self) -> SlateMeasures:
        return self.measures


@dataclass(frozen=True, eq=False)
class Slate:
    """The answer.

    `positions` (int32) index into the candidates in slate order without duplicates; `gains` (float64) are the utilities
    at each pick; `explanations` has one entry a slot when they were asked for, else none. `cursor`, made on first
    access, continues the slate on the next page.
    """

    positions: NDArray[np.int32]
    gains: NDArray[np.float64]
    report: Report
    explanations: tuple[Explanation, ...]
    candidate_ids: Sequence[str | int] = field(repr=False, compare=False)
    make_cursor: Callable[[], bytes] = field(default=bytes, repr=False, compare=False)

    @cached_property
    def cursor(self) -> bytes:
        """What the next page's context has to carry: `Context(cursor=slate.cursor)`."""
        return self.make_cursor()

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: the cursor, made now, in place of the request that it comes from."""
        cursor = self.cursor
        return {**self.__dict__, "cursor": cursor, "make_cursor": bytes}

    @cached_property
    def ids(self) -> list[str | int]:
        """The picked ids in slate order."""
        return [self.candidate_ids[position] for position in self.positions.tolist()]

    def not_triggered(self) -> Slate:
        """The same slate, said to be the upstream order because no policy was triggered."""
        return replace(self, report=replace(self.report, status=SlateStatus.NOT_TRIGGERED))

    def __len__(self) -> int:
        return len(self.positions)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Slate):
            return NotImplemented
        arrays = np.array_equal(self.positions, other.positions) and np.array_equal(self.gains, other.gains)
        return arrays and self.report == other.report and self.explanations == other.explanations
