"""`reranker replay` and `compare` from the command line, killed and gone on with."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from reranker.cli import main
from reranker.cli.replay import NOT_KNOWN
from reranker.requestlog import read, write
from reranker.v1.request_log_pb2 import RequestLog
from tests.e2e.processes import ROOT

DATA = ROOT / "examples" / "data" / "occupations"
PATIENCE = 240.0


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("catalog"))
    command = ["catalog", "build", folder, str(DATA / "catalog.npz"), "--version", "v2", "--precision", "float16"]
    assert main(command) == 0
    return folder


def command(run: Path, catalog: str, *flags: str, log: str = str(DATA / "requests.rlog.gz")) -> list[str]:
    policies = ["--policy", "upstream", "--policy", str(ROOT / "policies" / "occupation-balance.toml")]
    return ["replay", log, *policies, "--run", str(run), "--catalog", catalog, *flags]


def parts(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run / "results").glob("*.parquet"))}


def test_a_killed_run_goes_on_without_loss_or_repeat_and_leaves_nobody_behind(tmp_path: Path, catalog: str) -> None:
    many = tmp_path / "many.rlog"
    records = list(read(DATA / "requests.rlog.gz"))
    write(many, [record for _ in range(2) for record in records])
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    flags = ("--jobs", "2", "--no-parts")
    assert main(command(whole, catalog, *flags, log=str(many))) == 0
    line = [sys.executable, "-m", "reranker.cli", *command(killed, catalog, *flags, log=str(many))]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE
    while not parts(killed) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    while any(alive(child) for child in children) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(alive(child) for child in children)
    assert 0 < len(parts(killed)) <= len(parts(whole))
    assert main(command(killed, catalog, *flags, log=str(many))) == 0
    assert parts(killed) == parts(whole)


def alive(process: str) -> bool:
    """Whether it runs: one that ended and that nobody has asked about yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_verdict_a_report_and_its_numbers(
    tmp_path: Path, catalog: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    titles = ("--titles", str(DATA / "catalog.npz"), "--queries", str(DATA / "words.json"))
    sweep = ("--sweep", "quotas[0].min_share.woman=0.2,0.5", "--limit", "60", "--tables", str(run / "tables"))
    assert main(command(run, catalog, *sweep, *titles)) == 0
    said = capsys.readouterr().out
    assert "occupation-balance" in said.splitlines()[0]
    assert f"the report: {run}/report.html" in said
    assert f"12 tables: {run}/tables" in said
    assert pq.read_metadata(run / "tables" / "requests.parquet").num_rows == 60
    page = (run / "report.html").read_text()
    assert "The trade-off" in page
    assert "quotas[0].min_share.woman = 0.2" in page
    tree = json.loads((run / "comparison.json").read_text())
    assert tree["comparison"]["requests"] == 60
    assert tree["verdict"][0] == said.splitlines()[0]
    assert tree["changed"][0]["query"]
    assert tree["changed"][0]["candidate"]["items"][0]["title"]

    gates = tmp_path / "gates.toml"
    outcomes = {"at_least = 0.5": 0, "at_most = 0.5": 3, "at_least = 0.99999": 5}
    for limit, code in outcomes.items():
        gates.write_text(f'[[gates]]\nmeasure = "answered"\n{limit}\n')
        assert main(["compare", str(run), "--gates", str(gates), "--report", str(tmp_path / "other.html")]) == code
    assert (tmp_path / "other.html").exists()
    assert main(["compare", str(run), "--candidate", "nobody"]) == 2
    assert "it has 'upstream', 'occupation-balance'" in capsys.readouterr().err

    names = [record.request.request_id for record in read(DATA / "requests.rlog.gz")][:60]
    rows = [{"request_id": name, "arm": "ab"[at % 2], "seen": 10, "engaged": at % 3} for at, name in enumerate(names)]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(json.dumps, rows))))
    gates.write_text('[[gates]]\nmeasure = "answered"\nat_least = 0.5\n')
    assert main(["compare", str(run), "--gates", str(gates), "--outcomes", "-", "--arms", "a,b"]) == 0
    assert "Of all requests (60), " in capsys.readouterr().out
    assert json.loads((run / "comparison.json").read_text())["outcomes"]["arms"] == ["a", "b"]
    assert "What people did" in (run / "report.html").read_text()
    wrong = ["--arms", "a", "--candidate-share", "1", "--outcomes", str(tmp_path / "gone")]
    assert main(["compare", str(run), *wrong]) == 2
    said = capsys.readouterr().err
    assert all(flag in said for flag in ("--arms", "--candidate-share", "--outcomes"))


def test_a_replay_says_that_the_catalog_has_gone_on(
    tmp_path: Path, catalog: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old.rlog"
    records = [RequestLog.FromString(record.SerializeToString()) for record in read(DATA / "requests.rlog.gz")][:20]
    for record in records[:15]:
        record.request.candidates.catalog.SetInParent()
        record.response.catalog_version = "v1"
    write(old, records)
    assert main(command(tmp_path / "run", catalog, "--no-parts", "--jobs", "1", log=str(old))) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "note: 15 of 20 requests were recorded with another version of the catalog (v1; this replay: v2)"
    )
    assert "recorded with another version" in (tmp_path / "run" / "report.html").read_text()


def test_mistakes_are_named_all_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[objective]\ndiversity = 3\n")
    line = ["replay", str(DATA), "--policy", str(bad), "--policy", str(tmp_path / "gone.toml"), "--run", str(tmp_path)]
    assert main(line) == 2
    said = capsys.readouterr().err
    assert "bad.toml" in said
    assert "gone.toml" in said
    assert main([*line, "--jobs", "0", "--limit", "0", "--level", "1", "--seed", "-1"]) == 2
    said = capsys.readouterr().err
    assert all(flag in said for flag in ("--jobs", "--limit", "--level", "--seed"))
    assert main(["compare", str(tmp_path / "nowhere")]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ImportError('not here')\n")
    line = ["replay", str(DATA), "--policy", "upstream", "--run", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-m", "reranker.cli", *line, "--policy", str(ROOT / "policies" / "default.toml")],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'diversity-reranker[parquet]'" in done.stderr


def test_an_attribute_that_no_list_carries_is_said_before_the_verdict(
    tmp_path: Path, catalog: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--limit", "20", "--no-parts", "--attribute", "gendre", "--attribute", "occupation_group")
    assert main(command(tmp_path / "run", catalog, *flags)) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "note: no candidate has a value of gendre or occupation_group: nothing that follows is about it"


def test_a_report_that_cannot_be_written_leaves_the_one_that_was_there(tmp_path: Path, catalog: str) -> None:
    run = tmp_path / "run"
    assert main(command(run, catalog, "--limit", "20", "--no-parts")) == 0
    before = {name: (run / name).read_bytes() for name in ("report.html", "comparison.json")}
    line = [sys.executable, "-m", "reranker.cli", "compare", str(run)]
    limited = ["bash", "-c", 'ulimit -f 8; exec "$@"', "bash", *line]  # blocks of 1,024 bytes: a disk that is full
    ended = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode != 0
    assert {name: (run / name).read_bytes() for name in before} == before
    assert not list(run.glob("*.partial"))


def test_traffic_that_has_changed_since_is_not_shown_for_what_was_replayed(
    tmp_path: Path, catalog: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log, run = tmp_path / "log.rlog", tmp_path / "run"
    records = list(read(DATA / "requests.rlog.gz"))
    write(log, records[:20])
    assert main(command(run, catalog, "--no-parts", "--jobs", "1", log=str(log))) == 0
    verdict = capsys.readouterr().out.splitlines()[:3]
    for others in (records[20:40], records[:3]):
        write(log, others)
        assert main(["compare", str(run)]) == NOT_KNOWN
        note, *said = capsys.readouterr().out.splitlines()
        assert note.startswith("note: the requests that change most cannot be shown")
        assert "log.rlog: is not what was replayed: it has changed since" in note
        assert said[:3] == verdict
        assert main(["compare", str(run), "--label-noise", "0.1"]) == 2
        assert "is not what was replayed" in capsys.readouterr().err
