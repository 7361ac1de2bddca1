from __future__ import annotations

import logging
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from reranker.context import Context
from reranker.observability.request_log import RequestLogMetrics
from reranker.requestlog.rotation import RotatingLog
from reranker.requestlog.traffic import files_of, parsed, records_of
from reranker.requestlog.veil import Veil
from reranker.service.after import Answered
from reranker.service.request_log import RequestLogger
from tests.unit.service.test_after import answered as any_answer


def answered(name: str, cursor: bytes = b"") -> Answered:
    return any_answer(name)._replace(context=Context(cursor=cursor))


def logger(folder: Path, registry: CollectorRegistry, sample: float = 1.0, chance: float = 0.5) -> RequestLogger:
    log = RotatingLog(folder, 1 << 20, 60.0, 7.0)
    return RequestLogger(log, Veil("here", sample), RequestLogMetrics(registry), sample, lambda: chance)


def count(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(f"reranker_request_log_{name}_total")


def test_the_sample_is_decided_by_chance_and_of_first_pages_alone(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    assert logger(tmp_path, registry, sample=0.51).wants(answered("a"))
    registry = CollectorRegistry()
    assert not logger(tmp_path, registry, sample=0.5).wants(answered("a"))
    registry = CollectorRegistry()
    assert not logger(tmp_path, registry).wants(answered("a", cursor=b"page 2"))


def test_what_is_taken_is_written_and_counted(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    consumer = logger(tmp_path, registry)
    consumer.take([answered("a"), answered("b")])
    consumer.take([answered("c")])
    consumer.close()
    found = list(parsed(records_of(files_of([tmp_path]))))
    assert len(found) == 3
    assert len({bytes(record.metadata.request_hash) for record in found}) == 3
    assert all(record.response.arm == "b" for record in found)
    assert (count(registry, "records"), count(registry, "lost")) == (3.0, 0.0)
    assert count(registry, "bytes") == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_a_folder_that_is_gone_costs_records_and_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry, folder = CollectorRegistry(), tmp_path / "gone"
    consumer = logger(folder, registry)
    with caplog.at_level(logging.INFO, "reranker"):
        for _ in range(3):
            consumer.take([answered("a")])
        folder.mkdir()
        consumer.take([answered("b")])
    assert [record.getMessage() for record in caplog.records] == [
        "request log cannot be written",
        "request log is written again",
    ]
    assert (count(registry, "lost"), count(registry, "records")) == (3.0, 1.0)
    consumer.close()
    assert len(files_of([folder])) == 1
