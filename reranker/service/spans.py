"""What a span says of a request and its answer: as much as the log may."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message

from reranker.observability.observer import is_fault
from reranker.observability.traces import Tracer
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1 import slate_pb2

INLINE = "inline"
"""The policy of a request that brought one along: its name is the caller's."""
_STAGES = [field.name for field in messages.StageTimings.DESCRIPTOR.fields if field.name != "total_us"]


class Spans:
    """Gives requests that have ended to a tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def ended(
        self,
        method: str,
        metadata: Iterable[tuple[str, str | bytes]] | None,
        started: float,
        code: str,
        request: Message | None,
        response: Message | None,
        *,
        refined: bool,
    ) -> None:
        """A request of a method, by its full name, has ended; of one that a user `refined` nothing is said of what."""
        attributes: dict[str, str | int] = {}
        stages: dict[str, int] = {}
        asked, answered = _inside(request, "request"), _inside(response, "response")
        told = code == "OK" and not refined
        if told and isinstance(asked, messages.RerankRequest) and isinstance(answered, messages.RerankResponse):
            inline = asked.HasField("inline_policy")
            attributes = {
                "reranker.policy": INLINE if inline else answered.policy_name,
                "reranker.revision": answered.policy_revision,
                "reranker.arm": answered.arm,
                "reranker.status": slate_pb2.SlateStatus.Name(answered.status).removeprefix("SLATE_STATUS_"),
                "reranker.slate_size": len(answered.positions),
            }
            timings = answered.timings
            stages = {name.removesuffix("_us"): getattr(timings, name) for name in _STAGES if getattr(timings, name)}
        self._tracer.ended(method, metadata, started, code, is_fault(code), attributes, stages)


def _inside(message: Message | None, field: str) -> Any:
    """The message that one of a stream carries, or the message itself."""
    return getattr(message, field, message)
