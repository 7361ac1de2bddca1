"""The request log as the settings want it."""

from __future__ import annotations

import os
import socket

from reranker.observability.metrics import Metrics
from reranker.observability.request_log import RequestLogMetrics
from reranker.requestlog.rotation import RotatingLog
from reranker.requestlog.veil import Veil
from reranker.runtime.settings import Settings
from reranker.service.request_log import RequestLogger


def request_loggers(settings: Settings, metrics: Metrics) -> list[RequestLogger]:
    """The consumer of answers that records them; none where nothing is to be recorded. Raises `MissingExtra`."""
    if settings.request_log is None or settings.request_log_sample == 0.0:
        return []
    folder = RotatingLog(
        settings.request_log,
        settings.request_log_file_bytes,
        settings.request_log_file_seconds,
        settings.request_log_keep_days,
        settings.request_log_format,
    )
    veil = Veil(
        f"{socket.gethostname()}-{os.getpid()}", settings.request_log_sample, plain_ids=settings.request_log_plain_ids
    )
    return [RequestLogger(folder, veil, RequestLogMetrics(metrics.registry), settings.request_log_sample)]
