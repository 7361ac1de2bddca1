"""The file of tokens: what is good, and every mistake with its line; no hash in any text."""

from __future__ import annotations

from hashlib import sha256

import pytest

from reranker.errors import InvalidInput
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
