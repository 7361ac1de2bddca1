"""The gRPC server of one process: its channel options, its services, its port."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from reranker.runtime.ports import CannotListen, why_not
from reranker.runtime.settings import Settings
from reranker.service import exposure, signals
from reranker.service.health import OnPool
from reranker.service.servicer import SERVICE


def grpc_server(settings: Settings, pool: ThreadPoolExecutor, *, shares_port: bool) -> grpc.Server:
    """A server without services; `shares_port` lets siblings listen where it does."""
    options = [
        # Alone, a second server on the port must fail, not take half of the connections.
        ("grpc.so_reuseport", int(shares_port)),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        # What a connection asks for beyond that is turned away before Python hears of it, or waits at the caller. With
        # `grpc.http.overload_protection` off it waits there, always: under overload nothing is in time then.
        ("grpc.max_concurrent_streams", settings.max_concurrent_calls),
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # clients of ours ping every 30 s
    ]
    if settings.seconds_a_connection_lives:
        options.append(("grpc.max_connection_age_ms", round(settings.seconds_a_connection_lives * 1_000)))
    return grpc.server(pool, options=options)


def add_reflection(server: grpc.Server, pool: ThreadPoolExecutor) -> None:
    """Let the server describe its services."""
    names = (SERVICE, exposure.SERVICE, signals.SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    servicer = reflection.ReflectionServicer(names)
    # Each reflection stream holds a thread; on a pool of its own it cannot take one from the requests.
    servicer.ServerReflectionInfo = OnPool(servicer.ServerReflectionInfo, pool)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)


def listen(server: grpc.Server, address: str, credentials: grpc.ServerCredentials | None, *, shares_port: bool) -> int:
    """Open the port, with TLS if there are credentials; returns its number. Raises `CannotListen`."""
    cause = "" if shares_port else why_not(address)  # asked first: gRPC prints lines of its own when it fails
    if cause:
        raise CannotListen("gRPC", address, cause)
    try:
        if credentials is not None:
            return server.add_secure_port(address, credentials)
        return server.add_insecure_port(address)
    except RuntimeError:
        raise CannotListen("gRPC", address, why_not(address) or "gRPC does not say why") from None
