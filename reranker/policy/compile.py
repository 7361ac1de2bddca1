"""A policy as plain arrays and numbers for one slate length: made once, the only form that travels on.

Shares are exact rationals here and integers from here on: a floor of 0.29 x 100 is 29, not 28.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.policy import defaults
from reranker.policy.model import Policy
from reranker.policy.vocabulary import fraction_of
from reranker.v1 import policy_pb2 as pb

NO_CAP = np.iinfo(np.int32).max // 4  # an upper bound that nothing reaches; sums of a few of them do not overflow


@dataclass(frozen=True, slots=True, eq=False)
class PrefixBound:
    """Least and most of one value in the first t slots: int32 arrays over t = 0..slots; None means no such bound."""

    attribute: str
    value: str
    lower: NDArray[np.int32] | None
    upper: NDArray[np.int32] | None
    weight: float


@dataclass(frozen=True, slots=True)
class EachBound:
    """Each of `values` at least once in the first `within` slots; None: each that a guard-passing candidate carries."""

    attribute: str
    values: tuple[str, ...] | None
    within: int
    weight: float


@dataclass(frozen=True, slots=True)
class WindowBound:
    """No value more than `limit` times in any `window` consecutive slots; 0 is the whole slate."""

    attribute: str
    limit: int
    window: int
    weight: float


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may be lifted above the upstream rank; None where the policy sets no such condition."""

    min_score: float | None
    min_share_of_best: float | None
    where: tuple[tuple[str, frozenset[str]], ...]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How one attribute's labels count; `domain` is None where the policy declares none."""

    threshold: float
    domain: tuple[str, ...] | None
    sensitive: bool


@dataclass(frozen=True, eq=False)
class CompiledPolicy:
    """Everything the engine needs of a policy, for slates of `slots` items."""

    name: str
    revision: str
    slots: int
    strategy: str
    diversity: float
    normalisation: str
    shifted: bool
    score_zero: float
    score_zero_given: bool
    guard: Guard | None
    keep_top: int
    prefix_bounds: tuple[PrefixBound, ...]
    each_bounds: tuple[EachBound, ...]
    window_bounds: tuple[WindowBound, ...]
    label_rules: dict[str, LabelRule]
    default_label: LabelRule
    mode: str
    merged: dict[str, Any] = field(default_factory=dict, repr=False)
    """What the quotas make of this policy alone, by attribute: it lives and dies with the policy."""

    @property
    def size(self) -> int:
        """Bytes that the bounds take, those in `merged` included."""
        return 1000 + 16 * (self.slots + 1) * (len(self.prefix_bounds) + len(self.quota_attributes))

    def label_rule(self, attribute: str) -> LabelRule:
        """The rule of one attribute."""
        return self.label_rules.get(attribute, self.default_label)

    def wanted_values(self) -> dict[str, tuple[str, ...]]:
        """The values that should all be present, by attribute: the declared domain, else those that a quota lists."""
        wanted = {each.attribute: each.values for each in self.each_bounds if each.values is not None}
        wanted.update({name: rule.domain for name, rule in self.label_rules.items() if rule.domain is not None})
        return wanted

    @cached_property
    def quota_attributes(self) -> tuple[str, ...]:
        """The attributes that a quota names, in the policy's order."""
        names = [bound.attribute for bound in self.prefix_bounds]
        names += [each.attribute for each in self.each_bounds]
        names += [window.attribute for window in self.window_bounds]
        return tuple(dict.fromkeys(names))

    @cached_property
    def named_attributes(self) -> tuple[str, ...]:
        """The attributes that quotas, the guard or the labels name."""
        guard = tuple(name for name, _ in self.guard.where) if self.guard else ()
        return tuple(dict.fromkeys((*self.quota_attributes, *guard, *self.label_rules)))


def compiled(policy: Policy, slots: int) -> CompiledPolicy:
    """The policy for slates of exactly `slots` items, from the cache where it is there."""
    return _CACHE.get(policy, slots)


class _Cache:
    """Compiled policies, the least recently used dropped first; bounded by bytes, as some have many bounds."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, int], CompiledPolicy] = OrderedDict()

    def get(self, policy: Policy, slots: int) -> CompiledPolicy:
        key = (policy.revision, slots)
        with self._lock:
            known = self._made.get(key)
            if known is not None:
                self._made.move_to_end(key)
                return known
        made = _compile(policy, slots)
        with self._lock:
            if key not in self._made:
                self._made[key] = made
                self._bytes += made.size
            while self._bytes > self._most_bytes and len(self._made) > 1:
                self._bytes -= self._made.popitem(last=False)[1].size
        return made


_CACHE = _Cache(64 * 2**20)


def _compile(policy: Policy, slots: int) -> CompiledPolicy:
    message = policy.message
    objective, labels = message.objective, message.labels
    strategy = _word(pb.Strategy.Name(defaults.get(objective, "strategy")), "STRATEGY_")
    normalisation = _word(
        pb.ScoreNormalisation.Name(defaults.get(objective, "score_normalisation")), "SCORE_NORMALISATION_"
    )
    similarity = _word(pb.Similarity.Name(defaults.get(objective, "similarity")), "SIMILARITY_")
    spectral = strategy in ("dpp", "ssd")
    if normalisation == "auto":
        normalisation = "zscore" if spectral else "minmax"
    blocks = list(message.quotas)
    return CompiledPolicy(
        name=policy.name,
        revision=policy.revision,
        slots=slots,
        strategy=strategy,
        diversity=defaults.get(objective, "diversity"),
        normalisation=normalisation,
        shifted=spectral if similarity == "auto" else similarity == "cosine_shifted",
        score_zero=defaults.get(objective, "score_zero"),
        score_zero_given=objective.HasField("score_zero"),
        guard=_guard(message),
        keep_top=min(defaults.get(message.placement, "keep_top"), slots),
        prefix_bounds=tuple(bound for block in blocks for bound in _prefix_bounds(block, slots)),
        each_bounds=tuple(_each_bound(block, slots) for block in blocks if defaults.get(block, "at_least_one_of_each")),
        window_bounds=tuple(_window_bound(block) for block in blocks if block.HasField("max_per_value")),
        label_rules={rule.attribute: _label_rule(message, rule) for rule in labels.attributes},
        default_label=LabelRule(defaults.get(labels, "threshold"), None, False),
        mode=_word(pb.InfeasibleMode.Name(defaults.get(message.on_infeasible, "mode")), "INFEASIBLE_MODE_"),
    )


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _guard(message: pb.Policy) -> Guard | None:
    guard = message.guard
    where = tuple((condition.attribute, frozenset(condition.values)) for condition in guard.where)
    min_score = guard.min_score if guard.HasField("min_score") else None
    share = guard.min_share_of_best if guard.HasField("min_share_of_best") else None
    if min_score is None and share is None and not where:
        return None
    return Guard(min_score, share, where)


def _label_rule(message: pb.Policy, rule: pb.AttributeLabels) -> LabelRule:
    threshold = defaults.get_label(message, rule.attribute, "threshold")
    return LabelRule(threshold, tuple(rule.values) or None, defaults.get(rule, "sensitive"))


def _exact(share: pb.Share) -> Fraction:
    fraction = fraction_of(share)
    assert fraction is not None, "a Policy's shares have been checked"
    return fraction


def _within(block: pb.Quota, slots: int) -> int:
    within = defaults.get(block, "within")
    return min(within, slots) if within else slots


def _prefix_bounds(block: pb.Quota, slots: int) -> Iterable[PrefixBound]:
    within, weight = _within(block, slots), defaults.get(block, "weight")
    for entry in block.min_share:
        yield PrefixBound(block.attribute, entry.value, share_floor(_exact(entry.share), within, slots), None, weight)
    for entry in block.max_share:
        yield PrefixBound(block.attribute, entry.value, None, share_ceiling(_exact(entry.share), within, slots), weight)
    for count in block.min_count:
        lower = np.zeros(slots + 1, np.int32)
        lower[within:] = count.count
        yield PrefixBound(block.attribute, count.value, lower, None, weight)
    for count in block.max_count:
        upper = np.full(slots + 1, NO_CAP, np.int32)
        upper[: within + 1] = count.count
        yield PrefixBound(block.attribute, count.value, None, upper, weight)


def share_floor(share: Fraction, within: int, slots: int) -> NDArray[np.int32]:
    """floor(t x share) for prefixes t up to `within`; the last one stays from there on (rule 4)."""
    prefixes = np.minimum(np.arange(slots + 1), within)
    return (prefixes * share.numerator // share.denominator).astype(np.int32)


def share_ceiling(share: Fraction, within: int, slots: int) -> NDArray[np.int32]:
    """ceil(t x share) for prefixes t up to `within`; the cap ends there (rule 4)."""
    prefixes = np.arange(slots + 1)
    counts = -(-prefixes * share.numerator // share.denominator)
    return np.where(prefixes <= within, counts, NO_CAP).astype(np.int32)


def _each_bound(block: pb.Quota, slots: int) -> EachBound:
    values = tuple(dict.fromkeys(block.values)) or None
    return EachBound(block.attribute, values, _within(block, slots), defaults.get(block, "weight"))


def _window_bound(block: pb.Quota) -> WindowBound:
    return WindowBound(
        block.attribute, block.max_per_value, defaults.get(block, "window"), defaults.get(block, "weight")
    )
