"""One connection of redis-py, held to one moment by which everything on it has to end."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from reranker.errors import StoreError, StoreLied, StoreUnavailable
from reranker.store.address import Place, StoreAddress
from reranker.store.command import Word

# By the first word of an error reply that redis-py, or an older release of it, has no class for.
_UNAVAILABLE = {
    "MISCONF": "full",  # it cannot write its snapshot to the disk and takes no writes
    "NOREPLICAS": "read_only",
    "BUSY": "busy",
    "CLUSTERDOWN": "cluster_down",
    "MASTERDOWN": "cluster_down",
    "TRYAGAIN": "cluster_down",
}
_CLASSES: tuple[tuple[type[Exception], str], ...] = (
    (redis.exceptions.BusyLoadingError, "loading"),
    (redis.exceptions.AuthenticationError, "not_allowed"),
    (redis.exceptions.AuthorizationError, "not_allowed"),
    (redis.exceptions.NoPermissionError, "not_allowed"),
    (redis.exceptions.OutOfMemoryError, "full"),
    (redis.exceptions.ReadOnlyError, "read_only"),
    (redis.exceptions.ClusterDownError, "cluster_down"),
    (redis.exceptions.TryAgainError, "cluster_down"),
    (redis.exceptions.TimeoutError, "timeout"),
    (TimeoutError, "timeout"),
    (redis.exceptions.ConnectionError, "disconnected"),
    (OSError, "disconnected"),
)


class Redirected(Exception):
    """A cluster's answer that another node has the key now; `asking` says that it is so for this once."""

    def __init__(self, place: Place, *, asking: bool) -> None:
        self.place, self.asking = place, asking
        super().__init__("redirected")


class UnknownScript(Exception):
    """The server does not know the script of this digest."""


class _Timed:
    """A socket on which every step ends by `until`: redis-py's own time-out begins anew with every piece."""

    def __init__(self, plain: socket.socket, until: float) -> None:
        self._socket, self.until = plain, until

    def recv(self, size: int) -> bytes:
        self._arm()
        return self._socket.recv(size)

    def recv_into(self, buffer: Any) -> int:
        self._arm()
        return self._socket.recv_into(buffer)

    def sendall(self, data: Any) -> None:
        self._arm()
        self._socket.sendall(data)

    def settimeout(self, _: float | None) -> None:
        """The moment stays."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def _arm(self) -> None:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


class Wire(redis.Connection):
    """A connection that is signed in, or an error: the constructor blocks for at most about `seconds`.

    Beyond that only the resolver of names may take longer. Raises `StoreUnavailable` or `StoreLied`.
    """

    def __init__(self, place: Place, address: StoreAddress, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._tls = address.tls
        self._ca_file = address.ca_file
        super().__init__(
            host=place.host,
            port=place.port,
            db=address.database,
            username=address.user or None,
            password=address.read_password() or None,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            protocol=3,
        )
        try:
            self.connect()
            self.ask(("PING",), self._until)
        except (redis.RedisError, OSError) as error:
            self.disconnect()
            raise failure(error) from None
        except StoreError:
            self.disconnect()
            raise

    def ask(self, words: tuple[Word, ...], until: float) -> Any:
        """One command and its reply; raises `StoreUnavailable` or `StoreLied`."""
        self.send([words], until)
        reply = self.reply()
        if isinstance(reply, StoreError):
            raise reply
        if isinstance(reply, Exception):
            raise StoreLied("unexpected")
        return reply

    def end(self) -> None:
        """Close it."""
        self.disconnect()

    def send(self, commands: Sequence[tuple[Word, ...]], until: float) -> None:
        """Send commands, whose replies are to be read by `until` too; raises `StoreUnavailable`."""
        self._timed().until = until
        try:
            self.send_packed_command(self.pack_commands(commands), check_health=False)
        except (redis.RedisError, OSError) as error:
            raise failure(error) from None

    def reply(self) -> Any:
        """The next reply, or what it means that there is none: a `StoreError`, `Redirected` or `UnknownScript`.

        The connection is of no use any more when it is `lost` afterwards.
        """
        try:
            return self.read_response()
        except (redis.RedisError, OSError) as error:
            return failure(error)
        except Exception:  # a length that is no number: whatever the parser stumbles over
            self.disconnect()
            return StoreLied("protocol")

    @property
    def lost(self) -> bool:
        """Whether an error has closed it."""
        return self._sock is None

    @property
    def broken(self) -> bool:
        """Whether it was closed, by either side, or has something to say that nobody asked for."""
        if self._sock is None:
            return True
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _timed(self) -> _Timed:
        assert isinstance(self._sock, _Timed), "the constructor connects, and nobody uses a connection that was closed"
        return self._sock

    def _connect(self) -> _Timed:
        plain = super()._connect()
        if self._tls:
            context = ssl.create_default_context(cafile=self._ca_file)
            try:
                plain.settimeout(max(0.001, self._until - time.monotonic()))
                plain = context.wrap_socket(plain, server_hostname=self.host)
            except BaseException:
                plain.close()
                raise
        return _Timed(plain, self._until)


def failure(error: Exception) -> Exception:
    """What an error of redis-py means to us; nothing of its text stays, as it may quote keys and values."""
    text = str(error)
    word = text.partition(" ")[0]
    if isinstance(error, redis.exceptions.NoScriptError):
        return UnknownScript()
    if isinstance(error, redis.exceptions.AskError):  # a MovedError is one too
        asking = not isinstance(error, redis.exceptions.MovedError)
        return Redirected(Place(error.host, error.port), asking=asking)
    if word in ("MOVED", "ASK"):  # as older releases leave it
        host, _, port = text.rpartition(" ")[2].rpartition(":")
        return Redirected(Place(host, int(port)), asking=word == "ASK") if port.isdecimal() else StoreLied("protocol")
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return StoreUnavailable("untrusted")
    for kind, reason in _CLASSES:
        if isinstance(error, kind):
            return StoreUnavailable(reason)
    if isinstance(error, redis.exceptions.InvalidResponse):
        return StoreLied("protocol")
    if word in _UNAVAILABLE:
        return StoreUnavailable(_UNAVAILABLE[word])
    return StoreLied("wrong_type" if word == "WRONGTYPE" else "error")
