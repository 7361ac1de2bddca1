"""Records of several logs in the order of their times."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.errors import InvalidInput
from reranker.replay.survey import Traffic
from reranker.replay.timetable import by_time, by_turns
from reranker.requestlog import write
from reranker.v1.request_log_pb2 import RequestLog


def logged(seconds: float | None, name: str) -> RequestLog:
    log = RequestLog()
    log.request.request_id = name
    if seconds is not None:
        log.metadata.time.FromNanoseconds(round(seconds * 1e9))
    return log


def logs(folder: Path, files: list[list[float]]) -> Traffic:
    paths = []
    for number, times in enumerate(files):
        paths.append(folder / f"{number:03}.rlog")
        write(paths[-1], [logged(seconds, f"{number}-{at}") for at, seconds in enumerate(times)])
    return Traffic(tuple(paths))


@given(
    files=st.lists(st.lists(st.integers(0, 50), max_size=8), max_size=4),
    limit=st.none() | st.integers(0, 30),
)
def test_every_record_comes_once_with_its_place_and_never_before_an_earlier_one(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], limit: int | None
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    whole = logs(folder, [[1e9 + time for time in times] for times in files])
    traffic = Traffic(whole.files, limit)
    found = list(by_time(traffic))
    assert [each.seconds for each in found] == sorted(each.seconds for each in found)
    in_order = list(by_turns(traffic))
    names = {each.ordinal: each.log.request.request_id for each in in_order if each.log is not None}
    assert {each.ordinal: each.log.request.request_id for each in found if each.log is not None} == names
    assert len(found) == len(in_order)
    for number, times in enumerate(files):  # within a file nothing overtakes anything
        here = [each for each in found if each.log is not None and each.log.request.request_id.startswith(f"{number}-")]
        assert [each.ordinal for each in here] == sorted(each.ordinal for each in here)
        latest = [1e9 + max(times[: at + 1]) for at in range(len(here))]
        assert [each.seconds for each in here] == pytest.approx(latest, abs=1e-5)


def test_requests_without_a_time_are_counted_and_a_rate_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "some.rlog"
    write(path, [logged(1.0, "a"), logged(None, "b"), logged(None, "c")])
    with pytest.raises(InvalidInput, match=r"2 of 3 requests do not say when they were asked.*--rate"):
        list(by_time(Traffic((path,))))
    assert [each.ordinal for each in by_turns(Traffic((path,)))] == [0, 1, 2]
