"""Slow, obvious twins of the strategies over explicit aspects, from rule 1 and the papers' equations."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from tests.reference.naive_bounds import as_labels, guard_mask, read_labels
from tests.reference.naive_strategies import Floats, Twin, normalise, upstream_order

NAMES = ("xquad", "pm2", "dum", "calibrated", "round_robin")
ALPHA = 0.01  # Steck 2018
REST = ""  # all values that a target does not name


@dataclass(frozen=True)
class AspectTwin(Twin):
    """One strategy on one list: who carries how much of which aspect, and in which shares they are wanted.

    `amounts` (N, C) are A(i, c), `carried` (N,) what each carries in all; `settled` items have their slot already and
    are free for no other; the first `seen` slots are earlier pages'.
    """

    amounts: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    carried: Floats = field(default_factory=lambda: np.zeros(0))
    shares: Sequence[float] = ()
    slots: int = 0
    settled: frozenset[int] = frozenset()
    listed: Sequence[Sequence[int]] = ()  # the aspects of each item in the order in which it lists them
    seen: int = 0

    def utilities(self, earlier: Sequence[int], among: Collection[int] | None = None) -> dict[int, float]:
        """Utility of every candidate of `among` that is not picked yet; by slots for round_robin and dum."""
        if self.strategy not in ("round_robin", "dum") or not len(self.shares):
            return super().utilities(earlier, among)
        values = self.relevance + self.gains(earlier)
        pool = range(len(self.scores)) if among is None else sorted(among)
        return {item: float(values[item]) for item in pool if item not in earlier}

    def gains(self, earlier: Sequence[int]) -> Floats:
        """What every candidate's aspects are worth after the earlier picks."""
        if not len(self.shares):
            return np.zeros(len(self.scores))
        worth = getattr(self, f"_{self.strategy}")
        return np.array([worth(item, list(earlier)) for item in range(len(self.scores))], np.float64)

    def _xquad(self, item: int, earlier: list[int]) -> float:
        aspects = range(len(self.shares))
        largest = max(self.shares[c] for c in aspects if self.amounts[:, c].any())
        total = 0.0
        for c in aspects:
            not_served = math.prod(1.0 - self.amounts[pick, c] for pick in earlier)
            total += self.shares[c] / largest * self.amounts[item, c] * not_served
        return float(total)

    def _pm2(self, item: int, earlier: list[int], own: float = 0.5) -> float:
        """lambda qt A(i, c*) + (1 - lambda) sum of the others, over what an item of c* alone would get."""
        seats = [0.0] * len(self.shares)
        for pick in earlier:
            for c in range(len(self.shares)):
                if self.amounts[pick].sum() > 0:
                    seats[c] += self.amounts[pick, c] / self.amounts[pick].sum()
        quotients = [share / (2 * seat + 1) for share, seat in zip(self.shares, seats, strict=True)]
        free = [i for i in range(len(self.scores)) if i not in earlier and i not in self.settled]
        claimed = [c for c in range(len(self.shares)) if any(self.amounts[i, c] > 0 for i in free)]
        if not claimed:
            return 0.0
        best = max(claimed, key=lambda c: quotients[c])
        others = sum(quotients[c] * self.amounts[item, c] for c in range(len(self.shares)) if c != best)
        score = own * quotients[best] * self.amounts[item, best] + (1 - own) * others
        return float(score / (own * quotients[best]))

    def _calibrated(self, item: int, earlier: list[int]) -> float:
        slate = [*earlier, item]
        divergence = 0.0
        for c, p in enumerate(self.shares):
            q = sum(self.amounts[i, c] / self.carried[i] for i in slate if self.carried[i]) / len(slate)
            divergence += p * math.log(p / ((1 - ALPHA) * q + ALPHA * p))
        return float(-len(slate) * divergence)

    def _is_owned(self, earlier: list[int]) -> bool:
        slot = len(earlier) + 1 - self.seen
        share = Fraction(self.diversity).limit_denominator(10**6)
        return slot >= 1 and math.floor(slot * share) > math.floor((slot - 1) * share)

    @property
    def _lead(self) -> float:
        return float(self.relevance.max() - self.relevance.min()) + 1.0

    def _dum(self, item: int, earlier: list[int]) -> float:
        if not self._is_owned(earlier):
            return 0.0
        for c, share in enumerate(self.shares):
            count = sum(self.amounts[pick, c] > 0 for pick in earlier)
            if self.amounts[item, c] > 0 and count < math.ceil(share * self.slots - 1e-9):
                return 0.0
        return -self._lead

    def _round_robin(self, item: int, earlier: list[int]) -> float:
        """Groups with somebody left, in turn; how many turns candidate's own is away."""
        if not self._is_owned(earlier):
            return 0.0
        order = sorted(range(len(self.scores)), key=lambda i: (-self.scores[i], i))
        free = [i for i in order if i not in earlier and i not in self.settled]
        in_order = list(dict.fromkeys(c for i in order for c in self.listed[i]))
        groups = [c for c in in_order if any(self.amounts[i, c] > 0 for i in free)]
        picked = {c: sum(self.amounts[pick, c] > 0 for pick in earlier) for c in groups}
        groups.sort(key=picked.__getitem__)  # stable: equals keep their order
        turns = [at for at, c in enumerate(groups) if self.amounts[item, c] > 0]
        return -self._lead * min(turns, default=len(groups))


def twin_of(
    policy: Mapping[str, Any],
    scores: Floats,
    columns: Mapping[str, Any],
    slots: int,
    targets: Mapping[str, Mapping[str, float]],
    settled: frozenset[int],
) -> AspectTwin:
    """The twin of a policy's strategy on one list of candidates."""
    words = policy.get("objective", {})
    form = words.get("score_normalisation", "auto")
    relevance = normalise(scores, "minmax" if form == "auto" else form)
    labels = as_labels(columns)
    attribute = chosen_attribute(policy, labels)
    base = (words["strategy"], words.get("diversity", 0.5), scores, relevance, np.eye(len(scores)))
    if not attribute:
        return AspectTwin(*base)
    column = read_labels(policy, labels)[attribute]
    guarded = guard_mask(policy, scores.tolist(), labels)
    shares = wanted(policy, attribute, column, guarded, targets)
    names = [value for value, share in shares.items() if share > 0]
    amounts = np.array([[float(_carries(row, c, shares)) for c in names] for row in column]).reshape(
        len(column), len(names)
    )
    if not amounts.any():
        return AspectTwin(*base)
    carried = np.array([float(len(row)) for row in column])
    total = sum(shares.values())
    listed = [[name if name in shares else REST for name in sorted(row)] for row in column]
    return AspectTwin(
        *base,
        amounts=amounts,
        carried=carried,
        shares=[shares[name] / total for name in names],
        slots=min(slots, len(scores)),
        settled=settled,
        listed=[[names.index(name) for name in dict.fromkeys(row) if name in names] for row in listed],
    )


def chosen_attribute(policy: Mapping[str, Any], labels: Mapping[str, Any]) -> str:
    """What is written; else the first that candidates have of the signals', the quotas' and their own attributes."""
    if "calibration" in policy:
        attribute = str(policy["calibration"]["attribute"])
        return attribute if attribute in labels else ""
    names = [signal["attribute"] for signal in policy.get("similarity_signals", ()) if "attribute" in signal]
    for quota in policy.get("quotas", ()):
        names += [quota["attribute"]] if "attribute" in quota else list(quota.get("where", {}))
    return next((name for name in [*names, *labels] if name in labels), "")


def wanted(
    policy: Mapping[str, Any],
    attribute: str,
    column: Sequence[frozenset[str]],
    guarded: Sequence[bool],
    targets: Mapping[str, Mapping[str, float]],
) -> dict[str, float]:
    """Target shares by value; what a written or requested target leaves open is wanted of all other values."""
    target = policy.get("calibration", {}).get("target", "pool")
    if target == "request":
        target = targets.get(attribute) or "pool"
    if target != "pool":
        shares = {value: float(Fraction(share)) for value, share in target.items()}
        if 1 - sum(shares.values()) > 1e-6:
            shares[REST] = 1 - sum(shares.values())
        return shares
    labelled = [row for row, passes in zip(column, guarded, strict=True) if row and passes]
    values = dict.fromkeys(value for row in labelled for value in sorted(row))
    return {value: sum((value in row) / len(row) for row in labelled) / len(labelled) for value in values}


def _carries(row: frozenset[str], aspect: str, shares: Mapping[str, float]) -> bool:
    return aspect in row if aspect != REST else bool(row - set(shares))


def settled_items(policy: Mapping[str, Any], scores: Floats, slots: int, fixed: Mapping[int, int]) -> frozenset[int]:
    """Items that keep a slot: fixed ones, and the first `keep_top` whose slot no fixed one has taken."""
    count = min(slots, len(scores))
    keep_top = min(policy.get("placement", {}).get("keep_top", 0), count)
    kept = [item for slot, item in enumerate(upstream_order(scores)[:keep_top], 1) if slot not in fixed]
    return frozenset(kept) | frozenset(fixed.values())
