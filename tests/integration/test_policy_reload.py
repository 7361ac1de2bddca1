"""A running server takes over changed policies and routes as a whole, and keeps the last good ones."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from reranker.client import Client, from_columns, request_context
from reranker.observability.logs import LOGGER, JsonFormatter
from reranker.policy.compile import _CACHE
from reranker.runtime.policies import PolicyWatch
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1 import reranker_service_pb2 as messages
from tests.waiting import wait_for

CANDIDATES = from_columns([f"i{i}" for i in range(30)], np.linspace(1, 0, 30))
PATIENCE = 60.0


def write(folder: Path, version: int) -> None:
    """A policy and routes of which each names the version: no request may see two."""
    for file in folder.glob("*.toml"):
        file.unlink()
    (folder / f"p{version}.toml").write_text(f'about = {{ purpose = "version {version}" }}\n')
    (folder / "routes.toml").write_text(f'[[routes]]\nsalt = "s"\narms = {{ p{version} = 0.5, default = 0.5 }}\n')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a Kubernetes ConfigMap is mounted: links to files below a link that is swapped."""
    mount = tmp_path / "policies"
    mount.mkdir()
    swap(mount, 0)
    return mount


def swap(mount: Path, version: int, spoilt: str = "") -> None:
    """Another version in one step, as the kubelet does it."""
    data = mount / f"..v{version}{len(spoilt)}"
    data.mkdir()
    write(data, version)
    if spoilt:
        (data / f"p{version}.toml").write_text(spoilt)
    os.symlink(data.name, mount / "..tmp")
    os.replace(mount / "..tmp", mount / "..data")
    for link in mount.glob("*.toml"):
        if not (data / link.name).exists():
            link.unlink()
    for file in data.iterdir():
        if not (mount / file.name).is_symlink():
            os.symlink(f"..data/{file.name}", mount / file.name)


@pytest.fixture
def lines() -> Iterator[Callable[[str], list[dict[str, object]]]]:
    """The log's lines about an event, so far."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    LOGGER.addHandler(handler)
    level = LOGGER.level
    LOGGER.setLevel("INFO")

    def about(event: str) -> list[dict[str, object]]:
        return [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == event]

    yield about
    LOGGER.removeHandler(handler)
    LOGGER.setLevel(level)


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(PolicyWatch.__init__, "__defaults__", (None, 0.02))
    running = Server(Settings(listen="127.0.0.1:0", admin="127.0.0.1:0", policies=folder, grace=1.0))
    running.warm_up()
    yield running
    running.drain()


def ask(client: Client, unit: str = "u", policy: str | None = None) -> messages.RerankResponse:
    slate = client.rerank(CANDIDATES, 7, policy, context=request_context(unit=unit))
    assert slate.response is not None
    return slate.response


def metric(server: Server, start: str) -> list[str]:
    with urllib.request.urlopen(f"http://{server.admin_address}/metrics", timeout=20) as page:
        return [line for line in page.read().decode().splitlines() if line.startswith(start)]


def test_every_request_meets_one_version_and_none_is_dropped(server: Server, folder: Path) -> None:
    seen: set[str] = set()
    failures: list[object] = []
    stop = threading.Event()

    def call(number: int) -> None:
        with Client(server.address, deadline=20, on_error="raise") as client:
            count = 0
            while not stop.is_set():
                count += 1
                try:
                    answer = ask(client, f"{number}-{count}")
                except Exception as error:
                    failures.append(error)
                    return
                if answer.arm != answer.policy_name:
                    failures.append((answer.arm, answer.policy_name))
                seen.add(answer.arm)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for version in range(1, 6):
        swap(folder, version)
        wait_for(lambda version=version: f"p{version}" in seen or bool(failures))  # type: ignore[misc]
    stop.set()
    for caller in callers:
        caller.join(PATIENCE)
    assert failures == []
    assert seen == {"default", *(f"p{version}" for version in range(6))}
    assert metric(server, 'reranker_policy_reloads_total{result="loaded"}') == [
        'reranker_policy_reloads_total{result="loaded"} 5.0'
    ]
    assert [line.split(" ")[0] for line in metric(server, 'reranker_policy_info{policy="p')] == [
        f'reranker_policy_info{{policy="p5",revision="{server._desk.book.get("p5").revision}"}}'
    ]


def test_the_last_good_ones_serve_while_anything_is_wrong(
    server: Server, folder: Path, lines: Callable[[str], list[dict[str, object]]]
) -> None:
    before = server._desk.book
    swap(folder, 1, spoilt="[objective]\ndiversity = 9\nx = 1\n")
    wait_for(lambda: bool(lines("policies refused")))
    assert server._desk.book is before
    (line,) = lines("policies refused")
    assert line["count"] == 2
    assert "p1.toml, line 2: objective.diversity" in str(line["mistakes"])
    assert line["serving"] == before.revision
    assert metric(server, "reranker_policies_refused") == ["reranker_policies_refused 1.0"]
    with Client(server.address, deadline=20, on_error="raise") as client:
        assert ask(client, policy="p0").policy_revision == before.get("p0").revision
    time.sleep(0.1)
    assert len(lines("policies refused")) == 1  # once, however often it is looked at
    swap(folder, 2)
    wait_for(lambda: server._desk.book is not before)
    assert server._desk.book.names() == ("default", "p2")
    wait_for(lambda: metric(server, "reranker_policies_refused") == ["reranker_policies_refused 0.0"])


def test_a_folder_that_goes_away_changes_nothing(
    server: Server, folder: Path, lines: Callable[[str], list[dict[str, object]]]
) -> None:
    before = server._desk.book
    folder.rename(folder.parent / "elsewhere")
    wait_for(lambda: bool(lines("policies refused")))
    assert "is not a folder" in str(lines("policies refused")[0]["mistakes"])
    assert server._desk.book is before
    (folder.parent / "elsewhere").rename(folder)
    wait_for(lambda: metric(server, "reranker_policies_refused") == ["reranker_policies_refused 0.0"])
    assert server._desk.book is before  # nothing has changed


def test_a_new_policy_is_compiled_before_it_serves(server: Server, folder: Path) -> None:
    with Client(server.address, deadline=20, on_error="raise") as client:
        ask(client)  # slates of seven
    swap(folder, 1)
    wait_for(lambda: "p1" in server.policy_names)
    assert (server._desk.book.get("p1").revision, 7) in _CACHE._made


def test_a_review_that_is_due_is_said_and_stops_nothing(
    server: Server, folder: Path, lines: Callable[[str], list[dict[str, object]]]
) -> None:
    swap(folder, 1, spoilt='about = { owner = "us", review_by = 2020-01-31 }\n')
    wait_for(lambda: bool(lines("policy review overdue")))
    (line,) = lines("policy review overdue")
    assert (line["policy"], line["review_by"], line["owner"]) == ("p1", "2020-01-31", "us")
    wait_for(
        lambda: metric(server, "reranker_policy_review_overdue") == ['reranker_policy_review_overdue{policy="p1"} 1.0']
    )
    with Client(server.address, deadline=20, on_error="raise") as client:
        assert ask(client, policy="p1").policy_name == "p1"


def test_what_nobody_foresaw_keeps_no_server_from_starting(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lines: Callable[[str], list[dict[str, object]]]
) -> None:
    def fail(self: PolicyWatch) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(PolicyWatch, "look", fail)
    running = Server(Settings(listen="127.0.0.1:0", admin="127.0.0.1:0", policies=folder, grace=1.0))
    try:
        running.warm_up()
        assert running.policy_names == ("default", "p0")
        assert lines("looking for new policies failed")[0]["exception"] == "ZeroDivisionError"
        assert metric(running, "reranker_policies_refused") == ["reranker_policies_refused 1.0"]
    finally:
        running.drain()
