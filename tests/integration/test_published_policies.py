"""Servers follow the register of published policies in a real Valkey, whatever becomes of that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.servers.valkey import Valkey, free_port, running_cluster, running_valkey
from reranker import Policy
from reranker.errors import RegisterDamaged, RegisterRefused, StoreLied
from reranker.policy.register import Register
from reranker.policy.register_store import StoredRegister
from reranker.runtime.policies import PolicyWatch
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.store import StoreAddress, command
from reranker.store.store import Store
from tests.waiting import wait_for

KEY = "reranker:{policies}:register"
PATIENT = 10.0


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
        wait_for(lambda: store.well)
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
    wait_for(lambda: metric(server, "policy_register_line") == 1)
    assert serving(server) == 0.5  # nobody has approved it
    stored.append(register.approve(1, "bob"))
    wait_for(lambda: serving(server) == 0.1)
    publish(stored, 0.2)
    wait_for(lambda: serving(server) == 0.2)
    for expected in (0.1, 0.5):  # the earlier publication, then the file
        stored.append(stored.read().roll_back("mine", "bob"))
        wait_for(lambda expected=expected: serving(server) == expected)  # type: ignore[misc]
    publish(stored, 0.3)
    late = serve(valkey.url)
    assert serving(late) == 0.3  # before its first request
    assert (metric(late, "policy_register_age_seconds") or 0.0) < 30.0


def test_servers_in_production_want_two_persons(
    valkey: Valkey, stored: StoredRegister, serve: Callable[..., Server]
) -> None:
    server = serve(valkey.url, profile="production")
    number = publish(stored, 0.1, by="alice", approve_by="alice")
    wait_for(lambda: metric(server, "policy_register_line") == 2)
    assert serving(server) == 0.5
    stored.append(Register(stored.read().lines, two_persons=True).approve(number, "bob"))
    wait_for(lambda: serving(server) == 0.1)


def test_whatever_becomes_of_the_store_the_last_good_ones_serve(folder: Path, serve: Callable[..., Server]) -> None:
    with running_valkey() as valkey:
        server = serve(valkey.url)
        store = opened(valkey.url)
        stored = StoredRegister(store, PATIENT)
        publish(stored, 0.1)
        wait_for(lambda: serving(server) == 0.1)

        store.call(command("RPUSH", KEY, b"nonsense"), PATIENT)
        wait_for(lambda: metric(server, "policies_refused") == 1)
        assert serving(server) == 0.1
        store.call(command("RPOP", KEY), PATIENT)
        wait_for(lambda: metric(server, "policies_refused") == 0)

        store.run([command("DEL", KEY), command("SET", KEY, b"text")], PATIENT)
        wait_for(lambda: metric(server, "policies_refused") == 1)
        assert serving(server) == 0.1
        store.call(command("DEL", KEY), PATIENT)
        wait_for(lambda: metric(server, "policies_refused") == 0)
        assert serving(server) == 0.1  # gone is not rolled back

        publish(stored, 0.2)
        wait_for(lambda: serving(server) == 0.2)  # a register that begins anew

        valkey.kill()
        wait_for(lambda: (metric(server, "policy_register_age_seconds") or 0.0) > 0.2)
        (folder / "other.toml").write_text("")
        wait_for(lambda: "other" in server.policy_names)  # the folder is followed all the while
        assert serving(server) == 0.2
        valkey.start()  # empty: it kept nothing
        wait_for(lambda: (metric(server, "policy_register_age_seconds") or 9.0) < 0.2)
        assert serving(server) == 0.2
        store.close()
        again = opened(valkey.url)
        publish(StoredRegister(again, PATIENT), 0.3)
        wait_for(lambda: serving(server) == 0.3)
        again.close()


def test_what_does_not_go_together_is_refused_until_it_does(
    valkey: Valkey, folder: Path, stored: StoredRegister, serve: Callable[..., Server]
) -> None:
    server = serve(valkey.url)
    publish(stored, 0.1)
    wait_for(lambda: serving(server) == 0.1)
    (folder / "mine.toml").unlink()
    (folder / "routes.toml").write_text("[[routes]]\narms = { mine = 1 }\n")
    wait_for(lambda: server._desk.book.routes is not None)  # the file's arm is a published policy
    stored.append(stored.read().roll_back("mine", "bob"))
    wait_for(lambda: metric(server, "policies_refused") == 1)
    assert serving(server) == 0.1
    (folder / "routes.toml").unlink()
    wait_for(lambda: server.policy_names == ("default",))
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
            wait_for(lambda: serving(server) == 0.1)
            store.close()
        finally:
            late.kill()
