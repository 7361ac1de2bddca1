from __future__ import annotations

import json
from pathlib import Path

import pytest

from reranker.errors import InvalidInput
from reranker.replay.measured import Yardstick
from reranker.replay.plan import Plan, entries_of, upstream
from reranker.replay.runner import manifest_of, plan_of, run, traffic_of
from reranker.replay.shards import RunFolder
from reranker.replay.survey import Survey, Traffic, shards
from reranker.requestlog import parquet, write
from reranker.v1.request_log_pb2 import RequestLog
from tests.unit.replay.runs import TONES, made_up, policy

SIZE = 7  # requests a shard: 30 are five shards, the last one short


def planned(diversity: float = 0.5) -> Plan:
    bound = [{"attribute": "tone", "min_share": {"dark": 0.2}}]
    own = policy("own", objective={"strategy": "mmr", "diversity": diversity}, quotas=bound, labels=TONES)
    policies = [upstream(), own]
    return Plan(entries_of(policies, {"objective.diversity": [0.25]}, parts=True), Yardstick.of(policies))


@pytest.fixture
def traffic(tmp_path: Path) -> Traffic:
    path = tmp_path / "traffic.rlog.gz"
    write(path, map(RequestLog.FromString, made_up(1, requests=30)))
    return Traffic((path,))


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "results").iterdir())}


def test_one_process_and_two_make_the_same_bytes(traffic: Traffic, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    one, two = tmp_path / "one", tmp_path / "two"
    run(planned(), traffic, RunFolder(one), jobs=1, size=SIZE)
    run(planned(), traffic, RunFolder(two), jobs=2, size=SIZE, progress=lambda done, total: told.append((done, total)))
    assert len(results(one)) == 5
    assert results(one) == results(two)
    assert told[0] == (0, 30)
    assert told[-1] == (30, 30)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    found = RunFolder(one).results()
    assert found.traffic.names == tuple(f"r{number}" for number in range(30))
    assert set(found.answers) == {entry.label for entry in planned().entries}
    assert not list(one.rglob("*.partial"))


def test_a_run_goes_on_where_it_was_and_does_nothing_twice(traffic: Traffic, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    run(planned(), traffic, RunFolder(whole), jobs=1, size=SIZE)
    run(planned(), traffic, RunFolder(part), jobs=1, size=SIZE)
    for number in (1, 4):
        (part / "results" / f"{number:08d}.parquet").unlink()
    kept = (part / "results" / "00000000.parquet").stat().st_mtime_ns
    with pytest.raises(InvalidInput, match="2 of 5 shards are missing"):
        RunFolder(part).read()
    told: list[int] = []
    run(planned(), traffic, RunFolder(part), jobs=1, size=SIZE, progress=lambda done, _: told.append(done))
    assert results(part) == results(whole)
    assert told == [21, 28, 30]
    assert (part / "results" / "00000000.parquet").stat().st_mtime_ns == kept
    told.clear()
    run(planned(), traffic, RunFolder(part), jobs=1, size=SIZE, progress=lambda done, _: told.append(done))
    assert told == [30]


def test_a_folder_of_another_run_is_refused_and_can_be_begun_anew(traffic: Traffic, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run(planned(), traffic, folder, jobs=1, size=SIZE)
    before = results(folder.path)
    with pytest.raises(InvalidInput, match="policies differ"):
        run(planned(0.75), traffic, folder, jobs=1, size=SIZE)
    write(traffic.files[0], map(RequestLog.FromString, made_up(2, requests=30)))
    with pytest.raises(InvalidInput, match="digest differ"):
        run(planned(), traffic, folder, jobs=1, size=SIZE)
    assert results(folder.path) == before
    run(planned(), traffic, folder, jobs=1, size=SIZE, fresh=True)
    assert results(folder.path) != before


def test_a_manifest_says_everything_that_a_run_is(traffic: Traffic, tmp_path: Path) -> None:
    manifest = json.loads(json.dumps(manifest_of(planned(), None, Survey.of(traffic), traffic)))
    assert plan_of(manifest) == planned()
    assert traffic_of(manifest) == traffic
    assert manifest["records"] == 30
    with pytest.raises(InvalidInput, match="no run"):
        RunFolder(tmp_path).read()
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InvalidInput, match="not JSON"):
        RunFolder(tmp_path).read()


def test_equal_traffic_in_other_files_is_equal(traffic: Traffic, tmp_path: Path) -> None:
    other = tmp_path / "traffic.parquet"
    parquet.write(other, map(RequestLog.FromString, made_up(1, requests=30)))
    assert Survey.of(Traffic((other,))).records == 30
    plain = tmp_path / "traffic.rlog"
    write(plain, map(RequestLog.FromString, made_up(1, requests=30)))
    assert Survey.of(Traffic((plain,))) == Survey.of(traffic) == Survey.of(Traffic((other,)))
    assert Survey.of(Traffic((plain,), limit=29)) != Survey.of(traffic)


def test_shards_are_the_same_whichever_are_done() -> None:
    records = [bytes([number]) for number in range(10)]
    everything = list(shards(iter(records), 4, []))
    assert [number for number, _ in everything] == [0, 1, 2]
    assert [len(some) for _, some in everything] == [4, 4, 2]
    assert list(shards(iter(records), 4, [True, False, True])) == [everything[1]]
    assert list(shards(iter([]), 4, [])) == []


def test_no_traffic_is_no_run(tmp_path: Path) -> None:
    path = tmp_path / "empty.rlog"
    write(path, [])
    folder = RunFolder(tmp_path / "run")
    run(planned(), Traffic((path,)), folder, jobs=1)
    with pytest.raises(InvalidInput, match="no request"):
        folder.results()


def test_beginning_anew_leaves_nothing_of_another_run_even_behind_a_link(traffic: Traffic, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(planned(), traffic, RunFolder(folder), jobs=1, size=SIZE)
    for name in ("results", "timings"):
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
    (folder / "results" / ".00000001.parquet.999999999.partial").write_bytes(b"half")
    run(planned(0.9), traffic, RunFolder(folder), jobs=1, size=SIZE, fresh=True)
    run(planned(0.9), traffic, RunFolder(tmp_path / "other"), jobs=1, size=SIZE)
    assert results(folder) == results(tmp_path / "other")


def test_results_without_a_manifest_are_taken_for_nobodys(traffic: Traffic, tmp_path: Path) -> None:
    run(planned(), traffic, RunFolder(tmp_path), jobs=1, size=SIZE)
    (tmp_path / "manifest.json").unlink()
    before = results(tmp_path)
    for fresh in (False, True):
        with pytest.raises(InvalidInput, match="holds results without"):
            run(planned(0.9), traffic, RunFolder(tmp_path), jobs=1, size=SIZE, fresh=fresh)
    assert results(tmp_path) == before
