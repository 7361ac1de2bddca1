"""`reranker policy publish | approve | rollback | history`, as those who publish policies meet them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.servers.valkey import Valkey, free_port
from reranker.cli import main
from reranker.errors import StoreUnavailable
from reranker.policy.register import Register
from reranker.policy.register_store import StoredRegister


@pytest.fixture
def command_line(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    valkey.ask("FLUSHALL")
    monkeypatch.setenv("RERANKER_STORE", valkey.url)

    def run(*arguments: object) -> tuple[int, str]:
        code = main(["policy", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_servers_of_another_prefix_have_policies_of_their_own(
    command_line: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[objective]\ndiversity = 0.25\n")
    for prefix in ("one", "other"):
        assert "as publication 1;" in command_line("publish", file, "--store-prefix", prefix)[1]
    assert command_line("history") == (0, "nothing was ever published\n")
    code, said = command_line("history", "--store-prefix", "{one}")
    assert code == 2
    assert "--store-prefix: must be" in said


def test_the_way_of_a_policy(command_line: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[objective]\ndiversity = 0.25\n")
    (tmp_path / "report.html").write_text("fine")
    assert command_line("history") == (0, "nothing was ever published\n")
    code, said = command_line("publish", file, "--by", "alice", "--note", "try", "--report", tmp_path / "report.html")
    assert code == 0
    assert "as publication 1; nothing serves it yet" in said
    assert "  + objective.diversity = 0.25\n" in said
    assert "reranker policy approve 1" in said
    code, said = command_line("approve", 1, "--by", "alice", "--profile", "production")
    assert (code, said.splitlines()[0]) == (
        2,
        "reranker policy: publication 1 is alice's own: in production somebody else approves it",
    )
    assert command_line("approve", 1, "--by", "bob", "--profile", "production")[0] == 0
    file.write_text("[objective]\ndiversity = 0.5\n")
    assert "  - objective.diversity = 0.25\n  + objective.diversity = 0.5\n" in command_line("publish", file)[1]
    assert command_line("approve", 3, "--by", "bob")[0] == 0
    code, said = command_line("rollback", "mine", "--by", "bob", "--note", "it was worse")
    assert (code, said[:36]) == (0, "rolled mine back to publication 1, r")
    code, said = command_line("history", "--diff")
    lines = said.splitlines()
    assert code == 0
    assert "alice published mine" in lines[0]
    assert "report a0bdd1e6dff3" not in lines[0]
    assert ", report " in lines[0]
    assert lines[0].endswith(" (try)")
    assert "        + objective.diversity = 0.25" in lines
    assert any(line.endswith("bob rolled mine back to 1 (it was worse)") for line in lines)
    assert lines[-1].startswith("serves: mine, publication 1, revision ")
    assert "default" in command_line("history", "default")[1]


def test_what_is_wrong_is_never_published(command_line: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    file, routes = tmp_path / "mine.toml", tmp_path / "routes.toml"
    file.write_text("[objective]\ndiversity = 9\n")
    routes.write_text("[[routes]]\narms = { yours = 1 }\n")
    assert "line 2: objective.diversity" in command_line("publish", file)[1]
    code, said = command_line("publish", routes)
    assert code == 2
    assert "published routes.toml: routes[0].arms.yours: no policy has this name" in said
    assert "--policies: where a policy is a file of the servers, name their folder" in said
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "yours.toml").write_text("")
    assert command_line("publish", routes, "--policies", folder)[0] == 0
    assert command_line("approve", 1)[0] == 2  # without the folder, its arm is unknown
    assert command_line("approve", 1, "--policies", folder)[0] == 0
    assert len(command_line("history")[1].splitlines()) == 3


def test_a_store_that_is_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    assert main(["policy", "history", "--store", url]) == 2
    assert "the store is unavailable" in capsys.readouterr().err
    assert main(["policy", "history"]) == 2
    assert "--store: is needed" in capsys.readouterr().err


def test_where_no_answer_comes_nothing_is_claimed(
    command_line: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written_and_then_silent(self: StoredRegister, register: Register) -> None:
        append(self, register)
        raise StoreUnavailable("timeout")

    append = StoredRegister.append
    monkeypatch.setattr(StoredRegister, "append", written_and_then_silent)
    (tmp_path / "mine.toml").write_text("")
    code, said = command_line("publish", tmp_path / "mine.toml", "--by", "alice")
    assert code == 2
    assert "timeout; whether it was written is not known: look at `history`" in said
    assert "alice published mine" in command_line("history")[1]


def test_a_folder_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = tmp_path / "policies", tmp_path / "mine.toml"
    folder.mkdir()
    (folder / "routes.toml").write_text("[[routes]]\narms = { mine = 1 }\n")
    file.write_text("[objective]\ndiversity = 0.25\n")
    assert main(["policy", "publish", str(file), "--policies", str(folder)]) == 0
    assert "checked with the others, and in its place" in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"mine.toml", "routes.toml"}
    file.write_text("[objective]\ndiversity = 9\n")
    assert main(["policy", "publish", str(file), "--policies", str(folder)]) == 2
    assert "mine.toml, line 2: objective.diversity" in capsys.readouterr().err
    assert (folder / "mine.toml").read_text() == "[objective]\ndiversity = 0.25\n"
    assert main(["policy", "publish", str(file), "--policies", str(folder), "--by", "alice"]) == 2
    assert "--by: goes with a store only" in capsys.readouterr().err
    assert main(["policy", "publish", str(file)]) == 2
    assert "--store: or --policies is needed" in capsys.readouterr().err
