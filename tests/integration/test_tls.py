"""TLS and mutual TLS with a real server, and certificates and tokens that change while it runs."""

from __future__ import annotations

import logging
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from reranker.client import Client, ServerError, Tls, from_columns
from reranker.errors import InvalidInput
from reranker.observability.security import SecurityMetrics
from reranker.runtime.security import SecurityWatch, read_tokens
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.runtime.tls import Certificate, Certificates
from reranker.service.doors import Doors
from tests.integration.test_access import TOKENS, token_file

PEMS = Path(__file__).with_name("certificates")
TRUSTING = Tls(PEMS / "authority.pem")
CANDIDATES = from_columns(["a", "b", "c"], [3, 2, 1], np.eye(3))


def place(folder: Path, name: str) -> None:
    for kind in ("pem", "key"):
        shutil.copy(PEMS / f"{name}.{kind}", folder / f"current.{kind}")


def settings_in(folder: Path, *, mutual: bool = False) -> Settings:
    return Settings(
        listen="127.0.0.1:0",
        admin="",
        grace=1.0,
        tls_certificate=folder / "current.pem",
        tls_key=folder / "current.key",
        tls_client_ca=PEMS / "authority.pem" if mutual else None,
    )


def served(folder: Path, *, mutual: bool = False) -> Server:
    place(folder, "server")
    server = Server(settings_in(folder, mutual=mutual))
    server.warm_up()
    return server


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Server]:
    running = served(tmp_path)
    yield running
    running.drain()


def shown_name(address: str) -> str:
    """Whom a new connection meets."""
    host, _, port = address.rpartition(":")
    pem = ssl.get_server_certificate((host, int(port)))
    for name in ("server", "renewed"):
        if ssl.PEM_cert_to_DER_cert((PEMS / f"{name}.pem").read_text()) == ssl.PEM_cert_to_DER_cert(pem):
            return name
    return "?"


def outcome(address: str, tls: Tls | None) -> str:
    with Client(address, deadline=20, on_error="raise", tls=tls) as client:
        try:
            return str(client.rerank(CANDIDATES, 2).ids)
        except ServerError as error:
            return str(error.code.name)


def test_clients_who_trust_the_authority_are_answered_and_nobody_in_plain_text(secure: Server) -> None:
    assert outcome(secure.address, TRUSTING) == "['a', 'b']"
    assert outcome(secure.address, Tls(PEMS / "stranger.pem")) == "UNAVAILABLE"
    assert outcome(secure.address, None) == "UNAVAILABLE"


def test_mutual_tls_answers_those_whom_the_authority_vouches_for(tmp_path: Path) -> None:
    server = served(tmp_path, mutual=True)
    try:
        own = Tls(PEMS / "authority.pem", PEMS / "client.pem", PEMS / "client.key")
        foreign = Tls(PEMS / "authority.pem", PEMS / "unknown.pem", PEMS / "unknown.key")
        assert outcome(server.address, own) == "['a', 'b']"
        assert outcome(server.address, foreign) == "UNAVAILABLE"
        assert outcome(server.address, TRUSTING) == "UNAVAILABLE"
    finally:
        server.drain()


def test_a_new_certificate_is_met_by_new_connections_and_ends_none(secure: Server, tmp_path: Path) -> None:
    watch = secure._security_watch
    with Client(secure.address, deadline=20, on_error="raise", tls=TRUSTING) as client:
        assert client.rerank(CANDIDATES, 2).ids
        assert shown_name(secure.address) == "server"
        place(tmp_path, "renewed")
        watch.look()
        watch.look()
        assert shown_name(secure.address) == "renewed"
        assert client.rerank(CANDIDATES, 2).ids  # over the connection it has
        assert outcome(secure.address, TRUSTING) == "['a', 'b']"


def test_half_a_change_waits_and_a_bad_one_is_refused_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place(tmp_path, "server")
    settings = settings_in(tmp_path)
    first = Certificate.read(settings)
    assert first is not None
    assert "PRIVATE" not in repr(first)
    certificates = Certificates(first)
    watch = SecurityWatch(settings, Doors(), certificates, SecurityMetrics(CollectorRegistry()))
    logging.getLogger("reranker").propagate = True
    with caplog.at_level(logging.INFO, logger="reranker"):
        shutil.copy(PEMS / "renewed.pem", tmp_path / "current.pem")
        watch.look()
        assert certificates.current is first
        assert not caplog.records  # its key may be on the way
        for _ in range(3):
            watch.look()
        assert [record.getMessage() for record in caplog.records] == ["certificate refused"]
        shutil.copy(PEMS / "renewed.key", tmp_path / "current.key")
        watch.look()
        watch.look()
    assert [record.getMessage() for record in caplog.records][1:] == ["certificate replaced"]
    assert certificates.current.chain == (PEMS / "renewed.pem").read_bytes()


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("server.pem", "renewed.key", "no PEM certificate and its unencrypted key"),
        ("server.key", "server.key", "no PEM certificate and its unencrypted key"),
        ("README.md", "server.key", "no PEM certificate and its unencrypted key"),
        ("expired.pem", "expired.key", r"expired at 2026-11-28 \d\d:\d\d:\d\d\+00:00"),
    ],
)
def test_a_certificate_that_cannot_serve_stops_the_start(certificate: str, key: str, said: str) -> None:
    settings = Settings(listen="127.0.0.1:0", admin="", tls_certificate=PEMS / certificate, tls_key=PEMS / key)
    with pytest.raises(InvalidInput, match=said):
        Server(settings)


def test_tokens_change_while_the_server_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(token_file(**TOKENS))
    settings = Settings(token_file=file)
    doors = Doors(read_tokens(settings))
    watch = SecurityWatch(settings, doors, None, SecurityMetrics(CollectorRegistry()))

    def is_known(token: str) -> bool:
        return doors.tokens is not None and doors.tokens.caller_of(token) is not None

    logging.getLogger("reranker").propagate = True
    with caplog.at_level(logging.INFO, logger="reranker"):
        file.write_text(token_file(fresh=("search", "rerank", None)))
        watch.look()
        assert is_known("rank")
        watch.look()
        assert (is_known("rank"), is_known("fresh")) == (False, True)
        for bad in ("nonsense", ""):
            file.write_text(bad)
            watch.look()
            watch.look()
            assert is_known("fresh")  # an empty file shuts nobody out, and lets nobody in
        file.unlink()
        watch.look()
        watch.look()
        assert is_known("fresh")
    said = [record.getMessage() for record in caplog.records]
    assert said == ["tokens replaced", "tokens refused", "tokens refused"]


def test_grpc_would_meet_the_same_channel_by_hand(secure: Server) -> None:
    credentials = grpc.ssl_channel_credentials((PEMS / "authority.pem").read_bytes())
    with Client(secure.address, deadline=20, on_error="raise", credentials=credentials) as client:
        assert client.rerank(CANDIDATES, 2).ids == ["a", "b"]


def test_when_a_certificate_expires_is_read_off_its_chain() -> None:
    for file in (PEMS / "server.pem", PEMS / "renewed.pem", PEMS / "authority.pem"):
        shown = ssl._ssl._test_decode_cert(str(file))["notAfter"]  # type: ignore[attr-defined]  # OpenSSL's own word
        assert Certificate(file.read_bytes(), b"").expires == ssl.cert_time_to_seconds(shown)
    chain = (PEMS / "server.pem").read_bytes() + (PEMS / "authority.pem").read_bytes()
    both = [Certificate((PEMS / name).read_bytes(), b"").expires for name in ("server.pem", "authority.pem")]
    assert Certificate(chain, b"").expires == min(both)
    assert Certificate(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", b"").expires == 0.0


def test_an_operator_sees_when_the_certificate_expires(secure: Server) -> None:
    value = secure._metrics.registry.get_sample_value("reranker_certificate_expiry_timestamp_seconds")
    assert value == Certificate((PEMS / "server.pem").read_bytes(), b"").expires
