"""The store against a real Valkey: what it does when that is slow, gone, full, restarted or lies."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from loadtest.servers.valkey import Valkey, free_port, running_cluster, running_valkey
from reranker.errors import StoreError, StoreLied, StoreUnavailable
from reranker.store import Script, StoreAddress, command, keyless
from reranker.store.store import Store
from tests.integration.tls import CERTIFICATE, terminator
from tests.waiting import wait_for

PATIENT = 5.0  # seconds: nothing here depends on how fast the machine is
ADD = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")


class Ears:
    """Hears what the store tells."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self.states: list[bool] = []

    def store_answered(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def store_failed(self, reason: str) -> None:
        self.failures.append(reason)

    def store_changed(self, place: str, well: bool) -> None:
        self.states.append(well)


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def store(valkey: Valkey, ears: Ears) -> Iterator[Store]:
    valkey.ask("FLUSHALL")
    made = Store(StoreAddress.parse(valkey.url), connections=3, listener=ears)
    made.start(PATIENT)
    yield made
    made.close()


def test_commands_go_together_and_come_back_in_their_order(store: Store) -> None:
    sent = [command("SET", "a", b"1"), command("GET", "a"), keyless("PING"), command("HGETALL", "no")]
    assert store.run(sent, PATIENT) == [b"OK", b"1", b"PONG", {}]


def test_values_come_back_as_they_are(store: Store) -> None:
    value = bytes(range(256)) * 1000
    store.call(command("SET", "blob", value), PATIENT)
    assert store.fetch([b"blob", b"none", b"blob"], PATIENT) == [value, None, value]
    assert store.fetch([], PATIENT) == []


def test_a_key_of_another_type_is_a_lie_and_not_a_missing_value(store: Store, ears: Ears) -> None:
    store.run([command("RPUSH", "list", "x"), command("SET", "text", "y")], PATIENT)
    text, lied = store.fetch([b"text", b"list"], PATIENT)
    assert text == b"y"
    assert isinstance(lied, StoreLied)
    assert lied.reason == "wrong_type"
    with pytest.raises(StoreLied, match="wrong_type"):
        store.call(command("GET", "list"), PATIENT)
    assert set(ears.failures) == {"wrong_type"}
    assert store.well


def test_an_error_quotes_nothing(store: Store) -> None:
    with pytest.raises(StoreLied) as caught:
        store.call(keyless("NONSENSE", "of-a-person"), PATIENT)
    assert "person" not in str(caught.value)
    assert "person" not in str(pickle.loads(pickle.dumps(caught.value)))


def test_a_script_is_sent_again_when_the_server_has_forgotten_it(store: Store) -> None:
    assert store.call(ADD.on(["n"], 2), PATIENT) == 2
    assert store.call(ADD.on(["n"], 2), PATIENT) == 4
    store.call(keyless("SCRIPT", "FLUSH"), PATIENT)
    assert store.run([ADD.on(["n"], 1), command("GET", "n"), ADD.on(["n"], 1)], PATIENT)[1] == b"4"
    assert store.call(command("GET", "n"), PATIENT) == b"6"


def test_it_starts_without_a_server_and_finds_it_later(ears: Ears) -> None:
    port = free_port()
    store = Store(StoreAddress.parse(f"redis://127.0.0.1:{port}"), listener=ears)
    store.start(PATIENT)
    with pytest.raises(StoreUnavailable, match="disconnected"):
        store.call(keyless("PING"), PATIENT)
    assert not store.well
    with running_valkey() as elsewhere:
        late = Valkey(elsewhere.folder, port, password="")
        try:
            late.start()
            wait_for(lambda: store.well)
            assert store.call(keyless("PING"), PATIENT) == b"PONG"
        finally:
            late.kill()
            store.close()
    assert ears.states == [False, True]


def test_a_restart_loses_no_call_that_comes_after_it() -> None:
    with running_valkey() as server:
        store = Store(StoreAddress.parse(server.url), connections=3)
        store.start(PATIENT)
        server.kill()
        server.start()
        wait_for(lambda: not isinstance(store.run([keyless("PING")], PATIENT)[0], StoreError))
        assert store.well
        store.close()


def test_a_paused_server_costs_three_time_outs_and_then_nothing(ears: Ears) -> None:
    with running_valkey() as server:
        store = Store(StoreAddress.parse(server.url), connections=6, timeout=0.02, listener=ears)
        store.start(PATIENT)
        wait_for(lambda: len(store._lines()[0]._ready) == 6)
        server.pause()
        replies = [store.run([keyless("PING")], 0.02)[0] for _ in range(40)]
        server.resume()
        assert all(isinstance(reply, StoreUnavailable) for reply in replies)
        reasons = [reply.reason for reply in replies]
        assert reasons[:3] == ["timeout"] * 3
        assert set(reasons[3:]) <= {"resting", "timeout"}
        assert reasons.count("resting") >= 30
        wait_for(lambda: store.well)
        assert store.call(keyless("PING"), PATIENT) == b"PONG"
        assert ears.states == [True, False, True]
        store.close()


def test_a_full_server_still_reads(store: Store, valkey: Valkey) -> None:
    store.call(command("SET", "kept", "here"), PATIENT)
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    try:
        written, read = store.run([command("SET", "new", "x" * 100), command("GET", "kept")], PATIENT)
    finally:
        valkey.ask("CONFIG", "SET", "maxmemory", "0")
    assert isinstance(written, StoreUnavailable)
    assert written.reason == "full"
    assert read == b"here"
    assert store.well


def test_a_wrong_password_is_said_and_a_new_one_needs_no_restart(valkey: Valkey, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("wrong\n")
    address = StoreAddress.parse(f"redis://127.0.0.1:{valkey.port}").with_files(file, None)
    store = Store(address, connections=1)
    store.start(PATIENT)
    with pytest.raises(StoreUnavailable, match="not_allowed"):
        store.call(keyless("PING"), PATIENT)
    file.write_text(f"{valkey.password}\n")
    wait_for(lambda: store.well)
    assert store.call(keyless("PING"), PATIENT) == b"PONG"
    store.close()


def test_tls_with_a_certificate_that_is_vouched_for_and_with_none(valkey: Valkey) -> None:
    with terminator(valkey.port) as port:
        address = StoreAddress.parse(f"rediss://:{valkey.password.replace(' ', '%20')}@127.0.0.1:{port}")
        trusting = Store(address.with_files(None, CERTIFICATE), connections=2)
        trusting.start(PATIENT)
        assert trusting.call(command("SET", "over", b"tls" * 100_000), PATIENT) == b"OK"
        assert trusting.fetch([b"over"], PATIENT) == [b"tls" * 100_000]
        wary = Store(address, connections=1)  # the system's certificates do not vouch for it
        wary.start(PATIENT)
        with pytest.raises(StoreUnavailable, match="untrusted"):
            wary.call(keyless("PING"), PATIENT)
        trusting.close()
        wary.close()


@contextmanager
def trickling(beginning: bytes) -> Iterator[int]:
    """The port of a server that signs everybody in, begins to answer, and then sends a byte now and then."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def accept() -> None:
        while not stop.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(peer,), daemon=True).start()

    def talk(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            for answer in (b"%1\r\n$5\r\nproto\r\n:3\r\n", b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n"):
                peer.recv(1 << 16)
                peer.sendall(answer)
            peer.recv(1 << 16)
            peer.sendall(beginning + b"$1000000\r\n")
            while not stop.wait(0.02):
                peer.sendall(b"x")

    threading.Thread(target=accept, daemon=True).start()
    yield int(listener.getsockname()[1])
    stop.set()
    listener.close()


def test_a_trickle_of_bytes_does_not_win_time() -> None:
    """A server that sends a byte now and then keeps redis-py's own time-out from ever passing."""
    with trickling(b"") as port:
        store = Store(StoreAddress.parse(f"redis://127.0.0.1:{port}"), connections=1)
        store.start(PATIENT)
        with pytest.raises(StoreUnavailable, match="timeout"):
            store.call(command("GET", "a"), 0.2)
        store.close()


def test_what_came_in_time_is_not_lost_and_nobody_is_left_alone_for_it(ears: Ears) -> None:
    keys = [b"key-%d" % n for n in range(200)]
    whole = b"*128\r\n" + b"$1\r\nv\r\n" * 128 + b":128\r\n"
    with trickling(whole) as port:
        store = Store(StoreAddress.parse(f"redis://127.0.0.1:{port}"), connections=1, listener=ears)
        store.start(PATIENT)
        for _ in range(4):
            wait_for(lambda: bool(store._lines()[0]._ready))
            values = store.fetch(keys, 0.3)
            assert values[:128] == [b"v"] * 128
            assert all(isinstance(value, StoreUnavailable) and value.reason == "timeout" for value in values[128:])
        assert store.well
        assert ears.states == [True]
        store.close()


def test_a_store_that_was_started_before_a_fork_refuses_to_work(store: Store) -> None:
    child = os.fork()
    if child == 0:
        try:
            store.run([keyless("PING")], PATIENT)
        except RuntimeError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_many_threads_share_few_connections(store: Store) -> None:
    def work(n: int) -> None:
        for _ in range(50):
            reply = store.run([ADD.on(["shared"], 1)], PATIENT)[0]
            if not isinstance(reply, StoreError):
                done[n] += 1

    done = [0] * 6
    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int(store.call(command("GET", "shared"), PATIENT)) == sum(done) > 0


def test_a_cluster_in_one_round_trip_and_with_a_node_gone() -> None:
    with running_cluster() as nodes:
        address = StoreAddress.parse(nodes[0].url.replace("redis://", "redis+cluster://"))
        store = Store(address, connections=2)
        store.start(PATIENT)
        wait_for(lambda: len(store._lines()) == 3 and store.well)
        keys = [b"key-%d" % n for n in range(200)]
        assert store.run([command("SET", key, key) for key in keys], PATIENT) == [b"OK"] * 200
        assert store.fetch(keys, PATIENT) == keys
        assert store.call(ADD.on(["{tag}:a", "{tag}:b"], 3), PATIENT) == 3

        nodes[1].kill()
        values = store.fetch(keys, PATIENT)
        there = [value for value in values if isinstance(value, bytes)]
        gone = [value for value in values if isinstance(value, StoreUnavailable)]
        assert len(there) + len(gone) == 200
        assert min(len(there), len(gone)) > 30

        nodes[1].start()
        wait_for(lambda: all(isinstance(value, bytes | None) for value in store.fetch(keys, PATIENT)))
        store.close()


def test_a_key_that_has_moved_is_followed() -> None:
    with running_cluster() as nodes:
        store = Store(StoreAddress.parse(nodes[0].url.replace("redis://", "redis+cluster://")), connections=2)
        store.start(PATIENT)
        wait_for(lambda: len(store._lines()) == 3 and store.well)
        ids = [node.ask("CLUSTER", "MYID").split(b"\r\n")[1].decode() for node in nodes]
        slot = int(nodes[0].ask("CLUSTER", "KEYSLOT", "moving").strip()[1:])
        source = next(n for n in range(3) if 16_384 * n // 3 <= slot < 16_384 * (n + 1) // 3)
        target = (source + 1) % 3
        nodes[target].ask("CLUSTER", "SETSLOT", str(slot), "IMPORTING", ids[source])
        nodes[source].ask("CLUSTER", "SETSLOT", str(slot), "MIGRATING", ids[target])
        assert store.run([command("SET", "moving", "asked"), command("GET", "moving")], PATIENT) == [b"OK", b"asked"]
        for node in (target, source):
            nodes[node].ask("CLUSTER", "SETSLOT", str(slot), "NODE", ids[target])
        assert store.call(command("GET", "moving"), PATIENT) == b"asked"
        store.close()
