"""What the reader of a verdict has to know before its numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reranker.replay.comparison import Comparison
    from reranker.replay.plan import Plan


def before_the_numbers(manifest: dict[str, Any], plan: Plan, compared: Collection[str], recorded: Any) -> list[str]:
    """What a reader has to know before the numbers: that the catalog has gone on since, and what is not steered."""
    from reranker.replay.plan import unsteered

    found = []
    now = manifest["catalog_version"]
    other = sum(count for version, count in recorded.items() if version != now)
    if other:
        versions = ", ".join(sorted(version for version in recorded if version != now))
        found.append(
            f"{other:,} of {manifest['records']:,} requests were recorded with another version of the catalog "
            f"({versions}; this replay: {now or 'none'}): their items may have changed since, and slates are not those "
            "that were served"
        )
    targets = [label for label in unsteered(plan.entries) if label in compared]
    if targets:
        found.append(
            f"{' and '.join(targets)}: exposure targets are replayed as quotas on each slate: a server with a ledger "
            "steers them across requests, at less cost and nearer to the target (docs/exposure.md)"
        )
    return found


def not_there(plan: Plan, found: Comparison, providers: Sequence[str]) -> list[str]:
    """Attributes that a policy or a flag names and of which no candidate has a value: a slip of the pen, most often."""
    known = {group.attribute for group in found.groups if group.value and group.candidates}
    absent = sorted({*plan.yardstick.attributes}.difference(known, providers))
    if not absent:
        return []
    return [f"no candidate has a value of {' or '.join(absent)}: nothing that follows is about it"]
