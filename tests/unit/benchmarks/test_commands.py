"""Every command runs at a tiny size and writes what it found. No time is held against anything here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import grid, growth, limits, machine, memory, replay, run
from benchmarks.allocations import traced
from benchmarks.goals import GOALS
from benchmarks.grid import Point
from benchmarks.inputs import synthetic
from benchmarks.ours import Setting, calls

TINY = ["--seconds", "0.001"]


def written(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    assert {"python", "cores", "blas_threads"} <= set(found["machine"])
    assert found["versions"]["pyversity"]
    return found


def test_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run.json"
    code = run.main([*TINY, "--only", "uniform 300/64/20 dpp", "--output", str(output)])
    rows = [row for row in written(output)["rows"] if row["strategy"] == "dpp"]
    assert [row["diversity"] for row in rows] == [0.2, 0.5, 0.8, 1.0]
    half = rows[1]
    assert half["goal"] == 8.0
    assert half["met"] is (half["ratio"] >= 8.0)
    assert half["peer_ms"] == min(peer["ms"] for peer in half["peers"].values())
    assert half["peers"]["pyversity"]["same_picks_when_set_alike"] == 1.0
    assert half["peers"]["NumPy MAP"]["overlap"] == 1.0
    assert half["ours_select_ms"] > 0.0
    assert code == any(row["ratio"] < 1.0 for row in written(output)["rows"] if row["ratio"] is not None)
    assert "NumPy MAP" in capsys.readouterr().out


def test_every_goal_has_a_row() -> None:
    works = {(case.make().name, setting) for case in run.CASES for setting in case.settings}
    assert set(GOALS) <= works


def row(ratio: float | None, met: bool | None) -> dict[str, Any]:
    return {"work": "w", "strategy": "dpp", "diversity": 0.5, "best_peer": "p", "ratio": ratio, "met": met}


@pytest.mark.parametrize(
    ("rows", "code"),
    [([row(2.0, False)], 0), ([row(2.0, True), row(0.99, None)], 1), ([row(None, None)], 0)],
    ids=["a missed goal", "slower somewhere", "no peer"],
)
def test_only_being_slower_fails_a_run(rows: list[dict[str, Any]], code: int) -> None:
    assert run.summary(rows) == code


def test_grid_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "grid.json"
    arguments = [*TINY, "--only", "N=50,D=32,k=10,diversity=1", "--output", str(output)]
    grid.main(arguments)
    first = written(output)["points"]
    assert set(first) == {f"{name} 1 at 50/32/10" for name in ("dpp", "ssd", "ssd w=10", "mmr", "msd", "cover")}
    monkeypatch.setattr(grid, "measured", lambda *_: pytest.fail("measured again"))
    grid.main(arguments)
    assert written(output)["points"] == first


def test_the_grid_is_whole() -> None:
    points = list(grid.points({}))
    sizes = {(point.N, point.D, point.k) for point in points}
    assert len(sizes) == 6 * 5 * 4 - 5  # a slate of 100 needs as many candidates
    assert max(point.N for point in points if point.strategy == "cover") == 1000
    assert len(points) == len(set(points))
    some = list(grid.points(grid.read_only("N=50,N=100,k=10,strategy=mmr")))
    assert {(point.N, point.k, point.strategy) for point in some} == {(50, 10, "mmr"), (100, 10, "mmr")}
    with pytest.raises(ValueError, match="'M' is none of"):
        grid.read_only("M=3")


def test_the_grid_lists_the_worst_points_first(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {**vars(Point(n, 32, 10, "mmr", 0, 0.5)), "ratio": ratio, "best_peer": "p"}
        | dict.fromkeys(("peer_ms", "ours_ms", "ours_checked_ms"), 1.0)
        for n, ratio in ((50, 0.9), (100, 0.5), (300, 2.0))
    ]
    assert grid.summary(rows) == 1
    shown = capsys.readouterr().out
    assert "slower at 2 of 3 points" in shown
    assert shown.index("mmr 0.5 at 100/32/10") < shown.index("mmr 0.5 at 50/32/10")
    assert grid.summary(rows[2:]) == 0


def test_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "SWEEPS", {"N": (30, 60, 120), "D": (4, 8, 16), "k": (3, 5, 8)})
    monkeypatch.setattr(growth, "MIDDLE", {axis: {"N": 60, "D": 8, "k": 5} for axis in "NDk"})
    output = tmp_path / "growth.json"
    growth.main([*TINY, "--strategy", "mmr", "--output", str(output), "--figures", str(tmp_path)])
    sweeps = written(output)["sweeps"]
    assert [(sweep["axis"], sweep["diversity"]) for sweep in sweeps] == [(a, d) for a in "NDk" for d in (0.5, 1.0)]
    assert [point["N"] for point in sweeps[0]["points"]] == [30, 60, 120]
    assert sweeps[0]["fits"]["eager_multiply_adds"]["exponent"] == pytest.approx(1.0)


def test_growth_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks import growth_figure

    points = [{"N": n, **dict.fromkeys(growth.LINES, float(n)), "eager_multiply_adds": 1.0 * n} for n in (10, 20, 40)]
    sweep = growth.fitted("N", Setting("mmr", 0.5), points)
    path = growth_figure.write({"sweeps": [sweep]}, tmp_path)
    assert path == tmp_path / "growth.svg"
    assert "<svg" in path.read_text()


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SIZES", ((40, 8, 5),))
    output = tmp_path / "limits.json"
    assert limits.main([*TINY, "--output", str(output)]) == 0
    found = written(output)
    assert all(value > 0 for value in found["peaks"].values())
    assert len(found["rows"]) == 2 * len(limits.STRATEGIES)
    assert all(row["reached"] > 0 for row in found["rows"])


def test_peaks_are_rates() -> None:
    peaks = machine.measure(seconds=0.001, large=100_000)
    assert set(peaks.rows()) == {
        "sgemm",
        "sgemv_cached",
        "sgemv_memory",
        "copy_cached",
        "copy_memory",
        "triad_memory",
    }
    assert min(peaks.rows().values()) > 0


def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SIZES", ((30, 8, 4),))
    output = tmp_path / "memory.json"
    assert memory.main(["--calls", "60", "--output", str(output)]) == 0
    found = written(output)
    assert found["resident"]["calls"] == 60
    assert found["resident"]["most_mb"] > 1
    assert len(found["calls"]) == len(memory.MIX)


def test_the_tracer_finds_where_arrays_are_made() -> None:
    work = synthetic("uniform", 300, 64, 5)
    found = traced(calls(work, Setting("dpp", 0.5).policy())["ours"])
    copied = 4 * 300 * 64  # the embeddings, at the door; what the selection works on is scratch of earlier calls
    assert copied < found.peak < 2 * copied
    assert [place.split(":")[0] for place, size in found.largest(5) if size > copied] == ["reranker/candidates.py"]
    assert all(place.startswith("reranker/") for place, _ in found.largest(20))


def test_replay(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["replay", "75"])  # three shards: the rate is taken from the first to the last
    assert replay.main() == 0
    said = capsys.readouterr().out
    assert said.startswith("75 requests under 2 policies")
    assert all(what in said for what in ("reading", "the engine", "measuring", "Arrow", "of the bare engine's rate"))
    assert "in one process" in said
