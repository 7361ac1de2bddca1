"""The exposure ledger written down as it is meant: a list of what was served, added up anew for every question."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

from reranker.exposure.tally import GroupTally, Served, Tally, TallyKey


@dataclass
class NaiveLedger:
    """Slates by request id, the first of each alone, and which slots were seen, the first report alone."""

    served: dict[str, tuple[float, tuple[Served, ...]]] = field(default_factory=dict)
    seen: dict[str, frozenset[int]] = field(default_factory=dict)

    def serve(self, request_id: str, time: float, served: tuple[Served, ...]) -> None:
        self.served.setdefault(request_id, (time, served))

    def see(self, request_id: str, slots: frozenset[int]) -> str:
        """What the service says of these impressions."""
        if request_id not in self.served:
            self.seen.setdefault(request_id, slots)
            return "unknown"
        if request_id in self.seen:
            return "repeated"
        self.seen[request_id] = slots
        return "recorded"

    def tally(self, key: TallyKey, half_life: float, now: float) -> Tally | None:
        requests = 0.0
        groups: dict[str, list[float]] = defaultdict(lambda: [0.0] * 5)
        is_known = False
        for request_id, (time, parts) in self.served.items():
            for part in parts:
                if part.key != key or part.half_life != half_life:
                    continue
                is_known = True
                decay = 2.0 ** (-(now - time) / half_life)
                requests += decay
                for value, price in part.prices.items():
                    groups[value][4] += decay * price
                for slot, values in enumerate(part.values, start=1):
                    if request_id in self.seen and slot not in self.seen[request_id]:
                        continue
                    attention = 1.0 / math.log2(part.before + slot + 1)
                    for value in values:
                        groups[value][0] += decay * attention
                        groups[value][1] += decay * part.relevance[slot - 1]
                        groups[value][3] += decay
                    for value, share in part.shares.items():
                        groups[value][2] += decay * share * attention * len(values)
        return Tally(now, requests, {value: GroupTally(*sums) for value, sums in groups.items()}) if is_known else None
