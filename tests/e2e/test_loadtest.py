"""`python -m loadtest` as people run it: the real server, real clients, exit codes, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.server_process import running_server
from loadtest.arrivals import Arrivals
from loadtest.modes.session import Session, opened
from loadtest.results.outcome import Second
from loadtest.workload import scenario

pytestmark = pytest.mark.slow  # under coverage kernels are plain Python, and load on them says nothing

ROOT = Path(__file__).resolve().parents[2]
LOADTEST = [sys.executable, "-m", "loadtest"]
MARK = "LOADTEST_OF"
"""Set in the environment of each load test to its folder, so that what is left behind is known for its own."""

SCENARIO = """
about = "a few light requests"
[arrivals]
kind = "constant"
[run]
rate = 60
seconds = 2
warm_up = 1
deadline_ms = 5000
[slo]
p99_ms = {p99}
errors = 0.0
[[requests]]
name = "search"
corpus = "shades"
kinds = ["text_search"]
candidates = 100
policy = "default"
distinct = 20
"""


def run(tmp_path: Path, *arguments: str, p99: float = 5000) -> tuple[int, str, dict[str, Any]]:
    """The exit code, the output, and the document that was written."""
    path = tmp_path / "light.toml"
    path.write_text(SCENARIO.format(p99=p99))
    mode, *rest = arguments
    done = subprocess.run(
        [*LOADTEST, mode, str(path), "--out", str(tmp_path), *rest],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, MARK: str(tmp_path)},
    )
    assert "Traceback" not in done.stderr, done.stderr
    found = tmp_path / f"{mode}-light.json"
    return done.returncode, done.stdout + done.stderr, json.loads(found.read_text()) if found.exists() else {}


def processes_here(whose: str) -> set[str]:
    """Processes that a load test may have started: servers, clients, echoes. All inherit the mark that says `whose`."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            marked = f"{MARK}={whose}\0".encode() in (process / "environ").read_bytes()
        except OSError:
            continue
        if marked and (b"server.py\0--listen" in command or b"multiprocessing.spawn" in command):
            found.add(process.name)
    return found


def test_one_rate_beside_its_echo_leaves_json_and_a_page_and_nothing_running(tmp_path: Path) -> None:
    code, output, document = run(tmp_path, "rate", "--processes", "2")
    saturated = any(found["saturated"] for found in document["runs"])  # another program may have had both cores
    assert code == (3 if saturated else 0), output
    echo, server = document["runs"]
    assert (echo["role"], server["role"]) == ("echo", "server")
    for found in (echo, server):
        assert found["codes"] == {"OK": 120}
        assert found["requests"] == 120
        assert len(found["client_cpu_shares"]) == 2
        assert sum(second["due"] for second in found["series"]) == 180
    assert server["server_cpu_us"] is None or server["server_cpu_us"] > (echo["server_cpu_us"] or 0.0)
    assert server["stages_us"]["total"]["mean"] > server["stages_us"]["select"]["mean"] > 0
    assert [gate["name"] for gate in document["gates"]] == ["p99_ms", "errors"]
    assert "Where the server's time goes" in output
    assert "<svg" in (tmp_path / "rate-light.html").read_text()
    assert not processes_here(str(tmp_path))


def test_a_promise_that_is_missed_ends_with_1(tmp_path: Path) -> None:
    with running_server(ROOT / "policies") as address:
        code, output, document = run(tmp_path, "rate", "--no-echo", "--server", address, p99=0.01)
    (server,) = document["runs"]
    assert code == (3 if server["saturated"] else 1), output
    assert re.search(r"p99, ms +0\.01 .* MISSED", output)
    assert server["server_cpu_us"] is None  # nobody has told its process id


def test_a_generator_that_cannot_keep_its_schedule_ends_with_3(tmp_path: Path) -> None:
    flags = ("--no-echo", "--rate", "30000", "--seconds", "0.5", "--warm-up", "0", "--deadline-ms", "500")
    code, output, document = run(tmp_path, "rate", *flags)
    assert code == 3, output
    assert document["runs"][0]["saturated"]
    assert "say nothing about the server" in document["verdict"]


def test_two_servers_are_measured_in_turn(tmp_path: Path) -> None:
    flags = ("--pairs", "3", "--seconds", "1", "--warm-up", "0.5")
    code, output, document = run(tmp_path, "compare", "--with", str(ROOT), *flags)
    saturated = any(block["saturated"] for block in document["runs"])
    rows = {row["name"]: row for row in document["comparison"]}
    worse = any(row["worse"] for row in rows.values())  # three pairs on a busy machine can look like it
    assert code == (3 if saturated else 1 if worse else 5), output  # sixty requests a block say nothing of p99
    assert [(block["pair"], block["server"]) for block in document["runs"]] == [
        (0, 0), (0, 1), (1, 1), (1, 0), (2, 0), (2, 1)
    ]  # fmt: skip
    assert set(rows) == {"p50", "p95", "p99", "server CPU", "errors", "degraded", "too late"}
    assert rows["p50"]["low"] <= rows["p50"]["ratio"] <= rows["p50"]["high"]
    assert rows["p99"]["verdict"] == "not known: too little was measured"
    assert (rows["errors"]["first"], rows["errors"]["second"]) == (0, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_everything_is_stopped_when_the_load_test_is(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "light.toml"
    path.write_text(SCENARIO.format(p99=100))
    command = [*LOADTEST, "rate", str(path), "--seconds", "60", "--out", str(tmp_path)]
    environment = {**os.environ, MARK: str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if re.match(r" +2 ", line):
                break
        assert processes_here(str(tmp_path))
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == (128 + number if number is not signal.SIGKILL else -number), errors
    assert "Traceback" not in errors
    until = time.monotonic() + 30  # nobody waits for them after a SIGKILL, they end all the same
    while processes_here(str(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not processes_here(str(tmp_path))


def test_a_reader_who_leaves_ends_the_test_and_is_no_missed_promise(tmp_path: Path) -> None:
    path = tmp_path / "light.toml"
    path.write_text(SCENARIO.format(p99=5000))
    command = [*LOADTEST, "rate", str(path), "--no-echo", "--seconds", "30", "--out", str(tmp_path)]
    environment = {**os.environ, MARK: str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 128 + signal.SIGPIPE
        assert process.stderr.read() == ""
    assert not processes_here(str(tmp_path))


@pytest.fixture
def session() -> Any:
    """The real server under 100 evenly spaced requests a second, for nine seconds."""
    found = scenario.load("small")
    settings = scenario.Run(rate=100.0, seconds=8.0, warm_up=1.0, deadline_ms=5000.0)
    found = scenario.Scenario(found.name, found.about, Arrivals("constant"), found.requests, found.slo, settings)
    # One connection has the whole second's requests open while the server stands still.
    with opened(found, ["."], flags=["--max-concurrent-calls", "1000"], echo=False) as everything:
        yield everything


def test_a_server_that_is_stopped_for_a_second_appears_as_the_schedule_says(session: Session) -> None:
    """800 requests in 8 s, a hundred of them due while the server stands still.

    One due x seconds before it goes on waits x at least, so at least 100·(1 − x) requests wait longer than x: p99
    (the 8th from the top) is 0.92 s or more, p95 (the 40th) 0.6 s or more. The queue that is left behind by then adds
    its service times. A closed loop would have asked once in that second and reported p99 as if nothing had been.
    """
    server = session.servers[0]
    assert server.pid is not None
    stood: list[float] = []

    def stop_and_go(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            time.sleep(1.0)
        finally:
            stood.append(time.monotonic() - began)
            os.kill(pid, signal.SIGCONT)

    threads: list[threading.Thread] = []

    def on_second(second: Second, _: int) -> None:
        if second.second == 3:
            threads.append(threading.Thread(target=stop_and_go, args=(server.pid,)))
            threads[-1].start()

    outcome = session.trial.measure(server, on_second)
    threads[0].join()
    (pause,) = stood
    assert outcome.counts.codes == {"OK": 800}
    waiting = pause - np.arange(1, int(pause * 100)) / 100  # seconds, the longest first: each was due so long before
    for percent, from_the_top in ((99, 8), (95, 40)):
        at_least = waiting[from_the_top] * 1e3
        assert at_least * 0.995 <= outcome.latency.percentile(percent) <= at_least + 400
    assert outcome.latency.longest >= waiting[0] * 995
    assert outcome.latency.percentile(50) < 250
    # The generator did not wait for answers: as many were sent in that second as in any other.
    assert [second.due for second in outcome.series] == [100] * 9
    assert outcome.late.percentile(90) < 100
