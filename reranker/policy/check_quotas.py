"""Whether the words of one quota block make sense together."""

from __future__ import annotations

from collections.abc import Mapping

from reranker.policy import defaults
from reranker.policy.mistakes import KeyPath, Mistakes, listed
from reranker.policy.rules import check_domain, check_target, condition_values, has, list_values, need, table_values
from reranker.v1 import policy_pb2

_TABLES = ("min_share", "max_share", "min_count", "max_count")
_BOUNDS = (*_TABLES, "at_least_one_of_each", "target", "max_per_value", "max_similarity", "fair_star")
# A key on the left asks for something only beside one of the keys on the right.
_COMPANIONS: Mapping[str, tuple[str, ...]] = {
    "tolerance": ("target",),
    "generator": ("target",),
    "values": ("at_least_one_of_each",),
    "window": ("max_per_value", "max_similarity"),
    "within": (*_TABLES, "at_least_one_of_each", "target"),
}
_NEED_ATTRIBUTE = ("at_least_one_of_each", "target", "max_per_value", "fair_star", "min_coverage")


def check_quota(policy: policy_pb2.Policy, quota: policy_pb2.Quota, path: KeyPath, mistakes: Mistakes) -> None:
    """Notes every mistake of one block of bounds."""
    if not any(has(quota, bound) for bound in _BOUNDS) and not mistakes.excuse(path, *_BOUNDS):
        mistakes.add(path, f"sets no bound: give it {listed(_BOUNDS)}")
    if has(quota, "max_similarity"):
        _check_similarity_block(quota, path, mistakes)
    else:
        _check_subject(quota, path, mistakes)
    _check_companions(quota, path, mistakes)
    _check_fair_star(quota, path, mistakes)
    check_target(quota, path, mistakes)
    _check_labels(policy, quota, path, mistakes)
    _check_domains(policy, quota, path, mistakes)


def bounds_of(quota: policy_pb2.Quota) -> int:
    """How many bounds a block names; a target share is two."""
    shares = len(quota.min_share) + len(quota.max_share) + 2 * len(quota.target)
    return shares + len(quota.min_count) + len(quota.max_count) + len(quota.values)


def _check_similarity_block(quota: policy_pb2.Quota, path: KeyPath, mistakes: Mistakes) -> None:
    others = [key for key in ("attribute", "where", *_BOUNDS) if key != "max_similarity" and has(quota, key)]
    if others:
        mistakes.add(path, f"max_similarity has a block of its own: {listed(others, 'and')} must not be in it")


def _check_subject(quota: policy_pb2.Quota, path: KeyPath, mistakes: Mistakes) -> None:
    attribute, where = has(quota, "attribute"), has(quota, "where")
    if attribute and where:
        mistakes.add(path, "has both attribute and where: keep one; where alone names an intersection of attributes")
    elif attribute:
        _check_tables(quota, path, mistakes)
    elif where:
        _check_bare_bounds(quota, path, mistakes)
    elif not mistakes.excuse(path, "attribute", "where"):
        mistakes.add(path, "needs attribute, or where for an intersection of attributes")


def _check_tables(quota: policy_pb2.Quota, path: KeyPath, mistakes: Mistakes) -> None:
    for key in _TABLES:
        if any(not entry.value for entry in getattr(quota, key)):
            example = '{ "value" = 2 }' if key.endswith("count") else '{ "value" = 0.2 }'
            mistakes.add((*path, key), f"must name its values, such as {example}; a bare number goes with where")


def _check_bare_bounds(quota: policy_pb2.Quota, path: KeyPath, mistakes: Mistakes) -> None:
    for key in _TABLES:
        if any(entry.value for entry in getattr(quota, key)):
            mistakes.add((*path, key), "must be a bare number: with where it bounds the intersection as a whole")
    for key in _NEED_ATTRIBUTE:
        if has(quota, key) and getattr(quota, key):
            mistakes.add((*path, key), "needs attribute: it does not go with where")


def _check_companions(quota: policy_pb2.Quota, path: KeyPath, mistakes: Mistakes) -> None:
    for key, companions in _COMPANIONS.items():
        asks = has(quota, key) and getattr(quota, key)  # at 0 it asks for nothing
        if asks and not any(has(quota, other) for other in companions) and not mistakes.excuse(path, *companions):
            mistakes.add((*path, key), f"goes with {listed(companions)} only")


def _check_fair_star(quota: policy_pb2.Quota, path: KeyPath, mistakes: Mistakes) -> None:
    if quota.HasField("fair_star"):
        need(quota.fair_star, (*path, "fair_star"), ("protected", "proportion", "significance"), mistakes)


def _check_labels(policy: policy_pb2.Policy, quota: policy_pb2.Quota, path: KeyPath, mistakes: Mistakes) -> None:
    attributes = [quota.attribute, *(condition.attribute for condition in quota.where)]
    counts = {defaults.get_label(policy, attribute, "count") for attribute in attributes}
    if policy_pb2.LABEL_COUNT_EXPECTED not in counts:
        return
    for key in ("min_count", "at_least_one_of_each"):
        if has(quota, key):
            reason = 'does not go with labels counted as "expected": ten items at probability 0.2 are not two of them'
            mistakes.add((*path, key), reason)


def _check_domains(policy: policy_pb2.Policy, quota: policy_pb2.Quota, path: KeyPath, mistakes: Mistakes) -> None:
    named = [value for key in (*_TABLES, "target") for value in table_values(getattr(quota, key), (*path, key))]
    named += list_values(quota.values, (*path, "values"))
    named += list_values(quota.fair_star.protected, (*path, "fair_star", "protected"))
    check_domain(policy, quota.attribute, named, mistakes)
    for attribute, values in condition_values(quota.where, (*path, "where")):
        check_domain(policy, attribute, values, mistakes)
