"""How what the ledger knows enters one request: as prices on its candidates, or as quotas where it knows nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn
from reranker.context import Context
from reranker.engine.listing import Listing
from reranker.exposure import controller
from reranker.exposure.controller import Group, Steering
from reranker.exposure.receipt import attention_to
from reranker.exposure.tally import Served, Tally, TallyBoard, TallyKey
from reranker.measures.groups import earlier_equals
from reranker.policy.blocks import Block
from reranker.policy.compile import CompiledPolicy
from reranker.policy.exposure import Exposure
from reranker.quotas.active import shares_of_target
from reranker.quotas.pool import Pool, grouped
from reranker.slate import ExposureOutcome
from reranker.texts import escaped


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a request may know of those before it: the ledger's `board`, None without one, and its experiment's arm."""

    board: TallyBoard | None = None
    arm: str = ""


@dataclass(slots=True, eq=False)
class _Steered:
    """One `[[exposure]]` block in one request. `steering` is None where it is kept to as a quota; `why` says so.

    `memory` is what the ledger last knew, to be handed back where it was not acted upon.
    """

    rules: Exposure
    key: TallyKey
    column: AttributeColumn
    shares: dict[str, float]
    steering: Steering | None
    memory: Steering | None
    why: str


class Steer:
    """The `[[exposure]]` blocks of one request over its candidates."""

    def __init__(self, rules: CompiledPolicy, pool: Pool, listing: Listing, outlook: Outlook) -> None:
        self._rules, self._pool, self._listing = rules, pool, listing
        self._age = outlook.board.age if outlook.board is not None else 0.0
        self._blocks: list[_Steered] = []
        for exposure in rules.exposure:
            steered = None if exposure.attribute in listing.refined else self._steered(exposure, outlook)
            if steered is not None:
                self._blocks.append(steered)

    @property
    def alone(self) -> tuple[Block, ...]:
        """The targets that this request keeps to by itself, as quotas, those included that turn out to be none."""
        acted = {id(steered.rules) for steered in self._blocks if steered.steering is not None}
        return tuple(exposure.alone for exposure in self._rules.exposure if id(exposure) not in acted)

    @property
    def is_late(self) -> bool:
        """Whether the ledger's view is older than it should be."""
        return bool(self._rules.exposure) and self._age > controller.SOME_LATE

    @property
    def notes(self) -> tuple[str, ...]:
        """Why a target is kept to in this slate alone; names no values."""
        if not self._blocks:
            return ()
        return tuple(
            f"exposure of {escaped(steered.rules.attribute)}: {steered.why}, so its target is a quota on this slate"
            for steered in self._blocks
            if steered.why
        )

    @cached_property
    def lift(self) -> NDArray[np.float64] | None:
        """Each candidate's price, float64 (N,), upstream order, in units of upstream's mean; None where all are 0.

        The band is kept here: of a group no more items are lifted than its share and the band make, its best ones. The
        others have the least price of any group, so that beside no group they are lifted.
        """
        lift: NDArray[np.float64] | None = None
        for steered in self._blocks:
            groups = steered.steering.groups if steered.steering is not None else {}
            if any(group.price for group in groups.values()):
                own = self._lift_of(steered, groups)
                lift = own if lift is None else lift + own
        return lift

    def _lift_of(self, steered: _Steered, groups: Mapping[str, Group]) -> NDArray[np.float64]:
        codes, values, offsets = steered.column.codes, steered.column.values, steered.column.offsets
        price, beyond = np.zeros(len(values) + 1), np.zeros(len(values) + 1)
        most = np.zeros(len(values) + 1, np.int64)
        least = min(group.price for group in groups.values())
        for code, value in enumerate(values, start=1):
            group = groups.get(value)
            if group is not None:
                price[code], beyond[code] = group.price, least
                most[code] = self._most(group.share + steered.rules.band)
        if offsets is None and len(groups) <= _FEW:
            lift = price.take(codes)
            for code in np.flatnonzero(price > beyond).tolist():
                lift[np.flatnonzero(codes == code)[most[code] :]] = least
            return lift
        earlier = earlier_equals(codes.astype(np.intp))
        lift = np.where(earlier < most[codes], price[codes], beyond[codes])
        if offsets is None:
            return lift
        lifted = np.zeros(len(self._pool))
        np.add.at(lifted, np.repeat(np.arange(len(self._pool)), np.diff(offsets)), lift)
        return lifted

    @cached_property
    def unit(self) -> float:
        """What a price of 1 is in normalised relevance: what the mean of upstream's slate has above no relevance."""
        falling, scores, slots = self._listing.falling, self._listing.own_falling, self._pool.slots
        if not slots or falling[0] == falling[-1]:
            return 1.0
        zero = self._rules.score_zero
        if not self._rules.score_zero_given:
            zero = min(0.0, float(falling[-1]))  # scores without a zero: the least candidate has no relevance
        above = [max(0.0, score - zero) for score in scores[:slots].tolist()]
        unit = sum(above) / len(above) / (float(falling[0]) - float(falling[-1]))
        return unit if math.isfinite(unit) else 1.0

    def bonus(self, relevance: NDArray[np.float64], diversity: float, strategy: str) -> NDArray[np.float64] | None:
        """What prices add to every candidate's utility: float64 (N,); `relevance` normalised, upstream order.

        Beside diversity, whose gains are about 1, a price of 1 is 1; those of `cover` grow with the candidates.
        """
        if not self._blocks or self.lift is None or not len(relevance):
            return None
        span = float(relevance[0] - relevance[-1]) or 1.0
        gains = len(self._pool) if strategy == "cover" else 1.0
        return self.lift * ((1.0 - diversity) * span * self.unit + diversity * gains)

    def why(self, candidate: int, sign: float) -> tuple[str, str]:
        """Attribute and value of the dearest price of this `sign` on a candidate; empty where it has none."""
        found, largest = ("", ""), 0.0
        for steered in self._blocks:
            groups = steered.steering.groups if steered.steering is not None else {}
            for value in _shown(steered.column, np.array([candidate]))[0]:
                price = sign * groups[value].price if value in groups else 0.0
                if price > largest:
                    found, largest = (steered.rules.attribute, value), price
        return found

    def outcomes(self) -> tuple[ExposureOutcome, ...]:
        """What was asked of this slate, and why."""
        if not self._blocks:
            return ()
        return tuple(
            ExposureOutcome(
                attribute=steered.rules.attribute,
                value=value,
                target=group.share,
                due=group.due,
                given=group.given,
                price=group.price,
                half_life=steered.rules.half_life_text,
            )
            for steered in self._blocks
            if steered.steering is not None
            for value, group in steered.steering.groups.items()
        )

    def served(self, picks: NDArray[np.int32], before: int, *, followed: bool) -> tuple[Served, ...]:
        """What the finished slate gave, for the ledger; `picks` are upstream ranks from 0, `before` earlier items.

        Prices that were not `followed`, because the answer is the upstream order, were not in force.
        """
        if not self._blocks or self._listing.refined:
            return ()
        zero = self._rules.score_zero
        worth = tuple(max(0.0, score - zero) for score in self._listing.own_falling[picks].tolist())
        return tuple(self._served(steered, picks, before, worth, followed) for steered in self._blocks)

    def _served(
        self, steered: _Steered, picks: NDArray[np.int32], before: int, worth: tuple[float, ...], followed: bool
    ) -> Served:
        values, steering = _shown(steered.column, picks), steered.steering if followed else None
        got, shares = _got(values, before), steered.shares
        behind = [value for value, group in steering.groups.items() if group.behind] if steering is not None else []
        is_partial = sum(shares.values()) < 1.0 - _NOISE
        left = self._left(steered.column, picks) if behind or is_partial else frozenset()
        if is_partial and left <= shares.keys():
            shares = controller.without_others(shares, got)
        shares, prices = controller.in_force(steering, shares, got, [value for value in behind if value not in left])
        known = steered.steering or steered.memory
        if steering is None and known is not None:
            prices = known.memory
        return Served(steered.key, steered.rules.half_life, before, values, worth, shares, prices)

    def _steered(self, exposure: Exposure, outlook: Outlook) -> _Steered | None:
        column = self._pool.columns.get(exposure.attribute)
        if column is None:
            return None
        if self._rules.label_rule(exposure.attribute).unknown == "group":
            column = grouped(column)
        shares = self._shares(exposure)
        if not shares:
            return None
        key = _key(exposure, self._rules, self._listing.context, outlook.arm)
        if outlook.board is None:
            return _Steered(exposure, key, column, shares, None, None, "no ledger is known")
        known = _steering(exposure, key, outlook.board.tally(key, exposure.half_life), shares)
        if self._age > controller.too_late(exposure.half_life):
            return _Steered(exposure, key, column, shares, None, known, "what is known of earlier requests is too old")
        why = "" if known is not None else "too little is known of earlier requests"
        return _Steered(exposure, key, column, shares, known, None, why)

    def _shares(self, exposure: Exposure) -> dict[str, float] | None:
        if exposure.shares is not None:
            return dict(exposure.shares)
        found = shares_of_target(self._rules, exposure.alone, self._pool, self._listing.context.targets)
        if found is None:
            return None
        whole = max(1.0, float(sum(found.values())))  # of items with several values, shares of the pool are more than 1
        return {value: float(share) / whole for value, share in found.items()}

    def _most(self, share: float) -> int:
        """How many slots a share comes to, rounded up."""
        return math.ceil(self._pool.slots * min(1.0, share) - 1e-9)

    def _left(self, column: AttributeColumn, picks: NDArray[np.int32]) -> frozenset[str]:
        """Values of candidates that could have been shown and were not."""
        could = self._pool.release <= self._pool.slots
        could[picks] = False
        left = np.unique(column.take(np.flatnonzero(could)).codes).tolist()
        return frozenset(column.values[code - 1] for code in left if code)


def _steering(exposure: Exposure, key: TallyKey, tally: Tally | None, shares: dict[str, float]) -> Steering | None:
    """What the controller asks for; between two looks at the ledger a policy's own shares ask for the same."""
    if exposure.shares is None or tally is None:
        return controller.steer(tally, shares, exposure.band, exposure.min_count)
    known = _LATEST.get(key)
    if known is not None and known[0] is tally and known[1] is exposure:
        return known[2]
    steering = controller.steer(tally, shares, exposure.band, exposure.min_count)
    if len(_LATEST) >= _KEPT:
        _LATEST.clear()
    _LATEST[key] = tally, exposure, steering
    return steering


_NOISE = 1e-9  # of sums of shares
_FEW = 16  # groups that are looked for one by one
_KEPT = 1_000  # streams
_LATEST: dict[TallyKey, tuple[Tally, Exposure, Steering | None]] = {}


def _shown(column: AttributeColumn, picks: NDArray[np.int32]) -> tuple[tuple[str, ...], ...]:
    """The values of each pick."""
    if column.offsets is not None:
        return tuple(map(tuple, column.take(picks).listed()))
    names = ((), *((value,) for value in column.values))
    return tuple(names[code] for code in column.codes[picks].tolist())


def _key(exposure: Exposure, rules: CompiledPolicy, context: Context, arm: str) -> TallyKey:
    per = tuple((word, str(getattr(context, word))) for word in exposure.per)
    return TallyKey(context.surface, rules.name, arm, exposure.attribute, per)


def _got(values: tuple[tuple[str, ...], ...], before: int) -> dict[str, float]:
    """Each value's share of the attention that values got."""
    attention = attention_to(before, len(values))
    got: dict[str, float] = {}
    given = 0.0
    for item, weight in zip(values, attention, strict=True):
        for value in item:
            given += weight
            got[value] = got.get(value, 0.0) + weight
    return {value: weight / given for value, weight in got.items()}
