"""How a client knows its server, and makes itself known."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS by PEM files: the authorities to trust (None: the system's), and for mutual TLS a certificate with its key.

    The files are read when the client is made.
    """

    authorities: Path | str | None = None
    certificate: Path | str | None = None
    key: Path | str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """As gRPC wants them. Raises `ValueError` for half a pair, and `OSError` for files that cannot be read."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate goes with its key: give both or neither")
        return grpc.ssl_channel_credentials(_read(self.authorities), _read(self.key), _read(self.certificate))


def is_loopback(target: str) -> bool:
    """Whether a gRPC target, such as `127.0.0.1:50051` or `unix:/run/x`, is on this machine for certain."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    name = re.sub(r"^(dns|ipv4|ipv6):(//[^/]*/)?", "", target)
    return all(_is_local(place) for place in name.split(","))


def _is_local(place: str) -> bool:
    host = place.rpartition(":")[0] if place.count(":") == 1 or "]" in place else place
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: Path | str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
