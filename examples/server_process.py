"""The real server as a process of its own: started on a free port, awaited until it serves, always stopped."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).resolve().parent.parent
_LISTENING = re.compile(r"listening on ([^\s,;]+)")
_SECONDS_TO_LISTEN = 60.0
_SECONDS_TO_SERVE = 240.0  # the very first warm-up compiles every kernel
_SECONDS_TO_STOP = 20.0


class ServerFailed(Exception):
    """The server did not come up; the text has the end of its log."""


class RunningServer(NamedTuple):
    """Where it listens, and its process id."""

    address: str
    pid: int


@contextmanager
def running_server(policies: Path) -> Iterator[str]:
    """Start `server.py` with these policies and give its address once it serves; it is stopped whatever happens.

    Raises `ServerFailed` when it leaves, or does not serve in time.
    """
    with running_process(policies) as server:
        yield server.address


@contextmanager
def running_process(policies: Path, flags: Sequence[str] = (), tree: Path = ROOT) -> Iterator[RunningServer]:
    """The same with more flags, from any tree of the sources, with the process id."""
    command = [sys.executable, "server.py", "--listen", "127.0.0.1:0", "--admin", "off", "--policies", str(policies)]
    command += flags
    with tempfile.TemporaryFile("w+") as errors:
        # A session of its own: Ctrl-C reaches this process alone, which then stops the server in good order.
        process = subprocess.Popen(
            command, cwd=tree, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
        try:
            address = _await_address(process)
            _await_serving(process, address)
        except _NotUp as reason:
            _stop(process)
            errors.seek(0)
            raise ServerFailed(f"{reason}\n{''.join(errors.readlines()[-15:])}".rstrip()) from None
        except BaseException:
            _stop(process)
            raise
        try:
            yield RunningServer(address, process.pid)
        finally:
            _stop(process)


class _NotUp(Exception):
    """Why the server is not there."""


def _await_address(process: subprocess.Popen[str]) -> str:
    """The address from the line in which the server says where it listens."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_forward, args=(process, lines), daemon=True).start()
    until = time.monotonic() + _SECONDS_TO_LISTEN
    while (left := until - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except queue.Empty:
            break
        if line is None:
            raise _NotUp(f"the server left with exit code {process.wait()}")
        if found := _LISTENING.search(line):
            return found.group(1)
    raise _NotUp(f"the server did not listen within {_SECONDS_TO_LISTEN:.0f} seconds")


def _forward(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Read the server's output to its end, so that it never waits for a reader."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _await_serving(process: subprocess.Popen[str], address: str) -> None:
    """Ask for health until the answer is SERVING: from then on nothing compiles."""
    until = time.monotonic() + _SECONDS_TO_SERVE
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < until:
            if process.poll() is not None:
                raise _NotUp(f"the server left with exit code {process.returncode} while it warmed up")
            try:
                answer = health.Check(health_pb2.HealthCheckRequest(), timeout=2.0)
            except grpc.RpcError:
                pass
            else:
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            time.sleep(0.05)
    raise _NotUp(f"the server was not ready within {_SECONDS_TO_SERVE:.0f} seconds")


def _stop(process: subprocess.Popen[str]) -> None:
    """SIGTERM, which lets calls under way end; SIGKILL if that takes too long."""
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
