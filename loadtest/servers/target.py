"""A server that is put under load."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from loadtest.errors import LoadtestError


@dataclass(frozen=True, slots=True)
class Target:
    """Where it listens, and its process id where we know it: without one, nothing is said about its CPU.

    `is_echo`: the stages in its answers are another server's.
    """

    name: str
    address: str
    pid: int | None = None
    is_echo: bool = False


def on_this_machine(address: str) -> str:
    """The address itself. Raises `LoadtestError` unless it is host:port on loopback: load is for one's own machine."""
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdecimal():
        raise LoadtestError(f"{address!r} must be host:port")
    if not 1 <= int(port[:9]) <= 65_535:
        raise LoadtestError(f"{address!r}: ports are from 1 to 65535")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise LoadtestError(f"{host} is not this machine: only loopback addresses are put under load")
    return address
