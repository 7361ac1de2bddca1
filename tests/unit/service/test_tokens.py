"""The file of tokens: what is good, and every mistake with its line; no hash in any text."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.errors import InvalidInput
from reranker.service.buckets import Bucket, Buckets, Rate
from reranker.service.tokens import ANYBODY, Permission, Tokens

GOOD = sha256(b"good").hexdigest()


def test_a_token_is_found_by_its_hash_and_no_other_is() -> None:
    text = f"""
[[tokens]]
sha256 = "{GOOD.upper()}"
tenant = "search"
permissions = ["rerank", "impressions"]
policies = ["one"]
"""
    tokens = Tokens.read(text.encode(), "tokens.toml")
    caller = tokens.caller_of("good")
    assert caller is not None
    assert (caller.tenant, caller.may(Permission.RERANK), caller.may(Permission.POLICIES)) == ("search", True, False)
    assert (caller.may_use("one"), caller.may_use("two"), ANYBODY.may_use("two")) == (True, False, True)
    assert Tokens.read(b"\xef\xbb\xbf" + text.lstrip().encode(), "tokens.toml").caller_of("good") == caller
    for other in ("", "Good", "good ", GOOD, "\ud800"):
        assert tokens.caller_of(other) is None
    assert len(tokens) == 1


def test_every_mistake_is_named_with_its_line_and_no_hash_is_shown() -> None:
    text = f"""
[[tokens]]
sha256 = "{GOOD}"
tenant = "a b"
permissions = ["everything"]
[[tokens]]
sha256 = "abc"
tenant = "ok"
permissions = []
policies = "all"
token = "oops"
[[tokens]]
sha256 = "{GOOD}"
tenant = "ok"
permissions = ["rerank"]
[[tokens]]
sha256 = "{GOOD}"
tenant = "ok"
permissions = ["rerank"]
[other]
"""
    with pytest.raises(InvalidInput) as raised:
        Tokens.read(text.encode(), "tokens.toml")
    places = {(violation.path, violation.line) for violation in raised.value.violations}
    assert places == {
        ("tokens[0].tenant", 4),
        ("tokens[0].permissions", 5),
        ("tokens[1].sha256", 7),
        ("tokens[1].permissions", 9),
        ("tokens[1].policies", 10),
        ("tokens[1].token", 11),
        ("tokens[3].sha256", 16),
        ("other", 20),
    }
    said = str(raised.value)
    assert GOOD not in said
    assert "oops" not in said
    assert "tokens.toml, line 4" in said


@pytest.mark.parametrize("data", [b"", b"tokens = 3", b"[[tokens", b"\xff", b"a" * (1 << 21), b"x = " + b"[" * 5_000])
def test_a_file_without_tokens_is_a_mistake_and_not_an_open_door(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="tokens"):
        Tokens.read(data, "tokens.toml")


def test_rates_are_those_of_tenants_with_tokens() -> None:
    block = f'[[tokens]]\nsha256 = "{GOOD}"\ntenant = "search"\npermissions = ["rerank"]\n'
    tokens = Tokens.read(f"{block}[tenants.search]\nrequests_per_second = 5\n".encode(), "t")
    assert tokens.rates == {"search": Rate(5.0, 5.0)}
    bad = """[tenants.other]
requests_per_second = 5
[tenants.search]
requests_per_second = 0
"""
    with pytest.raises(InvalidInput) as raised:
        Tokens.read(f"{block}{bad}".encode(), "t")
    assert [(found.path, found.line) for found in raised.value.violations] == [
        ("tenants.other", 5),
        ("tenants.search", 7),
    ]
    for wrong in ("tenants = 3", "tenants.search = 3", "[tenants.search]\nburst = 3", '[tenants.search]\nrate = "x"'):
        with pytest.raises(InvalidInput, match="tenants"):
            Tokens.read((f"{wrong}\n{block}" if "[" not in wrong else f"{block}{wrong}").encode(), "t")


def test_a_bucket_allows_a_burst_and_then_its_rate() -> None:
    now = 100.0
    buckets = Buckets(lambda: now)
    buckets.set({"a": Rate(per_second=2.0, burst=3.0)})
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b") == 0.0  # no limit
    now += 0.5
    assert [buckets.take("a") for _ in range(2)] == [0.0, 0.5]
    now += 1_000.0
    assert sum(buckets.take("a") == 0.0 for _ in range(10)) == 3
    buckets.set({"a": Rate(per_second=2.0, burst=3.0), "b": Rate(1.0, 1.0)})
    assert buckets.take("a") > 0.0  # the file was read again, and that is no gift
    buckets.set({})
    assert buckets.take("a") == 0.0


@given(st.lists(st.floats(0.0, 3.0), max_size=60), st.floats(1.0, 50.0), st.floats(1.0, 50.0))
def test_over_any_time_a_bucket_allows_no_more_than_burst_and_rate(
    gaps: list[float], per_second: float, burst: float
) -> None:
    now = 0.0
    bucket = Bucket(Rate(per_second, burst), lambda: now)
    taken = 0
    for gap in gaps:
        now += gap
        wait = bucket.take()
        taken += not wait
        assert 0.0 <= wait <= 1.0 / per_second + 1e-9
    assert taken <= burst + now * per_second + 1e-6
