"""A policy as plain arrays and numbers for one slate length: made once, the only form that travels on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from reranker.kept import Kept
from reranker.policy import defaults
from reranker.policy.aspects import BY_ASPECT, Calibration, aspect_attributes, compile_calibration
from reranker.policy.blocks import (
    Block,
    Condition,
    SimilarityBound,
    compile_blocks,
    compile_similarity,
    intersections,
)
from reranker.policy.exposure import Exposure, compile_exposure
from reranker.policy.model import Policy
from reranker.policy.terms import Decay, Signal, Spacing, compile_decays, compile_signals, compile_spacings
from reranker.v1 import policy_pb2 as pb

_TYPICAL = 25  # slots of a slate, where none was asked for yet
_WORD = 20  # bytes in memory of one in a policy's message: texts are objects
_WARMED = 32  # lengths that a policy is compiled for before it serves


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may be lifted above the upstream rank; None where the policy sets no such condition."""

    min_score: float | None
    min_share_of_best: float | None
    where: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How one attribute's labels count; `domain` is None where the policy declares none.

    `unknown` is "neutral", "exclude" or "group" (rule 8).
    """

    threshold: float
    unknown: str
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
    window: int
    sample: bool
    relevance_floor: float | None
    candidate_window: int
    normalisation: str
    shifted: bool
    score_zero: float
    score_zero_given: bool
    guard: Guard | None
    keep_top: int
    max_fall: int
    blocks: tuple[Block, ...]
    intersections: dict[str, tuple[Condition, ...]]
    similarity: tuple[SimilarityBound, ...]
    signals: tuple[Signal, ...]
    spacings: tuple[Spacing, ...]
    decays: tuple[Decay, ...]
    label_rules: dict[str, LabelRule]
    default_label: LabelRule
    mode: str
    calibration: Calibration | None
    aspect_attributes: tuple[str, ...]
    unknown_id: str = "neutral"
    """What an id that the catalog does not know means: "neutral", "keep_in_place" or "reject"."""
    missing_embedding: str = "neutral"
    """The same of an item without embedding."""
    exposure: tuple[Exposure, ...] = ()
    merged: dict[tuple[str | int, ...], Any] = field(default_factory=dict, repr=False)
    """What the quotas make of this policy's own blocks, by subject and blocks: it lives and dies with the policy."""

    @cached_property
    def plain(self) -> bool:
        """True when every request meets the same blocks, all of them hard."""
        return all(block.settled and not block.soft for block in self.blocks)

    @cached_property
    def own_blocks(self) -> frozenset[int]:
        """Which blocks, by identity, are the policy's own as they stand, and not made for one request."""
        alone = (exposure.alone for exposure in self.exposure)
        return frozenset(id(block) for block in (*self.blocks, *alone) if block.target is None)

    @property
    def size(self) -> int:
        """Bytes that it takes, its bounds and those in `merged` included, its texts left out."""
        bounds = sum(len(block.prefix_bounds) for block in self.blocks)
        bounds += sum(len(exposure.alone.prefix_bounds) for exposure in self.exposure)
        tables = bounds + len(self.quota_attributes) + len(self.spacings) + len(self.decays)
        return 3_000 + (400 + 16 * (self.slots + 1)) * tables

    def label_rule(self, attribute: str) -> LabelRule:
        """The rule of one attribute."""
        return self.label_rules.get(attribute, self.default_label)

    def wanted_values(self) -> dict[str, tuple[str, ...]]:
        """The values that should all be present, by attribute: the declared domain, else those that a quota lists."""
        each_bounds = [block.each for block in self.blocks if block.each is not None]
        wanted = {each.attribute: each.values for each in each_bounds if each.values is not None}
        wanted.update({name: rule.domain for name, rule in self.label_rules.items() if rule.domain is not None})
        return wanted

    @cached_property
    def quota_attributes(self) -> tuple[str, ...]:
        """What blocks bound or steer, attributes and intersections in words, in the policy's order."""
        steered = (exposure.attribute for exposure in self.exposure)
        return tuple(dict.fromkeys((*(block.attribute for block in self.blocks), *steered)))

    def attributes_of(self, subject: str) -> tuple[str, ...]:
        """The attributes that a bound's subject names: itself, or those of an intersection."""
        where = self.intersections.get(subject)
        return (subject,) if where is None else tuple(attribute for attribute, _ in where)

    @cached_property
    def longest_window(self) -> int:
        """How many consecutive slots the longest window of finite length spans."""
        windows = [block.window.window for block in self.blocks if block.window is not None]
        spacings = [len(spacing.price) for spacing in self.spacings]
        return max([0, self.window, *windows, *spacings, *(bound.window for bound in self.similarity)])

    @cached_property
    def remembered_attributes(self) -> tuple[str, ...]:
        """The attributes whose values of the last few items matter on the next page."""
        windows = [block.attribute for block in self.blocks if block.window is not None]
        aspects: tuple[str, ...] = ()
        if self.strategy in BY_ASPECT:
            aspects = (self.calibration.attribute,) if self.calibration else self.aspect_attributes
        return tuple(dict.fromkeys((*windows, *self.soft_attributes, *self.compared_attributes, *aspects)))

    @cached_property
    def named_attributes(self) -> tuple[str, ...]:
        """The attributes that quotas, the guard, the calibration or the labels name."""
        names: list[str] = []
        for subject in self.quota_attributes:
            names += self.attributes_of(subject)
        names += [attribute for attribute, _ in self.guard.where] if self.guard else []
        names += [self.calibration.attribute] if self.calibration else []
        return tuple(dict.fromkeys((*names, *self.label_rules)))

    @cached_property
    def soft_attributes(self) -> tuple[str, ...]:
        """The attributes whose repetition costs something."""
        names = [spacing.attribute for spacing in self.spacings]
        return tuple(dict.fromkeys(names + [decay.attribute for decay in self.decays]))

    @cached_property
    def counted_attributes(self) -> tuple[str, ...]:
        """The attributes whose hard labels bounds, guard or spacings count."""
        return tuple(dict.fromkeys((*self.named_attributes, *self.soft_attributes)))

    @cached_property
    def binds_nobody(self) -> bool:
        """Whether a request that fixes no item and follows none may be filled with any of its candidates anywhere."""
        placed = self.keep_top or self.max_fall or "keep_in_place" in (self.unknown_id, self.missing_embedding)
        bounds = self.blocks or self.similarity or self.exposure or self.counted_attributes
        return self.guard is None and not placed and not bounds

    @cached_property
    def has_wishes(self) -> bool:
        """Whether anything soft beside quotas enters the utility."""
        return bool(self.spacings or self.decays) or any(bound.soft for bound in self.similarity)

    @cached_property
    def read_attributes(self) -> tuple[str, ...]:
        """All attributes that the policy looks at: those it names, those it spaces, those it compares."""
        return tuple(dict.fromkeys((*self.named_attributes, *self.soft_attributes, *self.compared_attributes)))

    @property
    def compared_attributes(self) -> tuple[str, ...]:
        """The attributes that are part of the similarity."""
        return tuple(signal.name for signal in self.signals if not signal.is_embedding)


def compiled(policy: Policy, slots: int) -> CompiledPolicy:
    """The policy for slates of exactly `slots` items, from the cache where it is there."""
    key = policy.revision, slots
    return _CACHE.get(
        key, lambda: _compile(policy, slots), lambda rules: rules.size + _WORD * policy.message.ByteSize()
    )


def with_objective(policy: Policy, rules: CompiledPolicy, strategy: str, candidate_window: int) -> CompiledPolicy:
    """`rules` of the policy as if its objective named another strategy and window, under the policy's own name."""
    normalisation, shifted = _scales(policy.message.objective, strategy)
    return replace(
        rules,
        strategy=strategy,
        candidate_window=candidate_window,
        sample=rules.sample and strategy == rules.strategy,
        normalisation=normalisation,
        shifted=shifted,
    )


def _lengths() -> list[int]:
    """The lengths that policies are compiled for, some that came last."""
    return list(dict.fromkeys(slots for _, slots in reversed(_CACHE.keys())))[:_WARMED]


def warm(policies: Iterable[Policy]) -> None:
    """Compile policies before they serve, for the lengths of slates that were asked for lately, of one at least."""
    lengths = _lengths() or [_TYPICAL]
    for policy in policies:
        for slots in lengths:
            compiled(policy, slots)


def subjects(policy: Policy) -> frozenset[str]:
    """What a policy counts: attributes, and intersections in words."""
    rules = compiled(policy, (_lengths() or [_TYPICAL])[0])
    return frozenset((*rules.quota_attributes, *rules.counted_attributes))


def refinement_mode(policy: Policy) -> str:
    """What a user's narrowing of an attribute does under the policy: "filter", "boost" or "ignore"."""
    mode = defaults.get(policy.message.refinement, "mode")
    return _word(pb.RefinementMode.Name(mode), "REFINEMENT_MODE_")


_CACHE: Kept[tuple[str, int], CompiledPolicy] = Kept(32 * 2**20)


def _compile(policy: Policy, slots: int) -> CompiledPolicy:
    message = policy.message
    objective, labels = message.objective, message.labels
    strategy = _word(pb.Strategy.Name(defaults.get(objective, "strategy")), "STRATEGY_")
    normalisation, shifted = _scales(objective, strategy)
    return CompiledPolicy(
        name=policy.name,
        revision=policy.revision,
        slots=slots,
        strategy=strategy,
        diversity=defaults.get(objective, "diversity"),
        window=defaults.get(objective, "window"),
        sample=defaults.get(objective, "sample"),
        relevance_floor=defaults.get(objective, "relevance_floor"),
        candidate_window=defaults.get(objective, "candidate_window"),
        normalisation=normalisation,
        shifted=shifted,
        score_zero=defaults.get(objective, "score_zero"),
        score_zero_given=objective.HasField("score_zero"),
        guard=_guard(message),
        keep_top=min(defaults.get(message.placement, "keep_top"), slots),
        max_fall=defaults.get(message.placement, "max_fall"),
        blocks=compile_blocks(message, slots),
        intersections=intersections(message),
        similarity=compile_similarity(message),
        signals=compile_signals(message),
        spacings=compile_spacings(message, slots),
        decays=compile_decays(message, slots),
        label_rules={rule.attribute: _label_rule(message, rule) for rule in labels.attributes},
        default_label=_default_label(labels),
        mode=_word(pb.InfeasibleMode.Name(defaults.get(message.on_infeasible, "mode")), "INFEASIBLE_MODE_"),
        calibration=compile_calibration(message),
        aspect_attributes=aspect_attributes(message),
        unknown_id=_missing(message, "unknown_id"),
        missing_embedding=_missing(message, "missing_embedding"),
        exposure=compile_exposure(message, slots),
    )


def _scales(objective: pb.Objective, strategy: str) -> tuple[str, bool]:
    """How scores are normalised and whether cosines are shifted, as the policy says or as suits the strategy."""
    normalisation = _word(
        pb.ScoreNormalisation.Name(defaults.get(objective, "score_normalisation")), "SCORE_NORMALISATION_"
    )
    similarity = _word(pb.Similarity.Name(defaults.get(objective, "similarity")), "SIMILARITY_")
    spectral = strategy in ("dpp", "ssd")
    if normalisation == "auto":
        normalisation = "zscore" if spectral else "minmax"
    return normalisation, spectral if similarity == "auto" else similarity == "cosine_shifted"


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _missing(message: pb.Policy, key: str) -> str:
    return _word(pb.MissingSignal.Name(defaults.get(message.signals, key)), "MISSING_SIGNAL_")


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
    unknown = _unknown(defaults.get_label(message, rule.attribute, "unknown"))
    return LabelRule(threshold, unknown, tuple(rule.values) or None, defaults.get(rule, "sensitive"))


def _default_label(labels: pb.Labels) -> LabelRule:
    return LabelRule(defaults.get(labels, "threshold"), _unknown(defaults.get(labels, "unknown")), None, False)


def _unknown(number: int) -> str:
    return _word(pb.UnknownLabel.Name(number), "UNKNOWN_LABEL_")
