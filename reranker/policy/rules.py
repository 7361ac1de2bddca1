"""Rules that several blocks of a policy share: what is set, what is needed, target shares, declared domains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, TypeAlias

from google.protobuf.message import Message

from reranker.policy import defaults
from reranker.policy.mistakes import KeyPath, Mistakes, clipped, listed_in_part, quoted
from reranker.policy.vocabulary import entry_path, fraction_of
from reranker.v1 import policy_pb2

NamedValues: TypeAlias = list[tuple[KeyPath, str]]  # values with the paths that name them
_SLACK = Fraction(1, 10**6)  # shares written as decimals may add up to a little more than 1


def has(block: Message, key: str) -> bool:
    """Whether a block sets a key that asks for something: `at_least_one_of_each = false` does not."""
    if key == "target":
        target: Any = block  # a Quota, Calibration or Exposure
        return bool(target.target or target.target_source)
    if block.DESCRIPTOR.fields_by_name[key].is_repeated:
        return bool(getattr(block, key))
    return block.HasField(key) and getattr(block, key) is not False


def need(block: Message, path: KeyPath, keys: Iterable[str], mistakes: Mistakes) -> None:
    """Notes every key that the block lacks."""
    for key in keys:
        if not has(block, key) and not mistakes.excuse(path, key):
            mistakes.add(path, f"needs {key}")


def check_target(block: Any, path: KeyPath, mistakes: Mistakes) -> None:
    """Notes what is wrong with the target of a block: a Quota, Calibration or Exposure."""
    path = (*path, "target")
    if block.target and block.target_source:
        mistakes.add(path, "must be a source or a table of shares, not both")
    if any(not entry.value for entry in block.target):
        mistakes.add(path, "must name the value of every share")
    shares = [fraction_of(entry.share) for entry in block.target]
    if sum(share for share in shares if share is not None) > 1 + _SLACK:
        mistakes.add(path, "shares must add up to at most 1")


def table_values(entries: Iterable[Any], path: KeyPath) -> NamedValues:
    """The values that a table of bounds names."""
    return [(entry_path(path, entry.value), entry.value) for entry in entries if entry.value]


def list_values(values: Iterable[str], path: KeyPath) -> NamedValues:
    """The values that a list names."""
    return [((*path, index), value) for index, value in enumerate(values)]


def condition_values(where: Iterable[policy_pb2.Condition], path: KeyPath) -> Iterator[tuple[str, NamedValues]]:
    """The values that conditions name, by attribute."""
    for condition in where:
        yield condition.attribute, list_values(condition.values, (*path, condition.attribute))


def check_domain(policy: policy_pb2.Policy, attribute: str, named: NamedValues, mistakes: Mistakes) -> None:
    """Notes every value outside the domain that `[labels.<attribute>] values` declares, if it does."""
    domain = {value for own in policy.labels.attributes if own.attribute == attribute for value in own.values}
    if not domain:
        return
    if defaults.get_label(policy, attribute, "unknown") == policy_pb2.UNKNOWN_LABEL_GROUP:
        domain.add("unknown")
    known = listed_in_part(map(quoted, sorted(domain)))
    for path, value in named:
        if value not in domain:
            mistakes.add(
                path, f"{quoted(value)} is not a declared value of {clipped(attribute)}; [labels] lists {known}"
            )
