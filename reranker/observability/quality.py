"""Metrics of what slates are like: bounds they fall short of, labels that are missing, variety and representation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite

from prometheus_client import CollectorRegistry, Counter, Summary

from reranker.observability.policies import OTHER_POLICY
from reranker.slate import BoundKind, GroupMeasures, ListMeasures, OrderMeasures, OutcomeStatus, Slate, SlateMeasures

# None of these is ever negative: a sum that can fall would be a counter that cannot be told from one started anew.
_LIST = ("ndcg", "intra_list_average_distance", "vendi_score")
_CHANGE = ("rank_biased_overlap", "mean_displacement")
_GROUP = ("div", "ndkl", "value_coverage", "label_coverage")


class QualityMetrics:
    """Feeds a registry. Attributes are labels only where a policy that serves names them, values never."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attributes: Mapping[str, frozenset[str]] = {}
        subject = ("policy", "attribute")
        self._deficit = Counter(
            "reranker_quota_deficit",
            "Items by which slates fell short of hard lower bounds.",
            subject,
            registry=registry,
        )
        self._over_fetch = Counter(
            "reranker_over_fetch_hint",
            "Further candidates that would have let broken lower bounds hold.",
            subject,
            registry=registry,
        )
        self._candidates = Counter(
            "reranker_label_candidates",
            "Candidates under a policy, by whether they carry an attribute that it names.",
            (*subject, "labelled"),
            registry=registry,
        )
        self._list = Summary(
            "reranker_slate_measure",
            "Measures of sampled slates (order: after) and of the upstream order (before); the mean is sum / count.",
            ("policy", "order", "measure"),
            registry=registry,
        )
        self._group = Summary(
            "reranker_group_measure",
            "Measures of representation in sampled slates, by attribute; the mean is sum / count.",
            (*subject, "order", "measure"),
            registry=registry,
        )

    def serve(self, attributes: Mapping[str, Iterable[str]]) -> None:
        """These policies serve from now on, and name these attributes: no others become labels."""
        self._attributes = {policy: frozenset(names) for policy, names in attributes.items()}

    def made(self, policy: str, candidates: int, slate: Slate) -> None:
        """A slate was made of so many candidates, of a request that no user narrowed."""
        for outcome in slate.report.quotas:
            if outcome.status is OutcomeStatus.BROKEN and outcome.bound is BoundKind.LOWER and not outcome.soft:
                labels = self._known(policy, outcome.attribute)
                self._deficit.labels(*labels).inc(max(0.0, outcome.required - outcome.achieved))
                self._over_fetch.labels(*labels).inc(outcome.over_fetch)
        signals = slate.report.signals
        missing = {**dict.fromkeys(signals.absent_attributes, candidates), **signals.unknown_values}
        for attribute, unlabelled in missing.items():
            labels = self._known(policy, attribute)
            self._candidates.labels(*labels, "no").inc(unlabelled)
            self._candidates.labels(*labels, "yes").inc(candidates - unlabelled)

    def measured(self, policy: str, measures: SlateMeasures) -> None:
        """The slate of one answer in some was measured."""
        served = policy if policy in self._attributes else OTHER_POLICY
        for order, found in (("before", measures.before), ("after", measures.after)):
            for measure, value in _numbers(found, _LIST):
                self._list.labels(served, order, measure).observe(value)
            for group in found.groups.values():
                labels = self._known(policy, group.attribute)
                for measure, value in _numbers(group, _GROUP):
                    self._group.labels(*labels, order, measure).observe(value)
        for measure, value in _numbers(measures.change, _CHANGE):
            self._list.labels(served, "after", measure).observe(value)

    def _known(self, policy: str, attribute: str) -> tuple[str, str]:
        """Both as labels: `other` for what no policy that serves has named."""
        attributes = self._attributes.get(policy)
        if attributes is None:
            return OTHER_POLICY, OTHER_POLICY
        return policy, attribute if attribute in attributes else OTHER_POLICY


def _numbers(found: ListMeasures | GroupMeasures | OrderMeasures, names: Iterable[str]) -> Iterator[tuple[str, float]]:
    for name in names:
        value = getattr(found, name)
        if value is not None and isfinite(value):
            yield name, float(value)
