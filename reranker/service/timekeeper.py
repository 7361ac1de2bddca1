"""Who comes too late, and what the engine is to know of time; learned from what answers take."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

import grpc

from reranker.engine import Pace, Paces, Schedule
from reranker.service.errors import Failure, retry_in
from reranker.service.wire import Call
from reranker.v1 import reranker_service_pb2 as messages


class Timekeeper:
    """Turns away who is too late and gives the others their schedule; learns from every answer.

    `degrades`: a request with too little time for its whole strategy gets the best slate that there is time for.
    """

    def __init__(self, degrades: bool = True, paces: Paces | None = None) -> None:
        self._degrades = degrades
        self._paces = Paces() if paces is None else paces
        self._rest = Pace()  # all but plan and select, by bytes: what no answer does without

    def admit(self, call: Call) -> Call:
        """The call, whose message is not read yet; raises `Failure` where it comes too late."""
        if call.deadline is None:
            return call
        needed, left = self._rest.expected(call.size), call.deadline - perf_counter()
        if needed is None or needed <= left:
            return call
        if self._rest.may_try():
            return call._replace(against_the_odds=True)
        text = f"to read and answer it takes about {1e3 * needed:.3g} ms here, and {1e3 * max(0.0, left):.3g} are left"
        raise Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_TIME", text, details=(retry_in(needed),))

    def schedule(self, call: Call, request: messages.RerankRequest, candidates: int) -> Schedule:
        """What the engine is to know of time."""
        reserve = self._answering(request).expected(candidates) or 0.0
        return Schedule(call.deadline, call.present, self._paces, reserve, self._degrades)

    def learn(
        self, call: Call, request: messages.RerankRequest, candidates: int, stages: Mapping[str, float], total: float
    ) -> None:
        """An answer took so many seconds in all, and by stage."""
        self._answering(request).learn(candidates, stages["report"] + stages["encode"])
        rest = total - stages["plan"] - stages["select"]
        if call.against_the_odds:
            self._rest.relearn(call.size, rest)
        else:
            self._rest.learn(call.size, rest)

    def _answering(self, request: messages.RerankRequest) -> Pace:
        """The pace of what comes when the slots are filled."""
        return self._paces.of(("answer", request.explain, request.measures))
