"""What the demo adds up over requests: measures before and after, how the quotas fared, and the client's own clock."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse
from reranker.v1.slate_pb2 import SlateStatus


@dataclass
class Results:
    """Sums over the answers to one kind of request under one policy."""

    policy: str
    label: str
    attribute: str
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    ceiling: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    distance_before: list[float] = field(default_factory=list)
    distance_after: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    def add(self, answer: RerankResponse) -> None:
        """Take one answer in; it was asked for with measures."""
        was, now = answer.measures.before, answer.measures.after
        for old, new in zip(was.groups, now.groups, strict=True):
            if old.attribute == self.attribute:
                self.before.append(old.div)
                self.after.append(new.div)
                self.ceiling.append(new.div_ceiling)
        if answer.HasField("relevance_retained"):
            self.kept.append(answer.relevance_retained)
        if was.HasField("intra_list_average_distance"):
            self.distance_before.append(was.intra_list_average_distance)
            self.distance_after.append(now.intra_list_average_distance)
        self.statuses[SlateStatus.Name(answer.status).removeprefix("SLATE_STATUS_")] += 1

    @property
    def requests(self) -> int:
        """How many answers were taken in."""
        return self.statuses.total()

    def share(self, *statuses: str) -> float:
        """Share of the answers with one of these statuses."""
        return sum(self.statuses[status] for status in statuses) / self.requests

    def row(self) -> list[str]:
        """One line of the table; the header is `HEADER`."""
        return [
            f"  {self.label}",
            f"{self.requests:,}",
            mean(self.before),
            mean(self.after),
            mean(self.ceiling),
            percent(fmean(self.kept)) if self.kept else "–",
            f"{mean(self.distance_before, 2)} → {mean(self.distance_after, 2)}",
            percent(self.share("SATISFIED")),
            percent(self.share("SUPPLY_LIMITED")),
        ]


HEADER = ["", "requests", "before", "after", "ceiling", "kept", "distance", "met", "short"]


@dataclass
class Clock:
    """Seconds that the client waited for answers under one policy, and what it had sent."""

    policy: str
    seconds: list[float] = field(default_factory=list)
    candidates: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)

    def add(self, seconds: float, request: RerankRequest) -> None:
        """Take one call in."""
        self.seconds.append(seconds)
        self.candidates.append(len(request.candidates.scores))
        self.sent.append(request.ByteSize())

    def row(self) -> list[str]:
        """One line of the table; the header is `CLOCK_HEADER`."""
        return [
            self.policy,
            f"{len(self.seconds):,}",
            f"{quantile(self.candidates, 0.5):,.0f}",
            f"{max(self.candidates):,}",
            f"{quantile(self.sent, 0.5) / 1e3:.0f} kB",
            f"{1e3 * quantile(self.seconds, 0.5):.2f} ms",
            f"{1e3 * quantile(self.seconds, 0.99):.2f} ms",
        ]


CLOCK_HEADER = ["policy", "requests", "candidates p50", "max", "payload p50", "latency p50", "latency p99"]


def quantile(numbers: Sequence[float], share: float) -> float:
    """The smallest number that at least `share` of the numbers do not exceed."""
    ordered = sorted(numbers)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def mean(numbers: Sequence[float], digits: int = 3) -> str:
    """The mean as text, a dash when there is nothing to average."""
    return f"{fmean(numbers):.{digits}f}" if numbers else "–"


def percent(share: float) -> str:
    """A share as text, never rounded up to all or down to nothing."""
    if 0.0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1.0:
        return ">99.9 %"
    return f"{100 * share:.1f} %"
