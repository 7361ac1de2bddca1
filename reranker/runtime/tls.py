"""The server's certificate: read and checked as a whole, and replaced while the server runs."""

from __future__ import annotations

import os
import re
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc

from reranker.errors import InvalidInput, Violation
from reranker.runtime.der import expiry
from reranker.runtime.settings import Settings

_MOST_BYTES = 1 << 20
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server shows of itself, and whom it trusts to vouch for clients (empty: it does not ask them)."""

    chain: bytes
    key: bytes
    client_ca: bytes = b""

    def __repr__(self) -> str:
        return "Certificate(…)"

    @property
    def expires(self) -> float:
        """When the first of its chain ceases to be good, in seconds of the epoch; 0 where OpenSSL alone can tell."""
        return min(_expiries(self.chain), default=0.0)

    @classmethod
    def read(cls, settings: Settings) -> Certificate | None:
        """That of the settings; None when they name none. Raises `InvalidInput`, whose text shows nothing of a key."""
        if settings.tls_certificate is None or settings.tls_key is None:
            return None
        found: list[Violation] = []
        chain = _bytes("tls_certificate", settings.tls_certificate, found)
        key = _bytes("tls_key", settings.tls_key, found)
        client_ca = b"" if settings.tls_client_ca is None else _bytes("tls_client_ca", settings.tls_client_ca, found)
        if not found:
            found += _why_not(chain, key, client_ca, settings)
        if found:
            raise InvalidInput(found)
        return cls(chain, key, client_ca)


class Certificates:
    """The certificate that connections meet from now on; set `current` to replace it. Open connections keep theirs."""

    def __init__(self, current: Certificate) -> None:
        self.current = current
        self._asks_clients = bool(current.client_ca)
        self._shown = current

    def credentials(self) -> grpc.ServerCredentials:
        """What gRPC listens with: it asks for the certificate before each handshake."""
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self.current),
            self._changed,  # type: ignore[arg-type]  # the types know no "unchanged", which gRPC documents as None
            require_client_authentication=self._asks_clients,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        current = self.current
        if current is self._shown:
            return None
        self._shown = current
        return _configuration(current)


def _configuration(certificate: Certificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(certificate.key, certificate.chain)], certificate.client_ca or None
    )


def _bytes(name: str, path: Path, found: list[Violation]) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        found.append(Violation(name, f"{path} cannot be read: {error.strerror}"))
        return b""
    if not data or len(data) > _MOST_BYTES:
        found.append(Violation(name, f"{path} must hold PEM text of at most {_MOST_BYTES} bytes"))
    return data


def _expiries(chain: bytes) -> list[float]:
    """When each certificate of a chain ceases to be good, its own first; empty where OpenSSL alone can tell."""
    try:
        return [expiry(ssl.PEM_cert_to_DER_cert(text)) for text in _PEM.findall(chain.decode("latin-1"))]
    except ValueError:
        return []


def _why_not(chain: bytes, key: bytes, client_ca: bytes, settings: Settings) -> list[Violation]:
    """What is wrong with the three; gRPC itself would say so only by failing every handshake."""
    found = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # What was read, not what is in the files by now. OpenSSL wants a file; this one is in memory alone.
    with os.fdopen(os.memfd_create("certificate"), "wb") as both:
        both.write(chain + b"\n" + key)
        both.flush()
        try:
            context.load_cert_chain(f"/proc/self/fd/{both.fileno()}", password=lambda: "")
        except (ssl.SSLError, OSError, ValueError):
            reason = f"{settings.tls_certificate} and {settings.tls_key} are no PEM certificate and its unencrypted key"
            found.append(Violation("tls_certificate", reason))
    own = next(iter(_expiries(chain)), 0.0)  # what clients make of the others depends on whom they trust
    if 0.0 < own <= time.time():
        day = datetime.fromtimestamp(own, UTC).isoformat(sep=" ")
        found.append(Violation("tls_certificate", f"{settings.tls_certificate} expired at {day}: no client accepts it"))
    if client_ca:
        try:
            context.load_verify_locations(cadata=client_ca.decode("ascii"))
        except (ssl.SSLError, ValueError):
            found.append(Violation("tls_client_ca", f"{settings.tls_client_ca} holds no PEM certificates"))
    return found
