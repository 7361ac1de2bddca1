"""Prometheus metrics. Every label takes its values from a set that is known when the server starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from reranker.observability.compilations import CompilationCollector
from reranker.observability.exposure import ExposureMetrics
from reranker.observability.hurry import HurryMetrics
from reranker.observability.items import ItemMetrics
from reranker.observability.policies import PolicyMetrics
from reranker.observability.quality import QualityMetrics
from reranker.observability.store import StoreMetrics
from reranker.observability.tenants import TenantMetrics
from reranker.slate import Slate

SERVICE = "reranker.v1.RerankerService"
_OTHER_SERVICES = {
    "RecordImpressions": "reranker.v1.ExposureService",
    **dict.fromkeys(("Put", "Get", "Delete"), "reranker.v1.SignalService"),
}

# Dense where the latency budget is; Prometheus' own buckets start at 5 ms, where this service should end.
_SECONDS = (
    0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075,
    0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 1.0,
)  # fmt: skip
_STAGE_SECONDS = (0.00001, 0.000025, 0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)
_CANDIDATES = (10, 25, 50, 100, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000)
_SLOTS = (5, 10, 20, 25, 50, 100, 200, 500, 1_000)


class Metrics:
    """All metrics of one server in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        PlatformCollector(registry=self.registry)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(CompilationCollector())
        self._add_call_metrics()
        self._add_slate_metrics()
        self._add_catalog_metrics()
        self._add_after_metrics()
        self.policies = PolicyMetrics(self.registry)
        self.quality = QualityMetrics(self.registry)
        self.store = StoreMetrics(self.registry)
        self.tenants = TenantMetrics(self.registry)
        self.items = ItemMetrics(self.registry)
        self.exposure = ExposureMetrics(self.registry)
        self.hurry = HurryMetrics(self.registry)

    def _add_call_metrics(self) -> None:
        method = ("grpc_service", "grpc_method")
        registry = self.registry
        self._started = Counter("grpc_server_started", "RPCs begun.", method, registry=registry)
        self._handled = Counter(
            "grpc_server_handled", "RPCs ended, by code.", (*method, "grpc_code"), registry=registry
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "From the handler's first line to its last.",
            method,
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge("reranker_calls_in_flight", "RPCs being worked on.", registry=registry)
        self._shed = Counter(
            "reranker_shed", "Requests turned away for want of capacity, by reason.", ("reason",), registry=registry
        )
        self._stream_items = Counter(
            "reranker_stream_items", "Requests answered inside streams, by code.", ("grpc_code",), registry=registry
        )

    def _add_slate_metrics(self) -> None:
        registry = self.registry
        self._slates = Counter(
            "reranker_slates",
            "Slates, by how bounds fared; the arm is empty where routes dealt none.",
            ("policy", "status", "arm"),
            registry=registry,
        )
        self._stages = Histogram(
            "reranker_stage_seconds", "Where the time goes.", ("stage",), buckets=_STAGE_SECONDS, registry=registry
        )
        self._candidates = Histogram(
            "reranker_candidates", "Candidates per request.", buckets=_CANDIDATES, registry=registry
        )
        self._slots = Histogram("reranker_slate_size", "Items per slate.", buckets=_SLOTS, registry=registry)
        self._outcomes = Counter(
            "reranker_quota_outcomes",
            "Bounds, by what became of them and why.",
            ("status", "reason"),
            registry=registry,
        )
        self._missing = Counter(
            "reranker_missing_signals", "Signals that candidates lack, by kind.", ("kind",), registry=registry
        )
        self._degraded = Counter(
            "reranker_degraded",
            "Answers that are less than the policy asked for, by reason.",
            ("reason",),
            registry=registry,
        )
        self._refined = Counter(
            "reranker_refined_requests", "Slates of requests that a user narrowed by hand.", registry=registry
        )
        self._ready = Gauge("reranker_ready", "1 while the server takes requests.", registry=registry)
        self._warm_up = Gauge("reranker_warm_up_seconds", "How long the warm-up took.", registry=registry)

    def _add_catalog_metrics(self) -> None:
        registry = self.registry
        self._catalog_items = Gauge(
            "reranker_catalog_items", "Items of the catalog that serves; 0 without one.", registry=registry
        )
        self._catalog_built = Gauge(
            "reranker_catalog_built_timestamp_seconds", "When it was built; 0 without one.", registry=registry
        )
        self._catalog_loads = Counter(
            "reranker_catalog_loads",
            "New versions of the catalog that were taken over, or refused.",
            ("result",),
            registry=registry,
        )

    def _add_after_metrics(self) -> None:
        registry = self.registry
        self._after_queue = Gauge(
            "reranker_after_answer_queue",
            "Answers on their way to a consumer, waiting or being worked on.",
            ("consumer",),
            registry=registry,
        )
        self._after_taken = Counter(
            "reranker_after_answer_taken", "Answers that a consumer has dealt with.", ("consumer",), registry=registry
        )
        self._after_dropped = Counter(
            "reranker_after_answer_dropped",
            "Answers that a consumer lost: its queue was full, it failed, or the server stopped.",
            ("consumer", "reason"),
            registry=registry,
        )

    def call_started(self, method: str) -> None:
        """An RPC begins; `method` is one of the service's own."""
        self._started.labels(service_of(method), method).inc()
        self._in_flight.inc()

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """It ends, after so many seconds; `code` is the gRPC code's name as Go spells it, e.g. InvalidArgument."""
        self._handled.labels(service_of(method), method, code).inc()
        self._seconds.labels(service_of(method), method).observe(seconds)
        self._in_flight.dec()

    def call_refused(self, method: str, code: str) -> None:
        """An RPC was turned away at the door: it counts as begun and ended, and its time, next to none, not at all."""
        self._started.labels(service_of(method), method).inc()
        self._handled.labels(service_of(method), method, code).inc()

    def request_shed(self, reason: str) -> None:
        """A request was turned away for want of capacity; `reason` is what its error says."""
        self._shed.labels(reason).inc()

    def stream_item(self, code: str) -> None:
        """One request inside a stream was answered."""
        self._stream_items.labels(code).inc()

    def slate_made(
        self, policy: str, candidates: int, slate: Slate, stages: Mapping[str, float], arm: str = ""
    ) -> None:
        """A slate was made of so many candidates; `stages` are seconds by stage, `arm` is what routes dealt."""
        report = slate.report
        known = self.policies.known
        self._slates.labels(known(policy), report.status.value, arm and known(arm)).inc()
        self._candidates.observe(candidates)
        self._slots.observe(len(slate))
        for stage, seconds in stages.items():
            self._stages.labels(stage).observe(seconds)
        for outcome in report.quotas:
            self._outcomes.labels(outcome.status.value, outcome.reason.value if outcome.reason else "NONE").inc()
        self._count_missing("embedding", report.signals.missing_embeddings)
        self._count_missing("unknown_id", report.signals.unknown_ids)
        self._count_missing("attribute", len(report.signals.absent_attributes))
        self._count_missing("attribute_value", sum(report.signals.unknown_values.values()))

    def degraded(self, reason: str) -> None:
        """An answer was less than the policy asked for; `reason` is that of the wire, in small letters."""
        self._degraded.labels(reason).inc()

    def refined_request(self) -> None:
        """A user had narrowed the request of a slate by hand: nothing of what or how is kept."""
        self._refined.inc()

    def catalog_serves(self, items: int, built: float) -> None:
        """A catalog of so many items, built at that time in seconds of the epoch, serves from now on."""
        self._catalog_items.set(items)
        self._catalog_built.set(built)

    def catalog_loaded(self, result: str) -> None:
        """A new version came: `result` is "loaded" or "refused"."""
        self._catalog_loads.labels(result).inc()

    def watch_after_queue(self, consumer: str, length: Callable[[], int]) -> None:
        """`length` says from now on how many answers are on their way to a consumer of what happens after them."""
        self._after_queue.labels(consumer).set_function(length)
        self._after_taken.labels(consumer)
        for reason in ("full", "failed", "shutdown"):
            self._after_dropped.labels(consumer, reason)

    def after_taken(self, consumer: str, answers: int) -> None:
        """A consumer has dealt with so many answers."""
        self._after_taken.labels(consumer).inc(answers)

    def after_dropped(self, consumer: str, reason: str, answers: int) -> None:
        """A consumer lost so many; `reason` is "full", "failed" or "shutdown"."""
        self._after_dropped.labels(consumer, reason).inc(answers)

    def set_ready(self, ready: bool) -> None:
        """Whether the server takes requests."""
        self._ready.set(1 if ready else 0)

    def warmed_up(self, seconds: float) -> None:
        """The warm-up is done."""
        self._warm_up.set(seconds)

    def _count_missing(self, kind: str, count: int) -> None:
        if count:
            self._missing.labels(kind).inc(count)


def service_of(method: str) -> str:
    """The full name of the service that has this method."""
    return _OTHER_SERVICES.get(method, SERVICE)
