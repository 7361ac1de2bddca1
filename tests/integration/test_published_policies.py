"""Servers follow the register of published policies in a real Valkey, whatever becomes of that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.servers.valkey import Valkey, free_port, running_cluster, running_valkey
from reranker import Policy
from reranker.cli import main
from reranker.errors import RegisterDamaged, RegisterRefused, StoreLied, StoreUnavailable
from reranker.policy.register import Register
from reranker.policy.register_store import KEY, StoredRegister
from reranker.runtime.policies import PolicyWatch
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.store import StoreAddress, command
from reranker.store.store import Store

PATIENT = 10.0


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


def opened(url: str) -> Store:
    store = Store(StoreAddress.parse(url), connections=8)
    store.start(PATIENT)
    return store


@pytest.fixture
def store(valkey: Valkey) -> Iterator[Store]:
    valkey.ask("FLUSHALL")
    made = opened(valkey.url)
    yield made
    made.close()


@pytest.fixture
def stored(store: Store) -> StoredRegister:
    return StoredRegister(store, PATIENT)


def policy(diversity: float, name: str = "mine") -> Policy:
    return Policy.from_dict({"name": name, "objective": {"diversity": diversity}})


def publish(stored: StoredRegister, diversity: float, *, by: str = "alice", approve_by: str = "bob") -> int:
    register = stored.read().publish(policy(diversity), by, before=None, note="", report_digest="")
    stored.append(register)
    number = len(register.lines)
    stored.append(register.approve(number, approve_by))
    return number


def settings(url: str, folder: Path, **more: Any) -> Settings:
    address = StoreAddress.parse(url)
    return Settings(listen="127.0.0.1:0", admin="", policies=folder, store=address, grace=1.0, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "mine.toml").write_text("[objective]\ndiversity = 0.5\n")
    return folder


@pytest.fixture
def serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Starts servers that look at everything many times a second."""
    monkeypatch.setattr(PolicyWatch.__init__, "__defaults__", (None, 0.02))
    running: list[Server] = []

    def start(url: str, **more: Any) -> Server:
        server = Server(settings(url, folder, **more))
        running.append(server)
        server.warm_up()
        return server

    yield start
    for server in running:
        server.drain()


def serving(server: Server) -> float:
    return server._desk.book.get("mine").to_proto().objective.diversity


def metric(server: Server, name: str) -> float | None:
    return server._metrics.registry.get_sample_value(f"reranker_{name}")


# ---- the register in the store ---------------------------------------------------------------------------------------


def test_of_many_who_write_at_once_one_does_and_the_others_hear_of_him(valkey: Valkey, stored: StoredRegister) -> None:
    publish(stored, 0.1)
    stores = [opened(valkey.url) for _ in range(8)]
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def write(number: int) -> None:
        own = StoredRegister(stores[number], PATIENT)
        register = own.read().publish(policy(number / 10), f"p{number}", before=None, note="", report_digest="")
        barrier.wait(30)
        try:
            own.append(register)
        except RegisterRefused as error:
            outcomes.append(str(error))
        else:
            outcomes.append("done")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    for opened_store in stores:
        opened_store.close()
    winner = stored.read().lines[2].record.actor
    assert len(stored.read().lines) == 3
    assert outcomes.count("done") == 1
    refused = next(outcome for outcome in outcomes if outcome != "done")
    assert refused.startswith(f"somebody was quicker, and nothing was changed: {winner} published mine in line 3")


def test_a_register_of_the_same_length_is_not_the_same(store: Store, stored: StoredRegister) -> None:
    register = stored.read().publish(policy(0.1), "alice", before=None, note="", report_digest="")
    stored.append(register)
    store.call(command("DEL", KEY), PATIENT)
    stored.append(Register().publish(policy(0.2), "carol", before=None, note="", report_digest=""))
    with pytest.raises(RegisterRefused, match="not the one that was read"):
        stored.append(register.approve(1, "bob"))
    assert len(stored.read().lines) == 1


def test_following_reads_what_is_new_or_all_of_another_register(store: Store, stored: StoredRegister) -> None:
    known = stored.follow(Register())
    assert known.lines == ()
    publish(stored, 0.1)
    known = stored.follow(known)
    assert len(known.lines) == 2
    assert stored.follow(known).lines == known.lines
    publish(stored, 0.2)
    assert stored.follow(known).lines[:2] == known.lines
    store.call(command("DEL", KEY), PATIENT)
    assert stored.follow(known).lines == ()
    publish(stored, 0.3)
    assert len(stored.follow(known).lines) == 2


def test_what_cannot_be_is_not_believed(store: Store, stored: StoredRegister) -> None:
    publish(stored, 0.1)
    known = stored.read()
    store.call(command("RPUSH", KEY, b"nonsense"), PATIENT)
    for read in (stored.read, lambda: stored.follow(known)):
        with pytest.raises(RegisterDamaged, match="line 3"):
            read()
    store.run([command("DEL", KEY), command("SET", KEY, b"text")], PATIENT)
    with pytest.raises(StoreLied, match="wrong_type"):
        stored.read()


def test_in_a_cluster() -> None:
    with running_cluster() as nodes:
        places = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        password = nodes[0].password.replace(" ", "%20")
        store = opened(f"redis+cluster://:{password}@{places}")
        until(lambda: store.well)
        stored = StoredRegister(store, PATIENT)
        publish(stored, 0.1)
        assert len(stored.read().lines) == 2
        store.close()


# ---- servers that follow it ------------------------------------------------------------------------------------------


def test_servers_take_over_what_is_approved_and_rolled_back(
    valkey: Valkey, stored: StoredRegister, serve: Callable[..., Server]
) -> None:
    server = serve(valkey.url)
    assert serving(server) == 0.5
    register = stored.read().publish(policy(0.1), "alice", before=None, note="", report_digest="")
    stored.append(register)
    until(lambda: metric(server, "policy_register_line") == 1)
    assert serving(server) == 0.5  # nobody has approved it
    stored.append(register.approve(1, "bob"))
    until(lambda: serving(server) == 0.1)
    publish(stored, 0.2)
    until(lambda: serving(server) == 0.2)
    for expected in (0.1, 0.5):  # the earlier publication, then the file
        stored.append(stored.read().roll_back("mine", "bob"))
        until(lambda expected=expected: serving(server) == expected)  # type: ignore[misc]
    publish(stored, 0.3)
    late = serve(valkey.url)
    assert serving(late) == 0.3  # before its first request
    assert (metric(late, "policy_register_age_seconds") or 0.0) < 30.0


def test_servers_in_production_want_two_persons(
    valkey: Valkey, stored: StoredRegister, serve: Callable[..., Server]
) -> None:
    server = serve(valkey.url, profile="production")
    number = publish(stored, 0.1, by="alice", approve_by="alice")
    until(lambda: metric(server, "policy_register_line") == 2)
    assert serving(server) == 0.5
    stored.append(Register(stored.read().lines, two_persons=True).approve(number, "bob"))
    until(lambda: serving(server) == 0.1)


def test_whatever_becomes_of_the_store_the_last_good_ones_serve(folder: Path, serve: Callable[..., Server]) -> None:
    with running_valkey() as valkey:
        server = serve(valkey.url)
        store = opened(valkey.url)
        stored = StoredRegister(store, PATIENT)
        publish(stored, 0.1)
        until(lambda: serving(server) == 0.1)

        store.call(command("RPUSH", KEY, b"nonsense"), PATIENT)
        until(lambda: metric(server, "policies_refused") == 1)
        assert serving(server) == 0.1
        store.call(command("RPOP", KEY), PATIENT)
        until(lambda: metric(server, "policies_refused") == 0)

        store.run([command("DEL", KEY), command("SET", KEY, b"text")], PATIENT)
        until(lambda: metric(server, "policies_refused") == 1)
        assert serving(server) == 0.1
        store.call(command("DEL", KEY), PATIENT)
        until(lambda: metric(server, "policies_refused") == 0)
        assert serving(server) == 0.1  # gone is not rolled back

        publish(stored, 0.2)
        until(lambda: serving(server) == 0.2)  # a register that begins anew

        valkey.kill()
        until(lambda: (metric(server, "policy_register_age_seconds") or 0.0) > 0.2)
        (folder / "other.toml").write_text("")
        until(lambda: "other" in server.policy_names)  # the folder is followed all the while
        assert serving(server) == 0.2
        valkey.start()  # empty: it kept nothing
        until(lambda: (metric(server, "policy_register_age_seconds") or 9.0) < 0.2)
        assert serving(server) == 0.2
        store.close()
        again = opened(valkey.url)
        publish(StoredRegister(again, PATIENT), 0.3)
        until(lambda: serving(server) == 0.3)
        again.close()


def test_what_does_not_go_together_is_refused_until_it_does(
    valkey: Valkey, folder: Path, stored: StoredRegister, serve: Callable[..., Server]
) -> None:
    server = serve(valkey.url)
    publish(stored, 0.1)
    until(lambda: serving(server) == 0.1)
    (folder / "mine.toml").unlink()
    (folder / "routes.toml").write_text("[[routes]]\narms = { mine = 1 }\n")
    until(lambda: server._desk.book.routes is not None)  # the file's arm is a published policy
    stored.append(stored.read().roll_back("mine", "bob"))
    until(lambda: metric(server, "policies_refused") == 1)
    assert serving(server) == 0.1
    (folder / "routes.toml").unlink()
    until(lambda: server.policy_names == ("default",))
    assert metric(server, "policies_refused") == 0


def test_a_server_starts_without_its_store_and_finds_it_later(serve: Callable[..., Server]) -> None:
    port = free_port()
    with running_valkey() as elsewhere:
        late = Valkey(elsewhere.folder, port)
        server = serve(late.url)
        assert serving(server) == 0.5
        late.start()
        try:
            store = opened(late.url)
            publish(StoredRegister(store, PATIENT), 0.1)
            until(lambda: serving(server) == 0.1)
            store.close()
        finally:
            late.kill()


# ---- the command -----------------------------------------------------------------------------------------------------


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
