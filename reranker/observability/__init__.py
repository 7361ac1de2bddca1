"""What operators see: metrics for Prometheus and one JSON line per error on standard error."""

from reranker.observability.observer import Observer

__all__ = ["Observer"]
