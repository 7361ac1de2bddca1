"""What is put under load, what it uses, and what is refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.server_process import ServerFailed
from loadtest.errors import LoadtestError
from loadtest.servers import service
from loadtest.servers.service import running
from loadtest.servers.target import Target, on_this_machine
from loadtest.servers.usage import ended, listens, machine_busy, used

BUSY = """
import time
end = time.process_time() + 0.3
while time.process_time() < end: pass
print("done", flush=True)
input()
"""


def test_cpu_of_a_process_and_of_its_children_is_counted() -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        found, together = used(process.pid), used(process.pid, os.getpid())
        process.communicate("\n")
    assert found is not None
    assert together is not None
    assert 0.25 < found.cpu < 2
    assert found.memory > 5_000_000
    assert together.cpu >= found.cpu


def test_a_process_that_is_gone_has_no_figures() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert used(process.pid) is None
    assert used(None) is None


def test_the_machines_work_goes_up() -> None:
    before = machine_busy()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    after = machine_busy()
    assert before is not None
    assert after is not None
    assert after - before >= 0.05


@pytest.mark.parametrize("address", ["127.0.0.1:5", "localhost:5", "[::1]:5", "127.8.8.8:5"])
def test_this_machine_may_be_loaded(address: str) -> None:
    assert on_this_machine(address) == address


def test_a_process_is_known_by_the_port_it_listens_on() -> None:
    with socket.socket() as one, socket.socket() as other:
        for listener in (one, other):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
        port = one.getsockname()[1]
        assert listens(os.getpid(), port)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            assert listens(process.pid, port) is False
            with pytest.raises(LoadtestError, match="does not listen"):
                service.check_process(process.pid, f"127.0.0.1:{port}")
            process.communicate(b"\n")
        assert ended(process.pid)
        service.check_process(os.getpid(), f"127.0.0.1:{port}")


def test_a_server_that_is_not_there_is_no_mistake_of_the_scenario() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, so that nobody else listens there
        target = Target("nobody", f"127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(ServerFailed, match="no server answers"):
            service.answers_of(target, [b""])


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:99999", "127.0.0.1:65536000000000"])
def test_ports_do_not_wrap(address: str) -> None:
    with pytest.raises(LoadtestError, match="65535"):
        on_this_machine(address)


@pytest.mark.parametrize("address", ["10.0.0.1:5", "example.org:5", "0.0.0.0:5", "127.0.0.1", "[2001:db8::1]:5"])
def test_no_other_machine_may(address: str) -> None:
    with pytest.raises(LoadtestError):
        on_this_machine(address)


def test_the_sources_of_a_commit_are_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    for text in ("old", "new"):
        (repository / "server.py").write_text(text)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", text], check=True)
    monkeypatch.setattr(service, "ROOT", repository)
    tree = service.sources_of("HEAD~1", tmp_path / "commits")
    assert (tree / "server.py").read_text() == "old"
    (tree / "kept").touch()
    assert (service.sources_of("HEAD^", tmp_path / "commits") / "kept").exists()
    assert [path.name for path in (tmp_path / "commits").iterdir()] == [tree.name]
    assert (repository / "server.py").read_text() == "new"
    for number in range(service.MOST_COMMITS + 3):
        (tmp_path / "commits" / f"older-{number}").mkdir()
        os.utime(tmp_path / "commits" / f"older-{number}", (number, number))
    service.sources_of("HEAD^", tmp_path / "commits")
    left = {path.name for path in (tmp_path / "commits").iterdir()}
    assert len(left) == service.MOST_COMMITS
    assert tree.name in left
    assert "older-0" not in left
    with pytest.raises(LoadtestError, match="no commit"):
        service.sources_of("--output=/tmp/x", tmp_path / "commits")


def test_neither_an_address_nor_sources_nor_a_commit(tmp_path: Path) -> None:
    with pytest.raises(LoadtestError, match="no commit"), running("no-such-thing", tmp_path):
        pass
