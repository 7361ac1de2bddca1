"""Addresses: why one cannot be had, the socket of the admin port, and ports that workers share."""

from __future__ import annotations

import errno
import socket
from typing import Any

from reranker.errors import RerankerError


class CannotListen(RerankerError):
    """An address is taken or not ours."""

    def __init__(self, what: str, address: str, cause: str) -> None:
        super().__init__(f"{what} cannot listen on {address}: {cause}")


class SharedPort:
    """A port that is ours as long as this lives: processes of ours listen on it together, nobody else can.

    It holds the port with bound sockets that never listen, so the kernel gives connections to the workers alone. Port 0
    takes a free one, and `address` says which. Raises `CannotListen`, also when others listen there already: sharing
    is for siblings.
    """

    def __init__(self, address: str) -> None:
        cause = why_not(address)
        if cause:
            raise CannotListen("gRPC", address, cause)
        host, _, port = address.rpartition(":")
        self.sockets: list[socket.socket] = []
        number = int(port)
        failure: OSError | None = None
        for family, kind, protocol, place in _places(host, number):
            holder = socket.socket(family, kind, protocol)
            try:
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                holder.bind((place[0], number, *place[2:]))
            except OSError as error:
                holder.close()
                failure = error
                continue
            number = holder.getsockname()[1]
            self.sockets.append(holder)
        if not self.sockets:
            raise CannotListen("gRPC", address, _reason(failure))
        self.address = f"{host}:{number}"


def admin_socket(address: str, backlog: int) -> socket.socket:
    """A socket that listens for HTTP. Raises `CannotListen`."""
    host, _, port = address.rpartition(":")
    failure: OSError | None = None
    for family, kind, protocol, place in _places(host, int(port)):
        listener = socket.socket(family, kind, protocol)
        try:
            # A restart must not wait for the last scrape's connection to be forgotten.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(backlog)
        except OSError as error:
            listener.close()
            failure = error
        else:
            return listener
    raise CannotListen("the admin port", address, _reason(failure))


def why_not(address: str) -> str:
    """Why an address cannot be bound, as the operating system says it; empty when it can.

    A name may stand for several places: one in use is enough to refuse, otherwise one that can be bound is enough.
    """
    host, _, port = address.rpartition(":")
    failures: list[OSError] = []
    try:
        places = _places(host, int(port))
    except OSError as error:
        return _reason(error)
    for family, kind, protocol, place in places:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger are no listeners
                probe.bind(place)
        except OSError as error:
            failures.append(error)
    in_use = [error for error in failures if error.errno == errno.EADDRINUSE]
    if in_use or len(failures) == len(places):
        return _reason((in_use or failures)[0])
    return ""


def port_of(address: str) -> int:
    """The number behind the last colon."""
    return int(address.rpartition(":")[2])


def _places(host: str, port: int) -> list[tuple[int, int, int, tuple[Any, ...]]]:
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, kind, protocol, place) for family, kind, protocol, _, place in found]


def _reason(error: OSError | None) -> str:
    return (error.strerror or str(error)) if error else "no address"
