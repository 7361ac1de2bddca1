"""The admin port among clients who connect and say nothing."""

from __future__ import annotations

import logging
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus

import pytest

from reranker.runtime.admin import BACKLOG, TEXT, AdminServer, Reply
from reranker.runtime.ports import admin_socket


@pytest.fixture
def admin() -> Iterator[AdminServer]:
    pages = {"/healthz": lambda _: Reply(HTTPStatus.OK, TEXT, b"ok\n")}
    running = AdminServer(admin_socket("127.0.0.1:0", BACKLOG), pages)
    yield running
    running.close()


def healthy(admin: AdminServer) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{admin.port}/healthz", timeout=5) as reply:
        return bool(reply.status == 200)


def test_silent_clients_cost_a_bounded_number_of_threads_and_nobody_an_answer(admin: AdminServer) -> None:
    before = threading.active_count()
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", admin.port))) for _ in range(100)]
        assert healthy(admin)
        time.sleep(0.1)
        assert threading.active_count() - before <= 32
        silent[0].settimeout(5)
        assert silent[0].recv(1) == b""  # the oldest made room
        silent[-1].sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        silent[-1].settimeout(5)
        assert silent[-1].recv(100).startswith(b"HTTP/1.0 200")
    assert healthy(admin)


def test_what_goes_wrong_is_logged_as_everything_is(
    admin: AdminServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("reranker.runtime.admin._Handler.timeout", 0.1)
    logging.getLogger("reranker").propagate = True
    with caplog.at_level(logging.INFO, logger="reranker"):
        with socket.create_connection(("127.0.0.1", admin.port), timeout=5) as silent:
            assert silent.recv(1) == b""
        with socket.create_connection(("127.0.0.1", admin.port), timeout=5) as garbage:
            garbage.sendall(b"GET /?token=secret word HTTP/1.0\r\n\r\n")
            assert b"400" in garbage.recv(4_096)
    assert {record.getMessage() for record in caplog.records} == {"admin request failed"}
    assert "timed out" in str(vars(caplog.records[0])["fields"])
    assert vars(caplog.records[1])["fields"] == {"problem": "Bad Request"}
    assert capsys.readouterr().err == ""
