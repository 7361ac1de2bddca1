"""A worker: one server among siblings on one port, in a process that the supervisor forked when all was compiled."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import Any

from reranker.errors import RerankerError
from reranker.observability.logs import configure
from reranker.runtime.children import listen_to_supervisor, tell_supervisor
from reranker.runtime.inputs import Inputs
from reranker.runtime.life import live, refuse, stop_on
from reranker.runtime.link import Answer, answer
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings


def work(settings: Settings, inputs: Inputs, number: int, control: socket.socket) -> int:
    """Serve as worker `number` until SIGTERM, or until the supervisor is gone; returns the exit code."""
    configure(settings.log_level, worker=number)
    stop = stop_on(signal.SIGTERM)
    inputs.renew()
    try:
        server = Server(settings, inputs, worker=number)
    except RerankerError as error:
        return refuse(error)

    def metrics(accept: str) -> Answer:
        return Answer(*server.metrics(accept))

    def sections(_: str) -> Answer:
        return Answer("application/json", json.dumps(server.sections()).encode())

    def hear(message: dict[str, Any], files: list[int]) -> None:
        if "alive" in message:
            tell_supervisor(control, alive=True)
        for file in files:
            answer(socket.socket(fileno=file), {"metrics": metrics, "sections": sections})

    def on_ready() -> None:
        tell_supervisor(control, state=server.state(), policies=server.policy_names)

    def on_drain() -> None:
        tell_supervisor(control, state="DRAINING")

    listen_to_supervisor(control, hear, on_end=lambda: os.kill(os.getpid(), signal.SIGTERM))
    return live(server, stop, on_ready, on_drain)
