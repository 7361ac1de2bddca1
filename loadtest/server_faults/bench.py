"""The server under test, started as its users start it, and what can be asked of it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import grpc

from examples.server_process import ROOT, ServerFailed
from loadtest.server_faults.cases import POLICIES
from loadtest.server_faults.clock import ShiftedClock
from loadtest.servers.service import survives_nobody
from loadtest.servers.valkey import Valkey

WORKERS = 2
PEMS = ROOT / "tests" / "integration" / "certificates"
"""Certificates for loopback that guard nothing."""
_SECONDS = 60.0
_SECONDS_TO_SERVE = 240.0  # the very first warm-up compiles every kernel
_CHANNEL = (
    ("grpc.enable_retries", 0),  # a request that failed has failed
    ("grpc.use_local_subchannel_pool", 1),  # each channel is a connection of its own
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
)


class Bench:
    """One server: `server.py`, or the Python code `start`, with the flags, the TLS and the clock that a fault needs.

    `folder` is where it keeps everything. Its log is in `log`; `moments` are the times, by `time.monotonic_ns`, at
    which something was done to it.
    """

    def __init__(
        self,
        folder: Path,
        valkey: Valkey,
        flags: Sequence[str] = (),
        start: str = "",
        tls: bool = False,
        clock: ShiftedClock | None = None,
    ) -> None:
        self.folder, self.log, self.tls, self.clock = folder, folder / "log", tls, clock
        self.certificate, self.key = folder / "current.pem", folder / "current.key"
        self.moments: list[int] = []
        self.stop_load: Callable[[], None] = lambda: None
        for name in ("policies", "ledger", "records"):
            (folder / name).mkdir(exist_ok=True)
        for name, text in POLICIES.items():
            (folder / "policies" / f"{name}.toml").write_text(text)
        (folder / "password").write_text(valkey.password)
        self._command = [sys.executable, *(("-c", start) if start else ("server.py",))]
        self._command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", str(WORKERS)]
        for name in ("policies", "ledger"):
            self._command += [f"--{name}", str(folder / name)]
        self._command += ["--request-log", str(folder / "records"), "--request-log-sample", "1"]
        self._command += ["--ledger-memory", "604800"]  # ids are known whatever becomes of the clock
        self._command += ["--store", f"redis://127.0.0.1:{valkey.port}", "--store-items", "--signal-writes"]
        self._command += ["--store-password-file", str(folder / "password"), *flags]
        if tls:
            self.place_certificate("server")
            self._command += ["--tls-certificate", str(self.certificate), "--tls-key", str(self.key)]
        self._environment = {**os.environ, **(clock.environment if clock else {})}
        self._is_leaving = False

    @contextlib.contextmanager
    def running(self) -> Iterator[Bench]:
        """The server, once all workers serve; it is stopped whatever happens, and may be started again.

        Raises `ServerFailed`.
        """
        self._is_leaving = False
        with self.log.open("ab") as errors:
            # A session of its own: Ctrl-C reaches this process alone, which then stops the server in good order.
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        try:
            with survives_nobody(self.process.pid):
                self._await()
                with self.connection() as self.channel:
                    yield self
        finally:
            self.stop()

    def _await(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"reranker: listening on (\S+), admin on http://(\S+); warming up\n", line)
        if not found:
            raise ServerFailed(f"the server did not start: {self._last_words()}")
        self.address, self.admin = found[1], found[2]
        self.until(lambda: self.all_serve() or self.process.poll() is not None, "serving", _SECONDS_TO_SERVE)
        if self.process.poll() is not None:
            raise ServerFailed(f"the server left while it warmed up: {self._last_words()}")

    def stop(self) -> int:
        """Stop it, where it has not been asked to, and return its exit code."""
        if not self._is_leaving and self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return self.process.returncode

    def connection(self) -> grpc.Channel:
        """A connection of its own."""
        if not self.tls:
            return grpc.insecure_channel(self.address, _CHANNEL)
        return grpc.secure_channel(self.address, self.trust(), _CHANNEL)

    def trust(self) -> grpc.ChannelCredentials:
        """Of the certificates' authority."""
        return grpc.ssl_channel_credentials((PEMS / "authority.pem").read_bytes())

    def place_certificate(self, name: str) -> None:
        """Put a certificate and its key where the server looks for them."""
        self.key.write_bytes((PEMS / f"{name}.key").read_bytes())
        self.certificate.write_bytes((PEMS / f"{name}.pem").read_bytes())

    # ---- what it says ------------------------------------------------------------------------------------------------

    def page(self, path: str) -> str:
        """A page of the admin port, whatever its status; empty where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10.0) as reply:
                return str(reply.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()
        except OSError:
            return ""

    def metric(self, name: str) -> float:
        """The sum of a metric over workers and labels; `name` may begin the labels."""
        lines = [line for line in self.page("/metrics").splitlines() if line.startswith(name)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def workers(self) -> dict[int, int]:
        """The processes of the workers that serve, by number."""
        rows = re.findall(r"<tr><td>(\d+)</td><td>(\d+)</td><td>SERVING</td>", self.page("/statusz"))
        return {int(number): int(pid) for number, pid in rows}

    def all_serve(self) -> bool:
        """Whether every worker does."""
        return len(self.workers()) == WORKERS and self.metric("reranker_worker_up") == WORKERS

    def processes(self) -> list[int]:
        """The supervisor and all its children."""
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def times_in_log(self, event: str = "") -> list[float]:
        """What the server's clock said at each line, of an event if one is named, in seconds since the epoch."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [datetime.fromisoformat(line["ts"]).timestamp() for line in lines if event in ("", line["event"])]

    def _last_words(self) -> str:
        return self.log.read_text()[-2_000:]

    # ---- what is done to it ------------------------------------------------------------------------------------------

    def until(self, holds: Callable[[], object], what: str, seconds: float = _SECONDS) -> None:
        """Return when it holds; raises `ServerFailed` when it does not for long."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise ServerFailed(f"{what}: not after {seconds:.0f} seconds; {self._last_words()}")
            time.sleep(0.05)

    def now(self, ago: float = 0.0) -> None:
        """Something is being done, or was done so many seconds ago: what fails near that may have failed of it."""
        self.moments.append(time.monotonic_ns() - int(ago * 1e9))

    def signal(self, number: signal.Signals, pid: int | None = None) -> None:
        """Send a signal to one of its processes, to the supervisor if none is named."""
        self.now()
        self._is_leaving = self._is_leaving or number == signal.SIGTERM
        os.kill(self.process.pid if pid is None else pid, number)
