"""Where a client may send its token, and what TLS it may be asked for."""

from __future__ import annotations

import grpc
import pytest

from reranker.client import Client, Tls
from reranker.client.security import is_loopback


@pytest.mark.parametrize(
    ("target", "local"),
    [
        ("127.0.0.1:50051", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("dns:///localhost:1", True),
        ("ipv4:127.0.0.1:1,127.0.0.1:2", True),
        ("unix:/run/reranker", True),
        ("ipv4:127.0.0.1:1,10.0.0.1:2", False),
        ("10.0.0.1:1", False),
        ("reranker:50051", False),
        ("localhost.example.org:1", False),
        ("dns://127.0.0.1/example.org:1", False),
        ("", False),
    ],
)
def test_what_is_this_machine(target: str, local: bool) -> None:
    assert is_loopback(target) is local


def test_a_token_does_not_leave_the_machine_in_plain_text() -> None:
    with pytest.raises(ValueError, match="a token goes over TLS"):
        Client("example.org:1", token="secret")
    Client("127.0.0.1:1", token="secret").close()
    Client("example.org:1", token="secret", credentials=grpc.ssl_channel_credentials()).close()
    Client("example.org:1", token="secret", tls=Tls()).close()


def test_two_ways_to_say_the_same_and_half_a_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="give one of them"):
        Client(tls=Tls(), credentials=grpc.ssl_channel_credentials())
    with pytest.raises(ValueError, match="goes with its key"):
        Client(tls=Tls(certificate="client.pem"))
