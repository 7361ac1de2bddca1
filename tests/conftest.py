"""Fixtures that several rooms' tests share: a served policy folder, a warm server in this process, a channel to it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from hypothesis import settings

from loadtest.servers.valkey import Valkey, running_valkey
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings

# Machines are busy, and the first example may compile kernels: how long one takes says nothing.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# A suite that was started in the background ignores signals, and so would the programs whose signals it tests.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

QUOTA_POLICY = """
name = "tones"
about = { purpose = "every tone on the first page" }
[objective]
strategy = "mmr"
diversity = 0.3
[[quotas]]
attribute = "tone"
at_least_one_of_each = true
"""
FAILING_POLICY = """
name = "demanding"
[[quotas]]
attribute = "tone"
min_count = { nobody = 1 }
[on_infeasible]
mode = "fail"
"""


@pytest.fixture(scope="session")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policies")
    (folder / "tones.toml").write_text(QUOTA_POLICY)
    (folder / "demanding.toml").write_text(FAILING_POLICY)
    return folder


@pytest.fixture(scope="session")
def server(policies: Path) -> Iterator[Server]:
    settings = Settings(
        listen="127.0.0.1:0", admin="127.0.0.1:0", policies=policies, streams=2, max_message_bytes=8 << 20, grace=1.0
    )
    running = Server(settings)
    running.warm_up()
    yield running
    running.drain()


@pytest.fixture(scope="session")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address, [("grpc.max_send_message_length", -1)]) as open_channel:
        yield open_channel


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with running_valkey() as running:
        yield running
