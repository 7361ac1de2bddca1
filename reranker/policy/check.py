"""Whether the words of a policy make sense together. Bounds that conflict only as numbers are left to the run time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from reranker.policy import check_quotas, defaults
from reranker.policy.aspects import BY_ASPECT
from reranker.policy.mistakes import KeyPath, Mistakes, listed
from reranker.policy.ranges import CONTROLS, check_word
from reranker.policy.rules import check_domain, check_target, condition_values, has, need, table_values
from reranker.policy.vocabulary import enum_word, set_words
from reranker.texts import has_controls
from reranker.v1 import policy_pb2

_CONTEXT_KEYS = ("surface", "language", "country", "intent")

_MOST_BLOCKS = 1000  # of one kind
_MOST_BOUNDS = 1000
_BLOCKS = ("similarity_signals", "quotas", "spacings", "decays", "exposure")
_SERVED = {"similarity_signals": 8, "spacings": 16, "decays": 16, "exposure": 8}  # each looks at all candidates


def check(policy: policy_pb2.Policy, mistakes: Mistakes) -> None:
    """Notes every mistake of a policy message: ranges, impossible mixes, values outside a declared domain."""
    _check_unknown_fields(policy, mistakes)
    _check_each_word(policy, mistakes)
    _check_objective(policy, mistakes)
    for index, signal in enumerate(policy.similarity_signals):
        _check_similarity_signal(signal, ("similarity_signals", index), mistakes)
    for values in condition_values(policy.guard.where, ("guard", "where")):
        check_domain(policy, *values, mistakes)
    for index, quota in enumerate(policy.quotas):
        check_quotas.check_quota(policy, quota, ("quotas", index), mistakes)
    bounds = sum(max(1, check_quotas.bounds_of(quota)) for quota in policy.quotas)
    bounds += sum(len(exposure.target) for exposure in policy.exposure)
    if bounds > _MOST_BOUNDS:
        mistakes.add(("quotas",), f"name {bounds} bounds in all; at most {_MOST_BOUNDS} can be kept in time")
    for word, most in _SERVED.items():
        if len(getattr(policy, word)) > most:
            mistakes.add((word,), f"has {len(getattr(policy, word))} blocks; at most {most} can be served in time")
    for path, block, keys in _blocks_with_needs(policy):
        need(block, path, keys, mistakes)
    for path, target in _blocks_with_target(policy):
        check_target(target, path, mistakes)
        check_domain(policy, target.attribute, table_values(target.target, (*path, "target")), mistakes)
    _check_exposure(policy, mistakes)
    if policy.shadow.HasField("policy") and policy.shadow.policy == policy.name:
        mistakes.add(("shadow", "policy"), "must be another policy than this one")


def first_blocks(policy: policy_pb2.Policy, mistakes: Mistakes) -> policy_pb2.Policy:
    """The policy, or one with so many blocks of each kind as can be checked while somebody waits; notes the others."""
    crowded = [(kind, count) for kind, blocks in _blocks(policy) if (count := len(blocks)) > _MOST_BLOCKS]
    if not crowded:
        return policy
    for kind, count in crowded:
        reason = f"must be at most {_MOST_BLOCKS} blocks, are {count}; those beyond are not looked at"
        mistakes.add((kind,), reason)
    first = policy_pb2.Policy()
    first.CopyFrom(policy)
    for _, blocks in _blocks(first):
        del blocks[_MOST_BLOCKS:]
    return first


def _blocks(policy: policy_pb2.Policy) -> list[tuple[str, Any]]:
    """The lists of blocks, by kind."""
    return [("labels", policy.labels.attributes), *((kind, getattr(policy, kind)) for kind in _BLOCKS)]


def _check_unknown_fields(policy: policy_pb2.Policy, mistakes: Mistakes) -> None:
    known = policy_pb2.Policy()
    known.CopyFrom(policy)
    known.DiscardUnknownFields()
    if known.ByteSize() != policy.ByteSize():
        mistakes.add((), "carries fields that this release does not know; a newer one wrote it")


def _check_each_word(policy: policy_pb2.Policy, mistakes: Mistakes) -> None:
    seen: set[KeyPath] = set()
    for word in set_words(policy):
        check_word(word, mistakes)
        if word.path in seen:
            mistakes.add(word.path, "is given twice")
        name = word.path[-1]  # of an attribute or a value, where it is not a key's own
        if name == "":
            mistakes.add(word.path[:-1], "an attribute's name must not be empty")
        elif isinstance(name, str) and has_controls(name):
            mistakes.add(word.path, CONTROLS)
        seen.add(word.path)


def _check_objective(policy: policy_pb2.Policy, mistakes: Mistakes) -> None:
    strategy = defaults.get(policy.objective, "strategy")
    if policy.objective.sample and strategy != policy_pb2.STRATEGY_DPP:
        mistakes.add(("objective", "sample"), 'goes with strategy = "dpp" only')
    if policy.objective.sample and policy.objective.window:
        mistakes.add(("objective", "sample"), "draws the whole slate at once: goes with window = 0 only")
    signals = policy.similarity_signals
    if policy.objective.sample and (len(signals) > 1 or any(signal.HasField("attribute") for signal in signals)):
        mistakes.add(("objective", "sample"), "draws by one embedding: does not go with a mix of similarity_signals")
    calibrated = strategy == policy_pb2.STRATEGY_CALIBRATED
    if calibrated and not policy.HasField("calibration") and not mistakes.excuse((), "calibration"):
        mistakes.add(("objective", "strategy"), "calibrated needs a [calibration] block")
    by_aspect = enum_word(policy_pb2.Strategy.DESCRIPTOR, strategy) in BY_ASPECT
    if policy.HasField("calibration") and not by_aspect and not mistakes.excuse(("objective",), "strategy"):
        mistakes.add(("calibration",), "goes with strategy = calibrated, xquad, pm2, dum or round_robin only")


def _check_exposure(policy: policy_pb2.Policy, mistakes: Mistakes) -> None:
    first: dict[str, int] = {}
    for index, exposure in enumerate(policy.exposure):
        if not set(exposure.per) <= set(_CONTEXT_KEYS):
            mistakes.add(("exposure", index, "per"), f"must be from {listed(_CONTEXT_KEYS, 'and')}")
        if exposure.attribute and first.setdefault(exposure.attribute, index) < index:
            reason = f"is steered by exposure[{first[exposure.attribute]}] already: one attribute has one target"
            mistakes.add(("exposure", index, "attribute"), reason)


def _check_similarity_signal(signal: policy_pb2.SimilaritySignal, path: KeyPath, mistakes: Mistakes) -> None:
    named, attribute = signal.HasField("signal"), signal.HasField("attribute")
    if named and attribute:
        mistakes.add(path, "has both signal and attribute: keep one")
    elif not named and not attribute:
        if not mistakes.excuse(path, "signal", "attribute"):
            mistakes.add(path, "needs signal, an embedding's name, or attribute")
    elif not mistakes.excuse(path, "kind"):
        cosine = defaults.get(signal, "kind") == policy_pb2.SIMILARITY_KIND_COSINE
        if named and not cosine:
            mistakes.add((*path, "kind"), "must be cosine for an embedding")
        if attribute and cosine:
            mistakes.add((*path, "kind"), "must be equality, jaccard, ordinal or prefix for an attribute")


def _blocks_with_needs(policy: policy_pb2.Policy) -> Iterator[tuple[KeyPath, Message, tuple[str, ...]]]:
    for index, spacing in enumerate(policy.spacings):
        yield ("spacings", index), spacing, ("attribute", "penalty", "window")
    for index, decay in enumerate(policy.decays):
        yield ("decays", index), decay, ("attribute", "factor")
    for path, block in _blocks_with_target(policy):
        yield path, block, ("attribute", "target")
    if has(policy, "shadow"):
        yield ("shadow",), policy.shadow, ("policy", "fraction")


def _blocks_with_target(policy: policy_pb2.Policy) -> Iterator[tuple[KeyPath, Any]]:
    if has(policy, "calibration"):
        yield ("calibration",), policy.calibration
    for index, exposure in enumerate(policy.exposure):
        yield ("exposure", index), exposure
