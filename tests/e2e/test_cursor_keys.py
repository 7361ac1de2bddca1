"""Cursors across servers and restarts, and what the log says of keys and of refined requests: real processes."""

from __future__ import annotations

import json
import secrets
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reranker.client import Client, from_columns, request_context
from reranker.errors import InvalidInput
from tests.e2e.processes import Process, run

CANDIDATES = from_columns(
    [f"item-47{i:02}" for i in range(20)],
    np.linspace(1, 0, 20),
    np.eye(20),
    {"hair": [["coily", "curly"][i % 2] for i in range(20)]},
)
KEYS = [secrets.token_hex(32) for _ in range(2)]


def lines_of(process: Process) -> list[dict[str, Any]]:
    """The log of a process that is told to stop."""
    process.send(signal.SIGTERM)
    code, errors = process.end()
    assert code == 0
    return [json.loads(line) for line in errors.splitlines()]


@pytest.fixture
def started() -> Iterator[list[Process]]:
    running: list[Process] = []
    yield running
    for process in running:
        process.kill()


def start(started: list[Process], *flags: str, **environment: str) -> Process:
    started.append(Process(*flags, **environment).warm())
    return started[-1]


def key_file(folder: Path, *keys: str) -> str:
    path = folder / f"keys-{secrets.token_hex(4)}"
    path.write_text("\n".join(keys))
    return str(path)


def page(process: Process, cursor: bytes = b"") -> tuple[list[str | int], bytes]:
    with Client(process.address, deadline=10.0, on_error="raise") as client:
        slate = client.rerank(CANDIDATES, 5, context=request_context(cursor=cursor))
    return list(slate.ids), slate.cursor


def test_servers_with_one_key_file_turn_each_others_pages(tmp_path: Path, started: list[Process]) -> None:
    one = start(started, "--cursor-key-file", key_file(tmp_path, KEYS[0]))
    other = start(started, RERANKER_CURSOR_KEY_FILE=key_file(tmp_path, KEYS[1], KEYS[0]))
    first, cursor = page(one)
    second, onward = page(other, cursor)
    third, _ = page(one, onward)  # pages go on under the key that began them, so the server of one key still reads it
    assert len({*first, *second, *third}) == 15
    _, newer = page(other)
    with pytest.raises(InvalidInput) as raised:
        page(one, newer)
    assert [violation.path for violation in raised.value.violations] == ["context.cursor"]
    for process in (one, other):
        log = lines_of(process)
        assert not any(line["event"].startswith("cursors") for line in log)
        assert not any(key in json.dumps(log) for key in KEYS)


def test_without_a_key_file_cursors_end_with_their_process_and_the_log_says_so(started: list[Process]) -> None:
    one, other = start(started), start(started)
    _, cursor = page(one)
    assert page(one, cursor)
    with pytest.raises(InvalidInput, match=r"context\.cursor"):
        page(other, cursor)
    told = [line for line in lines_of(one) if line["event"] == "cursors hold until this server ends"]
    assert [line["level"] for line in told] == ["info"]
    assert "--cursor-key-file" in told[0]["why"]
    assert "one file of keys" in told[0]["next"]


@pytest.mark.parametrize("check", [True, False])
def test_bad_keys_end_with_2_and_name_the_line_and_not_the_key(tmp_path: Path, check: bool) -> None:
    path = key_file(tmp_path, KEYS[0], KEYS[1][:20])
    flags = ["--check"] if check else ["--listen", "127.0.0.1:0", "--admin", "off"]
    done = run("server.py", "--cursor-key-file", path, *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{path}: line 2: key: must be base64 or hex text of at least 16 bytes" in done.stderr
    assert KEYS[1][:20] not in done.stderr


def test_a_refined_request_leaves_a_count_and_nothing_else(tmp_path: Path, started: list[Process]) -> None:
    process = start(started, "--log-every", "1", "--cursor-key-file", key_file(tmp_path, KEYS[0]))
    with Client(process.address, deadline=10.0) as client:
        narrowed = request_context(refinement={"hair": ["coily"]})
        slate = client.rerank(CANDIDATES, 5, context=narrowed, request_id="r-1")
        assert client.rerank(CANDIDATES, -1, context=narrowed, request_id="r-2").degraded
        assert client.rerank(CANDIDATES, 5, "nobody", context=narrowed, request_id="r-3").degraded
        narrowed.refinement.add(attribute="hair", values=["curly"])
        assert client.rerank(CANDIDATES, 5, context=narrowed, request_id="r-4").degraded
        client.rerank(CANDIDATES, 5, request_id="r-5")
    assert slate.status is not None
    assert len(slate) == 5
    with urllib.request.urlopen(f"http://{process.admin}/metrics", timeout=5) as answer:
        metrics = answer.read().decode()
    assert "reranker_refined_requests_total 1.0\n" in metrics
    log = lines_of(process)
    assert [line["event"] for line in log if "request" in line] == [*["request failed"] * 3, "slate"]
    failed = [line for line in log if line["event"] == "request failed"]
    assert all(line["request"] == "" and "fields" not in line for line in failed)
    for text in (metrics, json.dumps(log)):
        assert not any(word in text for word in ("item-47", "hair", "coily", "curly", "refinement", "nobody"))
