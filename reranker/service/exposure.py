"""`ExposureService`, and the way of answers into the exposure ledger."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc

from reranker.codec.limits import Limits
from reranker.engine import exposure_given
from reranker.errors import InvalidInput, RerankerError, Violation
from reranker.exposure.board import Board
from reranker.exposure.ledger import STREAMS, Counts, Impression, Ledger, LedgerUnavailable
from reranker.exposure.receipt import Receipt, make_receipt
from reranker.exposure.states import bits_of
from reranker.exposure.stream import Stream
from reranker.exposure.tally import Served
from reranker.observability.logs import log
from reranker.observability.metrics import Metrics
from reranker.policy.model import UPSTREAM
from reranker.service.after import Answered
from reranker.service.errors import Failure, retry_in
from reranker.service.wire import Call, Wire
from reranker.v1 import exposure_service_pb2 as messages

SERVICE = "reranker.v1.ExposureService"

SPOOL = 100_000  # receipts, of some hundred bytes each, while the ledger cannot be written
_BATCH = 256
_WRITE_SECONDS = 2.0  # for one batch, beside the requests
_CALL_SECONDS = 5.0  # for the impressions of one call, if its deadline leaves that much
_RETRY_SECONDS = 1


class LedgerFeed:
    """Takes answers to the ledger: a consumer of what happens after them.

    A receipt is made at once, so that nothing of the request is kept alive, and waits in a spool while the ledger
    cannot be written; what finds the spool full is lost, and counted. Whoever calls `flush` now and then finds out when
    it can be written again: answers do not wait for that one after another, or their lane would overflow first.
    """

    name = "ledger"

    def __init__(self, ledger: Ledger, board: Board, metrics: Metrics, spool: int = SPOOL) -> None:
        self._ledger, self._board, self._metrics = ledger, board, metrics.exposure
        self._most = spool
        self._spool: deque[Receipt] = deque()
        self._writing = threading.Lock()
        self._is_away = False

    def wants(self, answered: Answered) -> bool:
        """Slates of policies that steer exposure, and the upstream order beside which such policies are compared.

        Not of a policy that was sent along: its name is the caller's word.
        """
        return answered.is_yardstick or (bool(answered.trace.exposure) and not answered.is_inline)

    def take(self, batch: Sequence[Answered]) -> None:
        """Make receipts, and write them if the ledger can be written."""
        for answered in batch:
            given = _beside(answered) if answered.is_yardstick else answered.trace.exposure
            served = self._known_or_new(given)
            if not given:
                continue
            if not served:
                self._metrics.slates("streams", 1)
            elif len(self._spool) >= self._most:
                self._metrics.slates("spool_full", 1)
            else:
                self._spool.append(make_receipt(answered.request.request_id, answered.time, served))
        if self._is_away:
            self._metrics.spooled(len(self._spool))
        else:
            self.flush()

    def flush(self) -> bool:
        """Write what waits; False when the ledger cannot be written now. One thread writes, others find it done."""
        with self._writing:
            try:
                while self._spool:
                    self._write([self._spool[n] for n in range(min(_BATCH, len(self._spool)))])
            except LedgerUnavailable as error:
                self._is_away = True
                self._metrics.failed("slates", error.reason)
                return False
            finally:
                self._metrics.spooled(len(self._spool))
            self._is_away = False
        return True

    def rest(self) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """Write what waits; what cannot be written now is lost."""
        if not self.flush():
            self._metrics.slates("shutdown", len(self._spool))
            log(logging.WARNING, "slates lost to the exposure ledger", slates=len(self._spool))
            self._spool.clear()

    def _write(self, receipts: list[Receipt]) -> None:
        try:
            counts = self._ledger.record(receipts, _WRITE_SECONDS)
        except LedgerUnavailable:
            raise
        except Exception:  # they would fail each time, and everything behind them with them
            self._drop(receipts)
            self._metrics.slates("failed", len(receipts))
            raise
        self._drop(receipts)
        self._metrics.slates("new", counts.new)
        self._metrics.slates("repeated", counts.repeated)

    def _drop(self, receipts: list[Receipt]) -> None:
        for _ in receipts:
            self._spool.popleft()

    def _known_or_new(self, served: Sequence[Served]) -> Sequence[Served]:
        """Without streams that the ledger lacks, once it has so many: context values are callers', and without end."""
        known = self._board.streams
        if len(known) < STREAMS:
            return served
        return [part for part in served if Stream(part.key, part.half_life) in known]


def _beside(answered: Answered) -> Sequence[Served]:
    """What the upstream order gave to the groups of each other arm's policy, in streams of the arm `upstream`."""
    found: list[Served] = []
    for policy in answered.shadows:
        with suppress(RerankerError):  # the policy refuses these candidates, as it would have refused the request
            positions = answered.slate.positions
            found += exposure_given(answered.candidates, policy, positions, answered.context, UPSTREAM)
    return found


class ExposureServicer:
    """Answers messages; raises what `errors.failure_of` knows."""

    def __init__(self, ledger: Ledger, limits: Limits, metrics: Metrics) -> None:
        self._ledger, self._limits, self._metrics = ledger, limits, metrics.exposure

    def record_impressions(
        self, request: messages.RecordImpressionsRequest, call: Call
    ) -> messages.RecordImpressionsResponse:
        """Reconcile what was seen. When this returns, it is written; a call that fails may be made again as it is."""
        found: list[Violation] = []
        self._check(request, found)
        if found:
            raise InvalidInput(found)
        impressions = [Impression(one.request_id, bits_of(one.seen_slots)) for one in request.impressions]
        counts = self._write(impressions, call)
        for result, count in (("new", counts.new), ("repeated", counts.repeated), ("unknown", counts.unknown)):
            self._metrics.impressions(result, count)
        return messages.RecordImpressionsResponse(
            recorded=counts.new, repeated_ids=counts.repeated, unknown_ids=counts.unknown
        )

    def _write(self, impressions: list[Impression], call: Call) -> Counts:
        if not impressions:
            return Counts()
        left = call.seconds_left(_CALL_SECONDS)
        try:
            return self._ledger.record_impressions(impressions, left)
        except LedgerUnavailable as error:
            self._metrics.failed("impressions", error.reason)
            raise Failure(
                grpc.StatusCode.UNAVAILABLE,
                "LEDGER_UNAVAILABLE",
                "the exposure ledger cannot be written now; send the same impressions again",
                metadata={"cause": error.reason},
                details=(retry_in(_RETRY_SECONDS),),
            ) from None

    def _check(self, request: messages.RecordImpressionsRequest, found: list[Violation]) -> None:
        limits = self._limits
        if len(request.impressions) > limits.impressions:
            reason = f"must be at most {limits.impressions}, is {len(request.impressions)}"
            found.append(Violation("impressions", reason))
            return
        for number, one in enumerate(request.impressions):
            path = f"impressions[{number}]"
            if not 0 < len(one.request_id) <= limits.text_length:
                reason = f"must have 1 to {limits.text_length} characters"
                found.append(Violation(f"{path}.request_id", reason))
            if len(one.seen_slots) > limits.slate_size:
                found.append(Violation(f"{path}.seen_slots", f"must be at most {limits.slate_size}"))
            elif one.seen_slots and not (min(one.seen_slots) >= 1 and max(one.seen_slots) <= limits.slate_size):
                found.append(Violation(f"{path}.seen_slots", f"must be slots from 1 to {limits.slate_size}"))


def handlers(servicer: ExposureServicer, wire: Wire) -> grpc.GenericRpcHandler:
    """The service as gRPC wants it."""
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "RecordImpressions": wire.unary(
            "RecordImpressions", messages.RecordImpressionsRequest, servicer.record_impressions, stores=True
        )
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)
