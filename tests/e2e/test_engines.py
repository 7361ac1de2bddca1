"""Replays on Ray Data and on Spark: what comes out is what this machine's own processes make, byte for byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reranker.cli import main
from reranker.replay.shards import RunFolder
from reranker.replay.survey import Traffic
from reranker.requestlog import parquet, write
from reranker.requestlog.traffic import files_of
from reranker.v1.request_log_pb2 import RequestLog
from tests.e2e.processes import ROOT
from tests.unit.replay.runs import made_up

DATA = ROOT / "examples" / "data" / "occupations"
ENGINES = [
    pytest.param(
        "ray",
        marks=pytest.mark.skipif(
            find_spec("ray") is None, reason="needs the extra ray: pip install 'diversity-reranker[ray]'"
        ),
    ),
    pytest.param(
        "spark",
        marks=pytest.mark.skipif(
            find_spec("pyspark") is None or shutil.which("java") is None,
            reason="needs java and the extra spark: pip install 'diversity-reranker[spark]'",
        ),
    ),
]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("catalog"))
    assert main(["catalog", "build", folder, str(DATA / "catalog.npz"), "--precision", "float16"]) == 0
    return folder


def command(log: Path, run: Path, *flags: str) -> list[str]:
    policies = ["--policy", "upstream", "--policy", str(ROOT / "policies" / "occupation-balance.toml")]
    return ["replay", str(log), *policies, "--run", str(run), "--jobs", "2", *flags]


def replay(line: list[str]) -> subprocess.CompletedProcess[str]:
    """In a process of its own: an engine leaves threads, and a virtual machine, in the one that it ran in."""
    return subprocess.run(
        [sys.executable, "-m", "reranker.cli", *line],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def script(code: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]


def shards(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run / "results").glob("*.parquet"))}


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_makes_the_same_bytes_and_goes_on_where_a_run_was_stopped(
    tmp_path: Path, catalog: str, engine: str
) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    many = tmp_path / "many.rlog"
    records = [RequestLog.FromString(record) for record in Traffic(tuple(files_of([DATA]))).records()]
    write(many, [*records, *records])
    flags = ("--catalog", catalog, "--sweep", "objective.diversity=0.25,0.75")
    assert main(command(many, whole, *flags)) == 0
    done = replay(command(many, part, *flags, "--engine", engine))
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(shards(whole)) > 1
    assert shards(part) == shards(whole)
    timings = RunFolder(part).read()[1]
    assert timings.drop_columns(["microseconds"]).equals(RunFolder(whole).read()[1].drop_columns(["microseconds"]))
    assert min(timings.column("microseconds").to_pylist()) > 0
    removed = part / "results" / "00000001.parquet"
    removed.unlink()
    kept = (part / "results" / "00000000.parquet").stat().st_mtime_ns
    assert replay(command(many, part, *flags, "--engine", engine)).returncode == 0
    assert shards(part) == shards(whole)
    assert (part / "results" / "00000000.parquet").stat().st_mtime_ns == kept


def partitioned(folder: Path) -> list[Path]:
    """Request logs as Hive lays them, with what a job that is still writing leaves beside them."""
    logs = [RequestLog.FromString(record) for record in made_up(11, requests=60)]
    for number, day in enumerate(("2026-11-28", "2026-11-29")):
        for part in range(2):
            here = folder / f"date={day}" / f"surface=search page {part}"
            here.mkdir(parents=True)
            parquet.write(here / "part-00000.snappy.parquet", logs[number * 30 + part * 15 :][:15])
    (folder / "_SUCCESS").touch()
    unfinished = folder / "_temporary" / "0"
    unfinished.mkdir(parents=True)
    shutil.copy(next(folder.glob("date=*/*/*.parquet")), unfinished / "part-00009.parquet")
    return files_of([folder])


def test_folders_as_hive_lays_them_are_traffic_and_what_is_unfinished_is_not(tmp_path: Path) -> None:
    files = partitioned(tmp_path / "log")
    assert len(files) == 4
    assert not any("_temporary" in str(file) for file in files)
    assert [RequestLog.FromString(r).request.request_id for r in Traffic(tuple(files)).records()] == [
        f"r{number}" for number in range(60)
    ]


READ_BY_SPARK = """
import sys, pyarrow.parquet as pq
from pathlib import Path
from reranker.replay.engines import in_order, on_spark
from reranker.replay.plan import Plan, entries_of, upstream
from reranker.replay.measured import Yardstick
from reranker.policy import Policy
from reranker.requestlog.traffic import files_of
folder, out, policy = sys.argv[1:]
policies = [upstream(), Policy.from_toml(Path(policy))]
plan = Plan(entries_of(policies, {}, parts=True), Yardstick.of(policies))
session = on_spark._session(2)
session.conf.set("spark.sql.files.maxPartitionBytes", "4096")
records = on_spark.read_traffic(session, files_of([folder]))
pq.write_table(in_order(on_spark.replay_frame(records, plan).toArrow()), out)
session.stop()
"""
READ_BY_RAY = """
import sys, pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path
from reranker.replay.arrow import MEASURED
from reranker.replay.engines import in_order, on_ray
from reranker.replay.plan import Plan, entries_of, upstream
from reranker.replay.measured import Yardstick
from reranker.policy import Policy
from reranker.requestlog.traffic import files_of
folder, out, policy = sys.argv[1:]
policies = [upstream(), Policy.from_toml(Path(policy))]
plan = Plan(entries_of(policies, {}, parts=True), Yardstick.of(policies))
on_ray._begin(2)
made = on_ray.replay_dataset(on_ray.read_traffic(files_of([folder])), plan)
tables = [table.cast(MEASURED) for table in made.iter_batches(batch_size=None, batch_format="pyarrow")]
pq.write_table(in_order(pa.concat_tables(tables)), out)
on_ray.ray.shutdown()
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_traffic_that_an_engine_reads_itself_has_the_same_places_and_results(tmp_path: Path, engine: str) -> None:
    folder = tmp_path / "log"
    partitioned(folder)
    policy = tmp_path / "own.toml"
    policy.write_text(
        'name = "own"\n[objective]\nstrategy = "mmr"\n[[quotas]]\nattribute = "tone"\nmin_share = { dark = 0.3 }\n'
    )
    run = tmp_path / "run"
    assert main(["replay", str(folder), "--policy", str(policy), "--run", str(run), "--jobs", "1"]) == 0
    code = {"spark": READ_BY_SPARK, "ray": READ_BY_RAY}[engine]
    script(code, str(folder), str(tmp_path / "out.parquet"), str(policy))
    found: pa.Table = pq.read_table(tmp_path / "out.parquet").drop_columns(["microseconds"])
    here = RunFolder(run).read()[0]
    assert found.num_rows == 60 * 4
    assert found.equals(here)


@pytest.mark.parametrize(("engine", "module", "name"), [("ray", "ray", "ray"), ("spark", "pyspark", "pyspark")])
def test_without_the_extra_it_says_what_to_install(tmp_path: Path, engine: str, module: str, name: str) -> None:
    (tmp_path / f"{module}.py").write_text("raise ImportError('not here')\n")
    log = tmp_path / "log.rlog"
    write(log, [RequestLog.FromString(record) for record in made_up(12, requests=2)])
    done = subprocess.run(
        [sys.executable, "-m", "reranker.cli", *command(log, tmp_path / "run", "--engine", engine)],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{name} is not installed: pip install 'diversity-reranker[{engine}]'" in done.stderr
