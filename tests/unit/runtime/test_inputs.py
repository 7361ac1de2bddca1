"""What a server reads before it serves, and what a worker reads that starts long after its siblings."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from reranker.errors import BadCatalog, InvalidInput
from reranker.runtime.inputs import Inputs
from reranker.runtime.settings import Settings


def write_token(file: Path, token: str) -> None:
    file.write_text(
        f'[[tokens]]\nsha256 = "{sha256(token.encode()).hexdigest()}"\ntenant = "a"\npermissions = ["rerank"]\n'
    )


def test_a_mistake_in_one_file_keeps_no_other_from_being_renewed(tmp_path: Path) -> None:
    policies, tokens = tmp_path / "policies", tmp_path / "tokens.toml"
    policies.mkdir()
    (policies / "one.toml").write_text('name = "one"\n')
    write_token(tokens, "taken away")
    inputs = Inputs(Settings(policies=policies, token_file=tokens))
    (policies / "one.toml").write_text("no policy")
    write_token(tokens, "given since")
    inputs.renew()
    assert "one" in inputs.book.names()
    assert inputs.tokens is not None
    assert inputs.tokens.caller_of("taken away") is None
    assert inputs.tokens.caller_of("given since") is not None


def test_the_mistakes_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    policies, tokens, keys, catalog = (tmp_path / name for name in ("policies", "tokens.toml", "keys", "catalog"))
    policies.mkdir()
    catalog.mkdir()
    (policies / "one.toml").write_text('name = "one"\nfoo = 1\n')
    tokens.write_text("x = 1\n")
    keys.write_text("short\n")
    with pytest.raises(InvalidInput) as raised:
        Inputs(Settings(policies=policies, token_file=tokens, cursor_key_file=keys, catalog=catalog))
    text = str(raised.value)
    for said in (
        f"{policies / 'one.toml'}, line 2: foo:",
        f"{keys}, line 1: key:",
        f"{tokens}, line 1: x:",
        f"catalog: {catalog}: has no current version",
    ):
        assert said in text
    with pytest.raises(BadCatalog):
        Inputs(Settings(catalog=catalog))
