"""`reranker replay --against`: recorded requests sent to real servers when they are due, and what they answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.request import urlopen

import pyarrow.parquet as pq
import pytest

from reranker.cli import main
from reranker.replay.one import REFINED
from reranker.replay.shards import RunFolder
from reranker.requestlog import write
from reranker.v1.request_log_pb2 import RequestLog
from tests.e2e.processes import ROOT, Process
from tests.unit.replay.runs import made_up

PATIENCE = 120.0
POLICY = """
name = "tones"
[objective]
strategy = "mmr"
diversity = 0.4
[guard]
min_share_of_best = 0.1
[[quotas]]
attribute = "tone"
min_share = { dark = 0.4 }
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    process = Process().warm()
    yield process
    process.send(signal.SIGTERM)
    process.end()


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "tones.toml"
    path.write_text(POLICY)
    return str(path)


def traffic(path: Path, *, requests: int = 30, gap: float = 0.02, seed: int = 3, first: float = 1e9) -> str:
    logs = [RequestLog.FromString(record) for record in made_up(seed, requests=requests)]
    for at, log in enumerate(logs):
        log.metadata.time.FromNanoseconds(round((first + at * gap) * 1e9))
    write(path, logs)
    return str(path)


def rows(run: Path) -> list[dict[str, object]]:
    return list(RunFolder(run).read()[0].to_pylist())


def asked(server: Process) -> float:
    with urlopen(f"http://{server.admin}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        float(line.split()[-1])
        for line in lines
        if line.startswith("grpc_server_handled_total") and 'method="Rerank"' in line
    )


def test_a_server_answers_what_the_engine_makes_and_everything_else_works_as_ever(
    tmp_path: Path, server: Process, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = traffic(tmp_path / "log.rlog")
    live, here = tmp_path / "live", tmp_path / "here"
    line = ["replay", log, "--policy", policy, "--jobs", "1"]
    before = asked(server)
    assert main([*line, "--run", str(live), "--against", server.address, "--deadline", "20"]) == 0
    said = capsys.readouterr().out
    assert asked(server) - before == 30
    assert "note: 30 calls were sent, late by" in said
    assert "failed" not in said.split("\n\n")[0].replace("0 calls failed", "")
    assert main([*line, "--run", str(here), "--no-parts"]) == 0
    assert rows(live) == rows(here)
    assert json.loads((live / "comparison.json").read_text())["comparison"]["requests"] == 30
    assert (live / "report.html").exists()
    assert main(["compare", str(live)]) in (0, 3, 5)
    timings = RunFolder(live).read()[1].to_pylist()
    assert all(row["microseconds"] > 0 for row in timings if row["label"] == "tones")
    before = asked(server)
    assert main([*line, "--run", str(live), "--against", server.address, "--deadline", "20"]) == 0
    assert asked(server) == before  # nothing is asked twice


def test_calls_are_sent_when_they_are_due_at_a_multiple_of_the_recorded_rate(tmp_path: Path, server: Process) -> None:
    names = tmp_path / "log"
    names.mkdir()
    # Two workers recorded side by side: every other request is in the other file.
    traffic(names / "a.rlog", requests=20, gap=0.1, seed=4)
    traffic(names / "b.rlog", requests=20, gap=0.1, seed=5, first=1e9 + 0.05)
    run = tmp_path / "run"
    began = time.monotonic()
    line = ["replay", str(names), "--run", str(run), "--against", server.address, "--time-factor", "2"]
    assert main([*line, "--deadline", "20"]) == 0
    assert time.monotonic() - began >= 0.97  # from the first request to the last there are 1.95 recorded seconds
    answers = pq.read_table(run / "answers" / "00000000.parquet").to_pylist()
    assert len(answers) == 40
    assert all(row["late_us"] >= 0 and row["microseconds"] > row["late_us"] for row in answers)
    assert not any(row["error"] for row in answers)
    assert {row["label"] for row in answers} == {"served"}


def test_failures_are_answers_and_a_refined_request_is_never_sent(
    tmp_path: Path, server: Process, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = [RequestLog.FromString(record) for record in made_up(6, requests=8)]
    logs[2].request.context.refinement.add(attribute="tone", values=["dark"])
    logs[5].request.slate_size = -1
    path = tmp_path / "log.rlog"
    write(path, logs)
    line = ["replay", str(path), "--policy", policy, "--against", server.address, "--jobs", "1"]
    assert main([*line, "--run", str(tmp_path / "untimed")]) == 2
    assert "8 of 8 requests do not say when they were asked" in capsys.readouterr().err
    before = asked(server)
    assert main([*line, "--run", str(tmp_path / "run"), "--rate", "200", "--deadline", "20"]) == 0
    assert asked(server) - before == 7
    assert "note: 1 calls failed (slate_size: " in capsys.readouterr().out
    errors = {row["ordinal"]: str(row["error"]) for row in rows(tmp_path / "run") if row["label"] == "tones"}
    assert errors[2] == REFINED
    assert errors[5].startswith("slate_size: ")
    assert not any(error for ordinal, error in errors.items() if ordinal not in (2, 5))
    assert main([*line, "--run", str(tmp_path / "hasty"), "--rate", "200", "--deadline", "0.000001"]) == 0
    hasty = [row for row in rows(tmp_path / "hasty") if row["label"] == "tones" and row["ordinal"] not in (2, 5)]
    # Who notices first: the caller, the server with the request, or, where all of its threads are busy, before that.
    # gRPC makes a millisecond of the deadline, in which one or the other may be answered.
    too_late = ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED (NO_TIME)", "RESOURCE_EXHAUSTED (WAIT_TOO_LONG)")
    errors = {row["ordinal"]: str(row["error"]) for row in hasty}
    assert any(errors.values())
    assert all(error.startswith(too_late) for error in errors.values() if error)
    assert {row["ordinal"] for row in hasty if row["positions"]} == {number for number in errors if not errors[number]}


def test_a_killed_run_goes_on_and_asks_no_kept_question_again(tmp_path: Path, server: Process, policy: str) -> None:
    log = traffic(tmp_path / "log.rlog", requests=750, gap=0.004, seed=7)
    run = tmp_path / "run"
    line = ["replay", log, "--policy", policy, "--run", str(run), "--against", server.address, "--deadline", "20"]
    process = subprocess.Popen(
        [sys.executable, "-m", "reranker.cli", *line], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + PATIENCE
    while not list((run / "answers").glob("*.parquet")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
    kept = {path: path.stat().st_mtime_ns for path in (run / "answers").glob("*.parquet")}
    assert 0 < len(kept) < 3
    before = asked(server)
    assert main(line) == 0
    assert asked(server) - before == 750 - 250 * len(kept)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    ordinals = [row["ordinal"] for row in rows(run) if row["label"] == "tones"]
    assert all(isinstance(a, int) and isinstance(b, int) and b == a + 1 for a, b in pairwise(ordinals))
    assert len(ordinals) == 750


def test_two_servers_are_compared_with_each_other(
    tmp_path: Path, server: Process, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = traffic(tmp_path / "log.rlog", requests=10)
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "default.toml").write_text(POLICY.replace('"tones"', '"default"'))
    other = Process("--policies", str(folder)).warm()
    try:
        both = f"{server.address},{other.address}"
        line = ["replay", log, "--run", str(tmp_path / "run"), "--against", both, "--deadline", "20", "--jobs", "1"]
        assert main([*line, "--attribute", "tone"]) == 0
    finally:
        other.send(signal.SIGTERM)
        other.end()
    tree = json.loads((tmp_path / "run" / "comparison.json").read_text())["comparison"]
    assert tree["baseline"] == f"served at {server.address}"
    assert tree["candidate"] == f"served at {other.address}"
    by_label: dict[str, list[dict[str, object]]] = {}
    for row in rows(tmp_path / "run"):
        by_label.setdefault(str(row["label"]), []).append(row)
    assert [row["quotas"] for row in by_label[tree["baseline"]]] == [[]] * 10
    assert all(row["quotas"] for row in by_label[tree["candidate"]])
    capsys.readouterr()
    again = ["replay", log, "--run", str(tmp_path / "gone"), "--against", f"{both},{both}"]
    assert main(again) == 2
    assert "must be different servers" in capsys.readouterr().err


def test_flags_of_live_runs_are_checked_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = traffic(tmp_path / "log.rlog", requests=2)
    line = ["replay", log, "--run", str(tmp_path / "run")]
    assert main([*line, "--policy", "upstream", "--rate", "5", "--in-flight", "3"]) == 2
    said = capsys.readouterr().err
    assert "--rate: goes with --against" in said
    assert "--in-flight: goes with --against" in said
    assert main([*line, "--against", "a:1", "--rate", "0", "--deadline", "-1", "--time-factor", "2"]) == 2
    said = capsys.readouterr().err
    assert all(flag in said for flag in ("--rate: must be more", "--deadline", "leaves no times for --time-factor"))
    assert main(line) == 2
    assert "--policy: must name a policy" in capsys.readouterr().err
    token = tmp_path / "token"
    token.write_text("secret")
    assert main([*line, "--against", "example.org:1", "--token-file", str(token)]) == 2
    assert "a token goes over TLS" in capsys.readouterr().err
