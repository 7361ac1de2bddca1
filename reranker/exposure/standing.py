"""How groups stand: their shares of attention beside those that were due, of groups that are large enough to show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from reranker.exposure.tally import GroupTally
from reranker.policy import Policy, defaults
from reranker.policy.exposure import seconds_of
from reranker.v1 import policy_pb2


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one attribute that a policy steers: the values it names, and how many items make one shown.

    `half_life` is in seconds.
    """

    policy: str
    attribute: str
    half_life: float
    values: frozenset[str]
    min_count: int


@lru_cache(256)
def shown_groups(policy: Policy) -> tuple[Groups, ...]:
    """What may be shown of a policy's `[[exposure]]` blocks; nothing of attributes that it calls sensitive."""
    message = policy.message
    return tuple(
        Groups(
            policy.name,
            block.attribute,
            seconds_of(defaults.get(block, "half_life")),
            frozenset(_named(message, block)),
            defaults.get(block, "min_count"),
        )
        for block in message.exposure
        if not defaults.get_label(message, block.attribute, "sensitive")
    )


def shares_of(tallies: Iterable[Mapping[str, GroupTally]], groups: Groups) -> Iterator[tuple[str, float, float]]:
    """Value, share of all attention, and share of all that was due, over several streams together."""
    sums: dict[str, GroupTally] = {}
    for tally in tallies:
        for value, group in tally.items():
            known = sums.get(value, GroupTally())
            sums[value] = GroupTally(
                exposure=known.exposure + group.exposure,
                target=known.target + group.target,
                items=known.items + group.items,
            )
    given, due = (sum(getattr(group, name) for group in sums.values()) for name in ("exposure", "target"))
    for value in sorted(groups.values & sums.keys()):
        group = sums[value]
        if group.items >= groups.min_count and given > 0.0:
            yield value, group.exposure / given, group.target / due if due > 0.0 else 0.0


def _named(message: policy_pb2.Policy, block: policy_pb2.Exposure) -> Iterator[str]:
    """Every value of the attribute that the policy names."""
    yield from (share.value for share in block.target)
    for labels in message.labels.attributes:
        if labels.attribute == block.attribute:
            yield from labels.values
    for quota in message.quotas:
        if quota.attribute == block.attribute:
            for bounds in (quota.min_share, quota.max_share, quota.target):
                yield from (bound.value for bound in bounds)
            for counts in (quota.min_count, quota.max_count):
                yield from (bound.value for bound in counts)
            yield from quota.values
