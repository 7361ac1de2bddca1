"""What is kept of each request, and the orders and answers that pass between the parent and its client processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import grpc
import numpy as np
from numpy.typing import NDArray

STAGES = ("decode", "policy", "signals", "plan", "select", "report", "encode", "total")
"""The server's own stages, in the order of `RerankResponse.timings`."""

RECORD = np.dtype(
    [
        ("due", np.int64),  # nanoseconds after the start, as are the next two
        ("sent", np.int64),
        ("done", np.int64),
        ("request", np.int32),  # which of the workload's bodies
        ("code", np.uint8),  # gRPC's number, or NOT_SENT
        ("degraded", np.bool_),
        ("stages", np.uint32, (len(STAGES),)),  # microseconds
    ]
)
Records: TypeAlias = NDArray[Any]
"""An array of RECORD."""

OK = int(grpc.StatusCode.OK.value[0])
DEADLINE_EXCEEDED = int(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])
NOT_SENT = 100
"""Our own code: too many requests of this process were unanswered, so this one never left it."""

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode} | {NOT_SENT: "NOT_SENT"}


def code_name(code: int) -> str:
    """The name of a record's code."""
    return _NAMES.get(code, str(code))


@dataclass(frozen=True)
class Order:
    """One run: `due` in nanoseconds after the start, and which body is sent at each; the deadline in seconds.

    `metadata` goes with every request.
    """

    address: str
    due: NDArray[np.int64]
    requests: NDArray[np.int32]
    deadline: float
    connections: int
    measured_from: int
    is_flood: bool = False
    metadata: tuple[tuple[str, str], ...] = ()

    def part(self, number: int, of: int) -> Order:
        """What one process sends."""
        return replace(self, due=self.due[number::of], requests=self.requests[number::of])


@dataclass(frozen=True)
class Ready:
    """The client is connected and waits for the start."""


@dataclass(frozen=True)
class Usage:
    """A client process between the first measured request and the last: CPU and wall-clock seconds."""

    cpu: float
    wall: float

    @property
    def share(self) -> float:
        """Of one core."""
        return self.cpu / self.wall if self.wall > 0 else 0.0


@dataclass(frozen=True)
class Finished:
    """The run is over for this client."""

    usage: Usage


@dataclass(frozen=True)
class Failed:
    """The run cannot be had from this client."""

    reason: str
