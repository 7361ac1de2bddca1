"""A server with routes: what callers get in each arm, and what the metrics say of it."""

from __future__ import annotations

import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reranker.client import Client, from_columns, request_context
from reranker.errors import InvalidInput
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1 import slate_pb2

IDS = [f"i{i}" for i in range(40)]
SCORES = np.random.default_rng(1).random(40)
VECTORS = np.random.default_rng(2).standard_normal((40, 8)).astype(np.float32)
UPSTREAM = sorted(range(40), key=lambda i: -SCORES[i])
ROUTES = """
[[routes]]
when = { surface = ["search"] }
salt = "s"
arms = { upstream = 0.3, varied = 0.3, default = 0.4 }
[[routes]]
when = { surface = ["home"] }
arms = { upstream = 1 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policies")
    (folder / "varied.toml").write_text("[objective]\ndiversity = 0.9\n")
    (folder / "routes.toml").write_text(ROUTES)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    running = Server(Settings(listen="127.0.0.1:0", admin="127.0.0.1:0", policies=folder, grace=1.0))
    running.warm_up()
    yield running
    running.drain()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.address, deadline=20, on_error="raise") as open_client:
        yield open_client


def answer(client: Client, policy: str = "", **context: object) -> messages.RerankResponse:
    tones = {"tone": ["a", "b"] * 20}
    known = request_context(**context)  # type: ignore[arg-type]
    slate = client.rerank(from_columns(IDS, SCORES, VECTORS, tones), 10, policy or None, context=known, explain=True)
    assert slate.response is not None
    return slate.response


def samples(server: Server, name: str) -> list[str]:
    with urllib.request.urlopen(f"http://{server.admin_address}/metrics", timeout=20) as page:
        return [line for line in page.read().decode().splitlines() if line.startswith(name)]


def test_every_arm_answers_under_its_own_name(client: Client, server: Server) -> None:
    arms = Counter()  # type: Counter[str]
    for i in range(40):
        first, again = (answer(client, surface="search", unit=f"u{i}") for _ in range(2))
        assert (first.arm, list(first.positions)) == (again.arm, list(again.positions))
        assert first.policy_name == first.arm
        assert (list(first.positions) == UPSTREAM[:10]) == (first.arm == "upstream")
        triggered = first.status != slate_pb2.SLATE_STATUS_NOT_TRIGGERED
        assert triggered == (first.arm != "upstream")
        assert len(first.explanations) == 10
        arms[first.arm] += 2
    assert set(arms) == {"upstream", "varied", "default"}
    lines = samples(server, "reranker_slates_total")
    for arm, count in arms.items():
        assert any(f'arm="{arm}",policy="{arm}"' in line and line.endswith(f" {count}.0") for line in lines), lines
    assert samples(server, "reranker_routes_info{revision=")


def test_nothing_matches_and_no_unit(client: Client) -> None:
    untouched = answer(client, surface="elsewhere", unit="u1")
    assert (untouched.arm, untouched.policy_name) == ("", "upstream")
    assert untouched.status == slate_pb2.SLATE_STATUS_NOT_TRIGGERED
    assert list(untouched.positions) == UPSTREAM[:10]
    unknown = answer(client, surface="search")
    assert (unknown.arm, unknown.policy_name) == ("", "default")
    assert any("in no arm" in note for note in unknown.notes)
    named = answer(client, "varied", surface="search", unit="u1")
    assert (named.arm, named.policy_name) == ("", "varied")


def test_what_the_request_settles_holds_in_the_upstream_order_too(client: Client) -> None:
    pinned = answer(client, surface="home", fixed={2: IDS[UPSTREAM[-1]]})
    assert list(pinned.positions) == [UPSTREAM[0], UPSTREAM[-1], *UPSTREAM[1:9]]
    narrowed = answer(client, surface="home", refinement={"tone": ["b"]})
    assert list(narrowed.positions) == [i for i in UPSTREAM if i % 2][:10]
    first = answer(client, surface="home")
    second = answer(client, surface="home", cursor=first.cursor)
    assert [*first.positions, *second.positions] == UPSTREAM[:20]
    assert second.status == slate_pb2.SLATE_STATUS_NOT_TRIGGERED


def test_mistakes_open_no_port(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "varied.toml").write_text("[objective]\ndiversity = 9\n")
    (tmp_path / "routes.toml").write_text(ROUTES.replace("varied", "vareid"))
    with pytest.raises(InvalidInput) as caught:
        Server(Settings(listen="127.0.0.1:0", admin="", policies=tmp_path))
    assert [str(violation).partition(": ")[0] for violation in caught.value.violations] == [
        "varied.toml, line 2",
        "routes.toml, line 5",
    ]


def test_what_other_arms_would_have_done_is_counted_after_the_answer(client: Client, server: Server) -> None:
    def made(policy: str) -> float:
        lines = samples(server, f'reranker_shadow_slates_total{{policy="{policy}",status="SATISFIED"}}')
        return float(lines[0].split(" ")[1]) if lines else 0.0

    end = time.monotonic() + 60
    while samples(server, 'reranker_after_answer_queue{consumer="shadow"}') != [
        'reranker_after_answer_queue{consumer="shadow"} 0.0'
    ]:
        assert time.monotonic() < end
        time.sleep(0.02)
    before = {policy: made(policy) for policy in ("varied", "default")}
    unit = next(f"x{i}" for i in range(100) if answer(client, surface="search", unit=f"x{i}").arm == "upstream")
    for _ in range(3):
        first = answer(client, surface="search", unit=unit)
        answer(client, surface="search", unit=unit, cursor=first.cursor)  # a later page has no shadow
        answer(client, surface="search", unit=unit, refinement={"tone": ["a"]})  # nor has a refined request
    while {policy: made(policy) for policy in before} != {policy: count + 4 for policy, count in before.items()}:
        assert time.monotonic() < end
        time.sleep(0.02)
    changed = samples(server, 'reranker_shadow_changed_share_sum{policy="varied"}')
    assert float(changed[0].split(" ")[1]) > 0.0
