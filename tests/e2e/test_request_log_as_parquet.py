"""A server that records as Parquet: only whole files are ever seen, and a kill costs nothing that was written."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from reranker.cli import main
from reranker.requestlog import parquet
from reranker.requestlog.traffic import files_of, parsed, records_of
from tests.e2e.load import IDS, SLOTS, Load, right_answer
from tests.e2e.processes import Process, run
from tests.e2e.test_full_disk import metric
from tests.waiting import wait_for


class Watch:
    """Reads every file that shows up as a request log, as soon as it does, and counts those that cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.broken: list[str] = []
        self.read: dict[str, int] = {}
        self._folder, self._stop = folder, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            for path in self._folder.glob("*.parquet"):
                if path.name not in self.read:
                    try:
                        self.read[path.name] = pq.read_metadata(path).num_rows
                    except Exception as error:
                        self.broken.append(f"{path.name}: {error}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "records").mkdir()
    return tmp_path / "records"


@pytest.fixture
def started(folder: Path) -> Iterator[list[Process]]:
    running: list[Process] = []
    yield running
    for process in running:
        process.kill()


def start(started: list[Process], folder: Path, *flags: str) -> Process:
    asked = ("--request-log", str(folder), "--request-log-format", "parquet", "--request-log-sample", "1", *flags)
    started.append(Process(*asked))
    return started[-1].warm()


def test_files_are_whole_whenever_they_are_seen_and_a_kill_loses_nothing(
    folder: Path, started: list[Process], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    process = start(started, folder, "--request-log-file-seconds", "1")
    with Watch(folder) as watch:
        with Load(process.address) as load:
            wait_for(lambda: len(watch.read) >= 3)
        written = int(metric(process, "reranker_request_log_records_total"))
        assert load.wrong == 0
        process.send(signal.SIGKILL)
        process.process.wait(20)
        (unfinished,) = folder.glob("*.rlog.part")
        kept = sum(1 for _ in parsed(records_of([unfinished])))
        assert sum(watch.read.values()) + kept >= written

        second = start(started, folder)
        with Load(second.address, callers=1) as load:
            load.await_answers(1)
        wait_for(lambda: unfinished.with_name(unfinished.name.replace(".rlog.part", ".parquet")).exists())
        second.send(signal.SIGTERM)
        assert second.end()[0] == 0
    assert watch.broken == []
    assert {path.suffix for path in folder.iterdir()} == {".parquet"}

    records = list(parsed(records_of(files_of([folder]))))
    assert len(records) >= written + 1
    assert all(list(record.response.positions) == right_answer() for record in records)
    hidden = [tuple(record.request.candidates.item_ids) for record in records]
    assert {len(ids) for ids in hidden} == {len(IDS)}
    assert not set(IDS) & {item for ids in hidden for item in ids}
    assert len(set(hidden)) == 2  # a key of its own for each process

    table = pq.read_table(files_of([folder])[0])
    assert table.schema.equals(parquet.SCHEMA)
    assert set(table["slate_size"].to_pylist()) == {SLOTS}
    assert main(["log", "inspect", "--json", str(folder)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["records"], said["broken"], said["answered"]) == (len(records), 0, len(records))
    assert main(["log", "convert", str(folder), str(tmp_path / "all.rlog.gz")]) == 0
    assert list(parsed(records_of([tmp_path / "all.rlog.gz"]))) == records


def test_without_the_extra_the_start_says_what_to_install(folder: Path) -> None:
    without = "import sys; sys.modules['pyarrow'] = None; from reranker import cli; sys.exit(cli.main(sys.argv[1:]))"
    flags = ("--listen", "127.0.0.1:0", "--request-log", str(folder), "--request-log-format", "parquet")
    for more in ((), ("--check",)):
        done = run("-c", without, "serve", *flags, *more)
        assert done.returncode == 2
        assert "pip install 'diversity-reranker[parquet]'" in done.stderr
        assert "Traceback" not in done.stderr
