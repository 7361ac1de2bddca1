"""What of a request and its answer may be written down: ids only as hashes under a key that nobody keeps."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from hashlib import blake2b

from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.request_log_pb2 import RequestLog
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse

PERIOD = 86_400.0
"""Seconds after which a key gives way to the next: nobody can follow a unit from one day to the next."""
_HASH = 16  # bytes of a text's hash; a number's has eight


class Veil:
    """Makes records of answers. With `plain_ids` ids stay as they are: for traffic in which they tell nobody anything.

    Otherwise request ids, units and item ids become hashes under a random key that changes with every period, lives in
    this process alone and is never written: equal ids of one period have equal hashes, which is what a replay needs,
    and nothing can be tried against them afterwards. Item ids that the request looks up in the catalog stay readable,
    as a replay has to look them up again.
    """

    def __init__(
        self, origin: str, sampling_rate: float, plain_ids: bool = False, new_key: Callable[[], bytes] | None = None
    ) -> None:
        self._origin, self._sampling_rate, self._plain = origin, sampling_rate, plain_ids
        self._new_key = new_key or (lambda: secrets.token_bytes(32))
        self._period, self._key = -1, b""

    def record(self, time: float, request: RerankRequest, response: RerankResponse) -> RequestLog:
        """One answer as a record: a copy without the cursor, and without what a replay makes anew.

        What a user narrowed by hand is the caller's to keep away from here (rule 12): it raises `ValueError`.
        """
        if request.context.refinement:
            raise ValueError("a refined request is never recorded")
        log = RequestLog(request=request, response=response)
        log.metadata.time.FromNanoseconds(round(time * 1e9))
        log.metadata.sampling_rate = self._sampling_rate
        log.metadata.origin = self._origin
        for field in ("request_id", "item_ids", "item_numbers", "measures", "explanations", "cursor", "notes"):
            log.response.ClearField(field)  # positions say which items
        log.request.context.ClearField("cursor")
        if request.context.without_profiling:  # nothing of these was used, and nothing of them is kept
            log.request.context.ClearField("unit")
            log.request.context.ClearField("recent")
        if self._plain:
            return log
        self._turn(time)
        sent = log.request
        if sent.request_id:
            log.metadata.request_hash = self._hash(sent.request_id.encode())
            sent.ClearField("request_id")
        if sent.context.unit:
            sent.context.unit = self._hash(sent.context.unit.encode()).hex()
        if not (sent.candidates.HasField("catalog") or sent.context.recent.HasField("catalog")):
            self._hide_items(sent)
        return log

    def _turn(self, time: float) -> None:
        period = int(time // PERIOD)
        if period != self._period:
            self._period, self._key = period, self._new_key()

    def _hide_items(self, request: RerankRequest) -> None:
        lists: Iterable[CandidateList] = [request.candidates]
        if request.context.HasField("recent"):
            lists = [request.candidates, request.context.recent]
        for items in lists:
            if items.item_ids:
                items.item_ids[:] = [self._text(item) for item in items.item_ids]
            if items.item_numbers:
                items.item_numbers[:] = [self._number(item) for item in items.item_numbers]
        for fixed in request.context.fixed:
            if fixed.HasField("item_number"):
                fixed.item_number = self._number(fixed.item_number)
            elif fixed.item_id:
                fixed.item_id = self._text(fixed.item_id)

    def _hash(self, data: bytes, size: int = _HASH) -> bytes:
        return blake2b(data, digest_size=size, key=self._key).digest()

    def _text(self, item: str) -> str:
        return self._hash(item.encode()).hex()

    def _number(self, item: int) -> int:
        return int.from_bytes(self._hash(item.to_bytes(8, "little"), 8), "little")
