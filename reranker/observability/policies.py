"""Metrics of the policies: which serve, whether newer ones are refused, whose review is due, what shadows did."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from reranker.policy.model import UPSTREAM

OTHER_POLICY = "other"
"""The policy label of policies that are sent along or that nobody knows."""

_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class PolicyMetrics:
    """Feeds a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._known: frozenset[str] = frozenset()
        self._infos: set[tuple[Gauge, tuple[str, ...]]] = set()
        self._info = Gauge(
            "reranker_policy_info", "1 for each policy that serves.", ("policy", "revision"), registry=registry
        )
        self._routes_info = Gauge(
            "reranker_routes_info", "1 for the routes that serve; absent without any.", ("revision",), registry=registry
        )
        self._book_info = Gauge(
            "reranker_policies_info", "1 for all policies and routes together.", ("revision",), registry=registry
        )
        self._reloads = Counter(
            "reranker_policy_reloads",
            "New policies or routes that were taken over (loaded) or not (refused).",
            ("result",),
            registry=registry,
        )
        for result in ("loaded", "refused"):
            self._reloads.labels(result)
        self._refused = Gauge(
            "reranker_policies_refused",
            "1 while the newest policies are refused and the last good ones serve.",
            registry=registry,
        )
        self._overdue = Gauge(
            "reranker_policy_review_overdue", "1 for each policy past its review_by.", ("policy",), registry=registry
        )
        self._line = Gauge(
            "reranker_policy_register_line",
            "The last line of the store's register of published policies that was read; 0 for none.",
            registry=registry,
        )
        self._age = Gauge(
            "reranker_policy_register_age_seconds",
            "How long ago the register was last read; 0 without a store.",
            registry=registry,
        )
        self._shadows = Counter(
            "reranker_shadow_slates",
            "Slates made beside an answer, by how bounds fared; FAILED: none could be made.",
            ("policy", "status"),
            registry=registry,
        )
        self._changed = Histogram(
            "reranker_shadow_changed_share",
            "The share of the slots that a policy would have filled otherwise than the answer did.",
            ("policy",),
            buckets=_SHARES,
            registry=registry,
        )

    def serve(self, policies: Iterable[tuple[str, str]], routes: str = "", book: str = "") -> None:
        """These (name, revision) pairs serve from now on, and no others; `routes`, `book`: their revisions, if any."""
        served = list(policies)
        self._known = frozenset((*(name for name, _ in served), *((UPSTREAM,) if routes else ())))
        infos: set[tuple[Gauge, tuple[str, ...]]] = {(self._info, pair) for pair in served}
        infos |= {(info, (text,)) for info, text in ((self._routes_info, routes), (self._book_info, book)) if text}
        for info, labels in infos - self._infos:
            info.labels(*labels).set(1)
        for info, labels in self._infos - infos:  # last, so that no scrape finds nothing
            info.remove(*labels)
        self._infos = infos

    def reloaded(self, result: str) -> None:
        """New ones came: `result` is "loaded" or "refused"."""
        self._reloads.labels(result).inc()

    def refuse(self, refused: bool) -> None:
        """Whether the newest ones are refused."""
        self._refused.set(refused)

    def overdue(self, policies: Iterable[str]) -> None:
        """The policies past their review, of those that serve."""
        self._overdue.clear()
        for name in policies:
            self._overdue.labels(name).set(1)

    def follow_register(self, age: Callable[[], float]) -> None:
        """There is a register; `age` says how many seconds ago it was last read."""
        self._age.set_function(age)

    def register_read(self, line: int) -> None:
        """It was read up to this line."""
        self._line.set(line)

    def shadow_made(self, policy: str, status: str, changed: float | None = None) -> None:
        """A slate was made beside an answer; `changed` is the share of its slots that differ from the answer's."""
        self._shadows.labels(self.known(policy), status).inc()
        if changed is not None:
            self._changed.labels(self.known(policy)).observe(changed)

    def known(self, name: str) -> str:
        """The name as a label: one that serves, or `other`."""
        return name if name in self._known else OTHER_POLICY
