"""A disk that is full, for the log, the request log and the ledger at once: answers do not notice."""

from __future__ import annotations

import os
import resource
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.e2e.load import LIST, Load
from tests.e2e.processes import Process
from tests.waiting import wait_for

# As `python server.py`, with its log in a file.
LOGGING = (
    "-c",
    "import os, sys; os.dup2(os.open(os.environ['LOG'], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2); "
    "from reranker import cli; sys.exit(cli.main(['serve', *sys.argv[1:]]))",
)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    (tmp_path / "records").mkdir()
    flags = ("--request-log", str(tmp_path / "records"), "--request-log-sample", "1")
    running = Process(*flags, start=LOGGING, LOG=str(tmp_path / "log"))
    yield running.warm()
    running.kill()


def metric(process: Process, name: str) -> float:
    with urllib.request.urlopen(f"http://{process.admin}/metrics", timeout=10) as reply:
        families = text_string_to_metric_families(reply.read().decode())
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def refused(process: Process) -> str:
    """What a bad request is told; each of them has a line in the log."""
    with grpc.insecure_channel(process.address) as channel, pytest.raises(grpc.RpcError) as raised:
        RerankerServiceStub(channel).Rerank(messages.RerankRequest(candidates=LIST, slate_size=-1), timeout=20)
    return str(raised.value.code().name)


def test_a_full_disk_costs_records_and_lines_and_no_answer(process: Process, tmp_path: Path) -> None:
    pid, log = process.process.pid, tmp_path / "log"
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    with Load(process.address) as load:
        load.await_answers(50)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))  # from now on nothing can be written to any file
        lost, size = metric(process, "reranker_request_log_lost_total"), log.stat().st_size
        load.await_answers(200)
        assert refused(process) == "INVALID_ARGUMENT"
        wait_for(lambda: metric(process, "reranker_request_log_lost_total") > lost)
        assert log.stat().st_size == size
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
        written = metric(process, "reranker_request_log_records_total")
        assert refused(process) == "INVALID_ARGUMENT"
        wait_for(lambda: log.stat().st_size > size)
        load.await_answers(50)
        wait_for(lambda: metric(process, "reranker_request_log_records_total") > written)
    assert (load.failed, load.wrong) == (0, 0)
    process.send(signal.SIGTERM)
    assert process.end()[0] == 0
    assert os.stat(log).st_size > size
