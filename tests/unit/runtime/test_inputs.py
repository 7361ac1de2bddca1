"""What a worker reads that starts long after its siblings."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

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
