"""The parts of supervision that need no process: waits, slots, links, merged scrapes, pages, shared ports."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from reranker.runtime.backoff import FIRST, LAST_ONE, MOST, Backoff
from reranker.runtime.children import CannotFork, assert_alone
from reranker.runtime.configuration import resolve
from reranker.runtime.labelled import Labelled, merged
from reranker.runtime.link import Answer, Asker, Unanswered, answer
from reranker.runtime.pages import Overview, WorkerView, as_html, duration, settings_as_text
from reranker.runtime.ports import CannotListen, SharedPort, why_not
from reranker.runtime.settings import Settings
from reranker.runtime.slots import Slot
from reranker.runtime.state import ServerState
from reranker.store.address import StoreAddress


def test_waits_double_up_to_a_limit_and_begin_anew_after_a_minute_of_life() -> None:
    backoff = Backoff()
    waits = [backoff.after(0.0) for _ in range(12)]
    longest = [min(MOST, FIRST * 2**number) for number in range(12)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))
    assert backoff.after(60.0) <= FIRST
    assert len(set(waits)) == 12  # two that fell together do not come back together


def test_a_slot_waits_longer_each_time_but_never_long_when_nothing_else_serves() -> None:
    slot = Slot(0, "127.0.0.1:1")
    assert slot.next_start(is_last_hope=True) is None
    for number in range(10):
        slot.crashed(100.0, lived=0.0)
        assert slot.restarts == number + 1
    later = slot.next_start(is_last_hope=False)
    assert later is not None
    assert later > 100.0 + LAST_ONE
    assert slot.next_start(is_last_hope=True) == 100.0 + LAST_ONE


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, its = socket.socketpair()
    with ours, its:
        yield ours, its


def test_answers_come_to_whoever_asked_also_after_one_that_came_too_late(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    goes_on = threading.Event()

    def slow(_: str) -> Answer:
        goes_on.wait(20)
        return Answer("late", b"x" * 500_000)  # more than a socket holds

    def broken(_: str) -> Answer:
        raise KeyError("secret")

    pages = {"slow": slow, "quick": lambda accept: Answer("quick", accept.encode()), "broken": broken}
    answer(ends[1], pages)
    asker = Asker(ends[0])
    with pytest.raises(Unanswered):
        asker.ask("slow", "", 0.05)
    goes_on.set()
    assert asker.ask("quick", "who asked", 20) == ("quick", b"who asked")
    with pytest.raises(Unanswered):
        asker.ask("broken", "", 20)
    assert len(asker.ask("slow", "", 20).body) == 500_000
    asker.close()


def test_nobody_at_the_other_end_is_noticed_at_once(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].close()
    began = time.monotonic()
    with pytest.raises(Unanswered):
        Asker(ends[0]).ask("metrics", "", 30)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_scrapes_of_workers_are_one_scrape_with_their_numbers(accept: str) -> None:
    encode, _ = choose_encoder(accept)
    bodies = []
    for worker in (0, 1):
        registry = CollectorRegistry()
        Counter("calls", "Calls.", ("code",), registry=registry).labels('O"K\n').inc(worker + 1)
        Gauge("ready", "Ready.", registry=registry).set(1)
        Histogram("seconds", "Seconds.", buckets=(1, 2), registry=registry).observe(1.5)
        Counter("nothing", "Without samples.", ("code",), registry=registry)
        bodies.append(encode(Labelled(registry, worker)))
    text = merged(bodies).decode()
    families = list((open_metrics if accept else plain_text)(text))
    assert len({family.name for family in families}) == len(families)  # each metric once
    assert text.count("# TYPE ready gauge\n") == 1
    samples = [sample for family in families for sample in family.samples]
    totals = {s.labels["worker"]: s.value for s in samples if s.name == "calls_total"}
    assert totals == {"0": 1.0, "1": 2.0}
    assert all(sample.labels["worker"] in "01" for sample in samples)
    assert len({(s.name, *sorted(s.labels.items())) for s in samples}) == len(samples)


def test_a_process_with_threads_does_not_fork() -> None:
    goes_on = threading.Event()
    other = threading.Thread(target=goes_on.wait, name="someone")
    other.start()
    try:
        with pytest.raises(CannotFork, match="someone"):
            assert_alone()
    finally:
        goes_on.set()
        other.join()


def test_siblings_share_a_port_and_nobody_else_gets_it() -> None:
    port = SharedPort("127.0.0.1:0")
    try:
        assert not port.address.endswith(":0")
        assert why_not(port.address)
        with pytest.raises(CannotListen, match="Address already in use"):
            SharedPort(port.address)
    finally:
        for holder in port.sockets:
            holder.close()
    assert not why_not(port.address)


def test_settings_are_shown_as_a_file_with_sources_and_without_passwords() -> None:
    settings = Settings(store=StoreAddress.parse("redis://me:hush@127.0.0.1/0"), reflection=True)
    text = settings_as_text(settings, {"reflection": "--reflection"})
    assert "reflection = true  # --reflection\n" in text
    assert 'listen = "127.0.0.1:50051"  # default\n' in text
    assert "# drain_delay: 0 on loopback, else 5\n" in text
    assert "hush" not in text


def test_the_settings_page_is_a_file_of_settings(tmp_path: Path) -> None:
    given = Settings(workers=2, drain_delay=1.5, admin="", tls_key=None, policies=tmp_path)
    (tmp_path / "shown.toml").write_text(settings_as_text(given, {}))
    assert resolve({"config": str(tmp_path / "shown.toml")}, {}).settings == given


def test_the_status_page_says_once_what_all_workers_agree_on_and_escapes_it() -> None:
    one = WorkerView(0, 11, "SERVING", 0.0, "127.0.0.1:1", sections={"policies": {"<b>": "1"}, "calls": {"now": 1}})
    two = replace(one, number=1, sections={"policies": {"<b>": "1"}, "calls": {"now": 2}})
    html = as_html(Overview(ServerState.SERVING, 0.0, (one, two), "refused"), "development")
    assert html.count("&lt;b&gt;") == 1
    assert "<b>" not in html
    assert "<tr><td>now</td><td>1</td><td>2</td></tr>" in html


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_661, "1 h 1 min"), (180_000, "2 d 2 h")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
