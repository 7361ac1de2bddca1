"""The one object that the edge reports to; it feeds the metrics and the log."""

from __future__ import annotations

import itertools
import logging
import re
import threading
import time
from collections.abc import Mapping

from reranker.observability.logs import hashed, log
from reranker.observability.metrics import Metrics
from reranker.slate import Rung, Slate

_CLIENT_CODES = frozenset(
    {
        "InvalidArgument",
        "NotFound",
        "FailedPrecondition",
        "DeadlineExceeded",
        "Unavailable",
        "Canceled",
        "Unauthenticated",
        "PermissionDenied",
    }
)
_SHED = frozenset(
    {"QUEUE_FULL", "WAIT_TOO_LONG", "NO_TIME", "TOO_MANY_STREAMS", "DEADLINE_SPENT", "TENANT_LIMIT"}
)  # reasons that more capacity would mend
_AT_ONCE = frozenset({"NO_TIME", "DEADLINE_SPENT", "TENANT_LIMIT"})
"""Refused before any work, so that there may be thousands of these a second as well."""
_SECONDS_BETWEEN_LINES = 1.0  # about calls that are refused at the door: there may be thousands a second
_NAMED_INDEX = re.compile(r"\[[^\]\d][^\]]*\]")  # a path's index that is a name: it may be an attribute value


class Observer:
    """Counts every call, logs every failure and, of the calls that succeed, one in `log_every` (0: none)."""

    def __init__(self, metrics: Metrics, log_every: int = 0) -> None:
        self.metrics = metrics
        self._log_every = log_every
        self._slates = itertools.count(1)
        self._refusals = threading.Lock()
        self._refused = 0
        self._next_line = 0.0

    def call_started(self, method: str) -> None:
        """An RPC begins."""
        self.metrics.call_started(method)

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """An RPC ends."""
        self.metrics.call_ended(method, code, seconds)

    def call_refused(self, method: str, code: str, reason: str) -> None:
        """An RPC is turned away before it begins; the log has a line a second about them, with their count."""
        self.metrics.call_refused(method, code)
        if reason in _SHED:
            self.metrics.request_shed(reason)
        self._log_refusal(method, code, reason)

    def _log_refusal(self, method: str, code: str, reason: str) -> None:
        with self._refusals:
            self._refused += 1
            now = time.monotonic()
            if now < self._next_line:
                return
            count, self._refused, self._next_line = self._refused, 0, now + _SECONDS_BETWEEN_LINES
        log(logging.WARNING, "calls refused", method=method, code=code, reason=reason, calls=count)

    def request_failed(
        self,
        method: str,
        code: str,
        reason: str,
        *,
        request_id: str = "",
        error: BaseException | None = None,
        violations: tuple[str, ...] = (),
        error_id: str = "",
    ) -> None:
        """One request got a status instead of an answer; `violations` are field paths, `error` gives its frames."""
        if reason in _SHED:
            self.metrics.request_shed(reason)
        if reason in _AT_ONCE:
            self._log_refusal(method, code, reason)
            return
        level = logging.ERROR if is_fault(code) else logging.WARNING
        fields: dict[str, object] = {"method": method, "code": code, "reason": reason, "request": hashed(request_id)}
        if violations:
            fields |= {
                "violations": len(violations),
                "fields": [_NAMED_INDEX.sub("[*]", path) for path in violations[:8]],
            }
        if error_id:
            fields["error_id"] = error_id
        log(level, "request failed", error, **fields)

    def looked_up(self, counts: Mapping[str, int], *, degraded: bool) -> None:
        """A request by reference asked for items, which so many sources answered for; `degraded`: or could not."""
        self.metrics.items.looked_up(counts)
        if degraded:
            self.metrics.degraded("signals")

    def slate_made(
        self,
        policy: str,
        candidates: int,
        slate: Slate,
        stages: Mapping[str, float],
        request_id: str = "",
        *,
        arm: str = "",
        refined: bool = False,
        error_ratio: float | None = None,
    ) -> None:
        """A request got its slate, in the `arm` that routes dealt; one that a user `refined` is never logged.

        `error_ratio` is how many times the expected seconds its slots took; None where nothing was expected.
        """
        self.metrics.slate_made(policy, candidates, slate, stages, arm)
        self.metrics.hurry.made(slate.report.rung, error_ratio)
        if slate.report.rung is not Rung.WHOLE:
            self.metrics.degraded("deadline")
        if slate.report.exposure_late:
            self.metrics.degraded("exposure")
        if refined:
            self.metrics.refined_request()
            return
        self.metrics.quality.made(policy, candidates, slate)
        if self._log_every and next(self._slates) % self._log_every == 0:
            log(
                logging.INFO,
                "slate",
                request=hashed(request_id),
                policy=slate.report.policy_name,
                revision=slate.report.policy_revision,
                arm=arm,
                candidates=candidates,
                slate_size=len(slate),
                status=slate.report.status.value,
                rung=slate.report.rung.value,
                stage_us={stage: round(seconds * 1e6) for stage, seconds in stages.items()},
            )


def is_fault(code: str) -> bool:
    """Whether a gRPC code is an error of ours; the others are the caller's, or nobody's."""
    return code != "OK" and code not in _CLIENT_CODES
