"""The controller across requests: from what groups got and what was due to them, a price on each group's items.

Proportional-integral in the form called external reset: a price is the mean of the prices in force before, which the
ledger remembers, and a correction by the gap as it is now. What was in force was clipped, so there is nothing to wind
up; the mean over the ledger's memory is the integral, so that a lasting gap is closed and not only made smaller; and
as all of it is in the tally, every worker finds the same price, and a restart loses nothing. Pure functions; O(groups).

A price is in units of the mean relevance of upstream's own slate: at 0.1 a group's items are lifted as if each had a
tenth of that more. For relevance summed over requests, prices are the dual variables of the targets, so no other rule
that meets them on these lists loses less (ADR 16).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reranker.exposure.tally import GroupTally, Tally

GAIN = 1.0  # price a unit of relative gap: a group without any exposure has a gap of 1
RAMP = 500.0  # requests until half of the gain counts: earlier gaps are mostly noise and old news
SLEW = 0.5  # most that a price differs from the mean of those before it
MOST = 2.0  # most that a price comes to, either way
SOME_LATE = 15.0  # seconds without a refresh after which answers say so
_BEHIND = 0.05  # relative gap, and
_BEHIND_REQUESTS = 250.0  # that many requests' worth of it: a group is behind by more than what chance brings about
_REMEMBERED = 64  # values of an attribute, up to which a price is kept over requests whose target does not name it
_TOO_LATE = 0.05  # of the half-life: gaps older than that are not steered by,
_TOO_LATE_LEAST, _TOO_LATE_MOST = 30.0, 3_600.0  # within these seconds
_NOTHING = GroupTally()


@dataclass(frozen=True, slots=True)
class Group:
    """One steered value: its target `share`, its part of the exposure due and given, and what follows.

    `gap` is relative: (due - given) / due. `memory` is the mean price before, `price` the one in force. `behind` says
    that the gap is more than what passes by itself: what a slate has no candidates for is not owed then.
    """

    share: float
    due: float
    given: float
    gap: float
    memory: float
    price: float
    behind: bool


@dataclass(frozen=True, slots=True)
class Steering:
    """What the tally asks of one slate, by value; values that are not in `groups` are left alone.

    `absent` are the mean prices of values that this request's target does not name.
    """

    groups: Mapping[str, Group]
    absent: Mapping[str, float]

    @property
    def memory(self) -> dict[str, float]:
        """The mean prices so far: what leaves them as they are."""
        return {**self.absent, **{value: group.memory for value, group in self.groups.items()}}

    @property
    def prices(self) -> dict[str, float]:
        """The price of each value."""
        return {value: group.price for value, group in self.groups.items()}


def too_late(half_life: float) -> float:
    """Seconds after which a snapshot is too old to steer by: a twentieth of the half-life, 30 seconds to an hour."""
    return min(max(_TOO_LATE * half_life, _TOO_LATE_LEAST), _TOO_LATE_MOST)


def steer(tally: Tally | None, shares: Mapping[str, float], band: float, min_count: int) -> Steering | None:
    """The prices that `tally` asks for under these target shares; None where too little is known to ask for anything.

    A value is left alone while it has, and by its target should have, fewer than `min_count` items: what is due counts,
    or a group that nobody ever showed would never be lifted.
    """
    if tally is None or tally.requests <= 0.0 or band <= 0.0:
        return None
    given = sum(group.exposure for group in tally.groups.values())
    due = sum(group.target for group in tally.groups.values())
    items = sum(group.items for group in tally.groups.values())
    if given <= 0.0 or due <= 0.0:
        return None
    groups: dict[str, Group] = {}
    for value, share in shares.items():
        group = tally.groups.get(value, _NOTHING)
        if group.target > 0.0 and max(group.items, items * group.target / given) >= min_count:
            groups[value] = _group(group, share, tally.requests, given, band)
    if not groups:
        return None
    absent: dict[str, float] = {}
    if len(tally.groups) <= _REMEMBERED:
        known = ((value, group.price / tally.requests) for value, group in tally.groups.items() if value not in shares)
        absent = {value: _within(MOST, price) for value, price in known if price}
    return Steering(groups, absent)


def _group(group: GroupTally, share: float, requests: float, given: float, band: float) -> Group:
    gap = (group.target - group.exposure) / group.target
    edge = band * given / group.target  # the band as a relative gap
    memory = _within(MOST, group.price / requests)
    beyond = abs(gap) / edge if memory * gap < 0.0 else 0.0  # past its target by this part of the band
    kept = memory * max(0.0, 1.0 - beyond)  # what brought it there fades, and is gone at the band's edge
    correction = _within(SLEW, GAIN * gap * requests / (requests + RAMP))
    return Group(
        share=share,
        due=group.target / given,
        given=group.exposure / given,
        gap=gap,
        memory=memory,
        price=_within(MOST, kept + correction),
        behind=gap >= max(_BEHIND, _BEHIND_REQUESTS / requests),
    )


def in_force(
    steering: Steering | None, shares: Mapping[str, float], got: Mapping[str, float], used_up: Collection[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """The target shares and prices that the ledger is told of one slate, after it was made.

    `got` are shares of the attention that values got, `used_up` values of which no further candidate could be shown.
    Where one of these is behind already, the slate owes it no more than it got, the others share what that leaves in
    their own proportions, and its price is not remembered: supply, not the price, is what it lacks. Nothing else would
    keep a group that is away for a day from coming back with a day's debt.
    """
    if steering is None:
        return dict(shares), {}
    groups = steering.groups
    frozen = {value for value in used_up if value in groups and groups[value].behind}
    frozen = {value for value in frozen if got.get(value, 0.0) < shares.get(value, 0.0)}
    prices = {value: group.memory if value in frozen else group.price for value, group in groups.items()}
    prices.update(steering.absent)
    rest = sum(share for value, share in shares.items() if value not in frozen)
    if not frozen or rest <= 0.0:
        return dict(shares), prices
    spared = sum(shares[value] - got.get(value, 0.0) for value in frozen)
    factor = 1.0 + spared / rest
    return {
        value: got.get(value, 0.0) if value in frozen else share * factor for value, share in shares.items()
    }, prices


def without_others(shares: Mapping[str, float], got: Mapping[str, float]) -> dict[str, float]:
    """The targets of a slate that had no further candidate outside them, where they leave a part to such candidates.

    Nobody could take what others did not get, so the named values are owed it, in their own proportions. Else all of
    them would have more than is due to them for ever, and be held back behind items without a label.
    """
    named = sum(shares.values())
    rest = 1.0 - sum(share for value, share in got.items() if value not in shares)
    factor = max(1.0, rest / named) if named > 0.0 else 1.0
    return {value: share * factor for value, share in shares.items()}


def _within(most: float, number: float) -> float:
    return max(-most, min(most, number))
