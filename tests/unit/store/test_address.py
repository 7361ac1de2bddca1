from __future__ import annotations

from pathlib import Path

import pytest

from reranker.errors import StoreUnavailable
from reranker.store import StoreAddress
from reranker.store.address import Place


def test_every_part_of_a_url() -> None:
    address = StoreAddress.parse("rediss://someone:p%40ss%2Fword@cache.example:7000/3")
    assert address.places == (Place("cache.example", 7000),)
    assert (address.tls, address.cluster, address.database) == (True, False, 3)
    assert (address.user, address.read_password()) == ("someone", "p@ss/word")
    assert str(address) == "rediss://cache.example:7000/3"


def test_what_is_left_out() -> None:
    address = StoreAddress.parse("redis://[::1]")
    assert address.places == (Place("::1", 6379),)
    assert (address.tls, address.database, address.user, address.read_password()) == (False, 0, "", "")
    assert str(address) == "redis://[::1]:6379"


def test_a_cluster_has_several_nodes() -> None:
    address = StoreAddress.parse("redis+cluster://:secret@a:1,b,[::1]:3")
    assert address.places == (Place("a", 1), Place("b", 6379), Place("::1", 3))
    assert address.cluster
    assert str(address) == "redis+cluster://a:1,b:6379,[::1]:3"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hush@host", "must be redis://"),
        ("hush", "must be redis://"),
        ("redis://:hush@[::1", "must be redis://"),
        ("redis://:hush@host?ssl=1", "must be redis://"),
        ("redis://:hush@", "must name a host"),
        ("redis://:hush@a,b", "several are for redis\\+cluster"),
        ("redis://:hush@host:0x1", "ports"),
        ("redis://:hush@host:70000", "ports"),
        ("redis://:hush@host/first", "number of a database"),
        ("redis+cluster://:hush@host/1", "only database 0"),
    ],
)
def test_a_bad_url_is_explained_and_not_repeated(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        StoreAddress.parse(url)
    assert "hush" not in str(caught.value)


def test_no_text_shows_the_password(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("  hush-from-file\n")
    address = StoreAddress.parse("redis://someone:hush@host").with_files(file, None)
    assert "hush" not in f"{address} {address!r}"
    assert address.read_password() == "hush-from-file"
    file.unlink()
    with pytest.raises(StoreUnavailable, match="password_unreadable"):
        address.read_password()
