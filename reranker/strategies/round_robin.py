"""Round robin: one queue a group, by relevance; the group with the fewest picks comes next."""

from __future__ import annotations

from reranker.kernels.aspects import ROUND_ROBIN
from reranker.strategies.by_aspect import SlotStrategy


class RoundRobinStrategy(SlotStrategy):
    """Groups in turn, as in Pinterest's first re-ranker (Silva et al. 2023): in the order in which they occur upstream.

    Picks of relevance's slots, settled items and items of earlier pages count for their groups as well. An item with
    several values stands in several queues and counts for each. Items without a group come when all queues are empty.
    O(N a + C) a slot.
    """

    form = ROUND_ROBIN
