"""What a policy's bounds come to in numbers: when each share binds, and which bounds can never hold or never bind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from reranker.policy import defaults
from reranker.policy.blocks import in_words
from reranker.policy.exposure import target_shares
from reranker.policy.model import Policy
from reranker.policy.vocabulary import fraction_of
from reranker.v1 import policy_pb2 as pb

_AT = (10, 25, 50)  # slate lengths at which counts are printed


@dataclass(frozen=True, slots=True)
class Share:
    """One share of one block: `key` is the word that sets it, `value` empty for an intersection."""

    key: str
    value: str
    share: Fraction
    is_floor: bool

    @property
    def first(self) -> int:
        """The first slot at which it binds; 0 when it never does."""
        return first_floor(self.share) if self.is_floor else first_ceiling(self.share)

    def count(self, slots: int) -> int:
        """What it asks of so many slots."""
        return slots * self.share.numerator // self.share.denominator if self.is_floor else self._ceiling(slots)

    def _ceiling(self, slots: int) -> int:
        return -(-slots * self.share.numerator // self.share.denominator)


def subject(quota: pb.Quota) -> str:
    """Whom a block is about: its attribute, its intersection in words, or likeness."""
    if quota.where:
        return in_words(quota.where)
    return quota.attribute or "similarity"


def shares_of(quota: pb.Quota) -> list[Share]:
    """The shares that a block's words fix; those of a request or a pool are not known here."""
    found = [Share("min_share", entry.value, exact(entry.share), True) for entry in quota.min_share]
    found += [Share("max_share", entry.value, exact(entry.share), False) for entry in quota.max_share]
    tolerance = Fraction(defaults.get(quota, "tolerance")).limit_denominator(10**6)
    for entry in quota.target:
        target = exact(entry.share)
        found.append(Share("target", entry.value, max(Fraction(0), target - tolerance), True))
        found.append(Share("target", entry.value, min(Fraction(1), target + tolerance), False))
    return found


def numbers(policy: Policy) -> list[str]:
    """Of each share: the first slot at which it binds, and the counts it asks for at 10, 25 and 50 slots."""
    lines = []
    for index, quota in enumerate(policy.message.quotas):
        shares = shares_of(quota)
        if shares:
            columns = "".join(f"{f'at {slots}':>8}" for slots in _AT)
            lines.append(f"{f'quotas[{index}] {subject(quota)}':<36}{'binds from':>12}{columns}")
            lines += map(_row, shares)
    for index, exposure in enumerate(policy.message.exposure):
        targets = target_shares(exposure)
        if targets:
            columns = "".join(f"{f'at {slots}':>8}" for slots in _AT)
            lines.append(
                f"{f'exposure[{index}] {exposure.attribute}, without a ledger':<36}{'binds from':>12}{columns}"
            )
            lines += [_row(Share("target", value, share, True)) for value, share in targets.items()]
    return lines


def warnings(policy: Policy) -> list[str]:
    """Bounds that can never bind, and bounds that can never hold together."""
    found = [
        f"quotas[{index}] {subject(quota)}: {reason}"
        for index, quota in enumerate(policy.message.quotas)
        for reason in _vacuous(quota)
    ]
    return found + list(_in_conflict(policy.message)) + list(_out_of_reach(policy.message))


def first_floor(share: Fraction) -> int:
    """The first prefix j with floor(j x share) > 0; 0 when there is none."""
    return -(-share.denominator // share.numerator) if share > 0 else 0


def first_ceiling(share: Fraction) -> int:
    """The first prefix j with ceil(j x share) < j; 0 when there is none."""
    if share >= 1:
        return 0
    # ceil(j p) < j exactly when j (1 - p) >= 1.
    return first_floor(1 - share)


def exact(share: pb.Share) -> Fraction:
    """The share as a fraction."""
    return fraction_of(share) or Fraction(0)


def _vacuous(quota: pb.Quota) -> Iterator[str]:
    within = defaults.get(quota, "within")
    for bound in shares_of(quota):
        if bound.first and not (within and bound.first > within):
            continue
        who = f"{bound.key} of {bound.value}" if bound.value else bound.key
        reason = f" within {within} slots" if bound.first else ""
        if bound.key != "target":
            yield f"{who} {'asks for' if bound.is_floor else 'forbids'} nothing{reason}"
        elif bound.is_floor and not _binds_above(quota, bound.value, within):
            yield f"{who} asks for and forbids nothing{reason}"
    for count in quota.min_count:
        if not count.count:
            yield f"min_count{_of(count.value)} asks for nothing"
    for count in quota.max_count:
        if within and count.count >= within:
            yield f"max_count{_of(count.value)} forbids nothing within {within} slots"
    window = defaults.get(quota, "window")
    if quota.HasField("max_per_value") and window and quota.max_per_value >= window:
        yield f"max_per_value forbids nothing in {window} slots"
    if quota.HasField("max_similarity") and (quota.max_similarity >= 1 or window == 1):
        yield "max_similarity forbids nothing"


def _of(value: str) -> str:
    return f" of {value}" if value else ""


def _binds_above(quota: pb.Quota, value: str, within: int) -> bool:
    caps = (bound for bound in shares_of(quota) if bound.value == value and not bound.is_floor)
    return any(cap.first and not (within and cap.first > within) for cap in caps)


def _in_conflict(message: pb.Policy) -> Iterator[str]:
    """Shares that contradict each other as numbers: allowed, relaxed in every request, and rarely meant."""
    floors: dict[str, dict[str, Fraction]] = defaultdict(dict)
    caps: dict[str, dict[str, Fraction]] = defaultdict(dict)
    for quota in message.quotas:
        if quota.soft:
            continue
        who = subject(quota)
        for bound in shares_of(quota):
            if bound.is_floor:
                floors[who][bound.value] = max(bound.share, floors[who].get(bound.value, bound.share))
            else:
                caps[who][bound.value] = min(bound.share, caps[who].get(bound.value, bound.share))
    for who, shares in floors.items():
        together = sum(shares.values())
        if together > 1:
            yield f"{who}: least shares add up to {float(together):.4g}, which only items with several values can meet"
        for value, share in shares.items():
            cap = caps[who].get(value, share)
            if cap < share:
                yield f"{who} {value}".rstrip() + f": the least share, {share}, is above the most, {cap}"


def _out_of_reach(message: pb.Policy) -> Iterator[str]:
    """Exposure targets that the policy's own hard shares of the same attribute rule out, slate by slate."""
    for index, exposure in enumerate(message.exposure):
        where = f"exposure[{index}] {exposure.attribute}"
        if exposure.HasField("band") and exposure.band == 0:
            yield f"{where}: with a band of 0 earlier requests change nothing"
        bounds = [
            bound
            for quota in message.quotas
            if quota.attribute == exposure.attribute and not quota.soft and not defaults.get(quota, "within")
            for bound in shares_of(quota)
        ]
        for value, target in target_shares(exposure).items():
            for bound in bounds:
                if bound.value == value and (bound.share > target if bound.is_floor else bound.share < target):
                    side = "below the least" if bound.is_floor else "above the most"
                    yield f"{where} {value}: the target, {target}, is {side} that a slate may hold, {bound.share}"


def _row(bound: Share) -> str:
    binds = f"slot {bound.first}" if bound.first else "never"
    counts = "".join(f"{bound.count(slots):>8}" for slots in _AT)
    words = "at least" if bound.is_floor else "at most"
    return f"  {bound.value:<14.14} {words:<9}{bound.share!s:<10}{binds:>12}{counts}"
