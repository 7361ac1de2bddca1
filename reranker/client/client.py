"""The client: one call with a deadline, and the upstream order when the answer does not come."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, TypeAlias

import grpc

from reranker.client.columns import from_columns, recent_items
from reranker.client.context import MIRRORABLE, may_be_mirrored
from reranker.client.failures import CALLERS_MISTAKES, exception_of
from reranker.client.security import Tls, is_loopback
from reranker.client.slate import ClientSlate, from_response, upstream
from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.context_pb2 import Context
from reranker.v1.exposure_service_pb2 import RecordImpressionsRequest, RecordImpressionsResponse
from reranker.v1.exposure_service_pb2_grpc import ExposureServiceStub
from reranker.v1.policy_pb2 import Policy
from reranker.v1.reranker_service_pb2 import PolicyOverrides, RerankRequest
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from reranker.v1.signal_service_pb2 import DeleteRequest, PutRequest
from reranker.v1.signal_service_pb2_grpc import SignalServiceStub

OnError: TypeAlias = Literal["upstream", "raise"]

_LOGGER = logging.getLogger("reranker.client")
# Slates change nothing, and impressions count once: asking again is safe. It is worth it where a server leaves or a
# connection broke: UNAVAILABLE, or CANCELLED for a call that met a server in the moment of its closing (callers of ours
# cannot cancel). The attempts outlast the 0.1 s for which gRPC leaves an address alone after a connection that failed.
# The throttle sees to it that a server that is gone is not asked again for long.
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": "reranker.v1.RerankerService"}, {"service": "reranker.v1.ExposureService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.01s",
                "maxBackoff": "0.06s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}
_OPTIONS: Mapping[str, int | str] = {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.keepalive_permit_without_calls": 1,
    # A server that restarts is back within a second; gRPC's own back-off would leave it alone for up to two minutes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2_000,
    "grpc.service_config": json.dumps(_SERVICE_CONFIG),
    "grpc.per_rpc_retry_buffer_size": 16 << 20,  # larger requests are sent once; gRPC's own limit is 256 KiB
}


class Client:
    """Asks a server for slates; safe to use from many threads, cheap to keep, made once a process.

    `deadline` is in seconds and covers one call. With `on_error="upstream"`, `rerank` never raises for what the server
    or the network did: the page gets the upstream order around the items that the request fixes, flagged
    `CLIENT_FALLBACK`. Such answers are counted by gRPC code: in `fallbacks` where the server or the network failed, in
    `rejections` where the request itself is wrong and will be refused every time; of those, the first of each code is
    logged as a warning. With `"raise"`, `rerank` raises `InvalidInput`, `UnknownPolicy` or `ServerError`.

    `tls` is what the channel trusts and shows of itself, `credentials` any other gRPC channel credentials; without
    either the channel is plain text. `token`, or what it returns at each call, goes along as a bearer token; over plain
    text it is sent to this machine only. `metadata` goes with every call; `options` are further gRPC channel options.
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        deadline: float = 0.25,
        on_error: OnError = "upstream",
        credentials: grpc.ChannelCredentials | None = None,
        tls: Tls | None = None,
        token: str | Callable[[], str] | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if on_error not in ("upstream", "raise"):
            raise ValueError('on_error must be "upstream" or "raise"')
        if not deadline > 0:
            raise ValueError("deadline must be more than 0 seconds")
        if tls is not None:
            if credentials is not None:
                raise ValueError("tls and credentials are two ways to say the same: give one of them")
            credentials = tls.credentials()
        if any(key.lower() == MIRRORABLE for key, _ in metadata):
            raise ValueError(f"{MIRRORABLE} is said of each request by itself: leave it out of metadata")
        if token is not None and credentials is None and not is_loopback(target):
            raise ValueError("a token goes over TLS, or to this machine: give tls or credentials")
        self._token = token
        self.fallbacks: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self._deadline = deadline
        self._on_error = on_error
        self._metadata = tuple(metadata)
        self._lock = threading.Lock()
        channel_options = list({**_OPTIONS, **(options or {})}.items())
        if credentials is None:
            self._channel = grpc.insecure_channel(target, channel_options)
        else:
            self._channel = grpc.secure_channel(target, credentials, channel_options)
        self._stub = RerankerServiceStub(self._channel)
        self._exposure = ExposureServiceStub(self._channel)
        self._signals = SignalServiceStub(self._channel)

    def rerank(
        self,
        candidates: CandidateList,
        slate_size: int,
        policy: str | Policy | None = None,
        *,
        explain: bool = False,
        measures: bool = False,
        overrides: PolicyOverrides | None = None,
        context: Context | None = None,
        omit_cursor: bool = False,
        request_id: str = "",
        deadline: float | None = None,
    ) -> ClientSlate:
        """One slate of `candidates` by `policy`: a name, a message sent along, or None for the server's `default`.

        `explain` and `measures` ask for explanations and measures, which are in the slate's `response`. `context` is
        what `request_context` makes. `omit_cursor` saves the making and sending of a cursor where no page follows.
        `deadline` replaces the client's for this call. `ValueError` when a number does not fit into its field.
        """
        request = RerankRequest(
            request_id=request_id,
            candidates=candidates,
            slate_size=slate_size,
            explain=explain,
            measures=measures,
            overrides=overrides,
            context=context,
            omit_cursor=omit_cursor,
        )
        if isinstance(policy, Policy):
            request.inline_policy.CopyFrom(policy)
        elif policy is not None:
            request.policy_name = policy
        metadata = (*self._call_metadata(), (MIRRORABLE, "1")) if may_be_mirrored(context) else self._call_metadata()
        try:
            response = self._stub.Rerank(request, timeout=deadline or self._deadline, metadata=metadata)
        except grpc.RpcError as error:
            failure = exception_of(error)
            if self._on_error == "raise":
                raise failure from error
            self._count(error.code(), failure)
            return upstream(candidates, slate_size, failure, context)
        return from_response(candidates, response)

    def record_impressions(
        self, seen: Mapping[str, Iterable[int]], *, deadline: float | None = None
    ) -> RecordImpressionsResponse:
        """Report which slots of slates were seen, counted from 1, by request id; none where nothing of one was.

        Returns how many reports were new, known already, or of requests that the server does not know. Whatever
        `on_error` says, it raises `InvalidInput` or `ServerError` when the server or the network fails: what is not
        reported stays counted as seen in full, and the same reports can be sent again.
        """
        request = RecordImpressionsRequest()
        for request_id, slots in seen.items():
            request.impressions.add(request_id=request_id, seen_slots=slots)
        try:
            answer: RecordImpressionsResponse = self._exposure.RecordImpressions(
                request, timeout=deadline or self._deadline, metadata=self._call_metadata()
            )
        except grpc.RpcError as error:
            raise exception_of(error) from error
        return answer

    def put_items(
        self,
        ids: Iterable[Any],
        embeddings: Any = None,
        attributes: Mapping[str, Any] | None = None,
        *,
        half_precision: bool = False,
        deadline: float | None = None,
    ) -> int:
        """Add or replace items in the server's store, in the words of `from_columns`; returns how many.

        Whatever `on_error` says, it raises `InvalidInput` or `ServerError`; then some may have been put, and all can be
        put again.
        """
        listed = list(ids)
        items = from_columns(listed, [0.0] * len(listed), embeddings, attributes, half_precision=half_precision)
        return int(self._signal("Put", PutRequest(items=items), deadline).stored)

    def delete_items(self, ids: Iterable[Any], *, deadline: float | None = None) -> int:
        """Erase items: from the store, from what servers remember, from the catalog that is served; returns how many.

        Whatever `on_error` says, it raises `InvalidInput` or `ServerError`; then some may remain, and all can be
        deleted again.
        """
        named = recent_items(ids)
        request = DeleteRequest(item_ids=named.item_ids, item_numbers=named.item_numbers)
        return int(self._signal("Delete", request, deadline).deleted)

    def wait_until_ready(self, timeout: float) -> bool:
        """Wait until the server says that it serves; False when it does not within `timeout` seconds."""
        from grpc_health.v1 import health_pb2, health_pb2_grpc

        watch = health_pb2_grpc.HealthStub(self._channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=timeout, wait_for_ready=True
        )
        try:
            return any(answer.status == health_pb2.HealthCheckResponse.SERVING for answer in watch)
        except grpc.RpcError:
            return False
        finally:
            watch.cancel()

    def close(self) -> None:
        """Close the channel; calls under way end with an error."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _signal(self, method: str, request: PutRequest | DeleteRequest, deadline: float | None) -> Any:
        try:
            call = getattr(self._signals, method)
            return call(request, timeout=deadline or self._deadline, metadata=self._call_metadata())
        except grpc.RpcError as error:
            raise exception_of(error) from error

    def _call_metadata(self) -> tuple[tuple[str, str], ...]:
        if self._token is None:
            return self._metadata
        token = self._token if isinstance(self._token, str) else self._token()
        return (*self._metadata, ("authorization", f"Bearer {token}"))

    def _count(self, code: grpc.StatusCode, failure: Exception) -> None:
        with self._lock:
            counter = self.rejections if code in CALLERS_MISTAKES else self.fallbacks
            counter[code.name] += 1
            first = counter[code.name] == 1
        if first and counter is self.rejections:
            _LOGGER.warning("the server refuses these requests; the page gets the upstream order: %s", failure)
