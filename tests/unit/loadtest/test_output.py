"""JSON that is JSON, tables that fit a screen, and a page that needs nothing but itself."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.display import Screen
from loadtest.errors import LoadtestError
from loadtest.generator.records import STAGES
from loadtest.output import document as documents
from loadtest.output import markdown, page, report, tables
from loadtest.output.charts import Chart, Line
from loadtest.output.folder import check_folder, keep_earlier
from loadtest.output.live import Live
from loadtest.results.gates import judge
from loadtest.workload import bodies, scenario
from tests.unit.loadtest.figures import ECHO, SECOND, outcome, records

DUE = np.arange(1000, dtype=np.int64) * (SECOND // 100)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Every kind of figure at once: a rate with errors, steps of a sweep, blocks of a comparison."""
    found = scenario.load("small")
    codes = np.where(np.arange(1000) % 50 == 0, 14, 0)
    server = outcome(records(DUE, 3.0, codes=codes.tolist(), stages=range(1, 9)), 10)
    made = documents.beginning("rate", found, bodies.build(found))
    made["runs"] = [documents.of_outcome(outcome(records(DUE, 1.0), 10, target=ECHO), "echo")]
    made["runs"].append(documents.of_outcome(server, "server"))
    made["servers"] = ["first", "second"]
    for pair, which in ((0, 0), (0, 1), (1, 1), (1, 0)):
        made["runs"].append({**documents.of_outcome(server, "block"), "pair": pair, "server": which})
    late = outcome(records(DUE, 90.0, late_ms=80.0), 10)
    for rate, verdict, of in ((100.0, "met", server), (200.0, "missed", server), (400.0, "saturated", late)):
        made["runs"].append({**documents.of_outcome(of, "step"), "rate": rate, "verdict": verdict})
    made["comparison"] = [
        {"name": "p50", "unit": "ms", "first": 1.0, "second": "unanswered", "ratio": None, "low": None, "high": None}
        | {"verdict": "no difference shown", "pairs": 0}
    ]
    made["gates"] = documents.of_gates(judge(found.slo, server))
    made["findings"] = ["The knee: <200> a second."]
    made["verdict"] = "missed"
    return made


def test_it_is_json_without_extensions(document: dict[str, Any], tmp_path: Path) -> None:
    documents.write(document, tmp_path / "folder" / "x.json")
    text = (tmp_path / "folder" / "x.json").read_text()
    assert not re.search(r"\b(NaN|Infinity)\b", text)
    read = json.loads(text)
    server = read["runs"][1]
    assert server["latency_ms"]["p50"] == pytest.approx(3, rel=2e-3)
    assert server["latency_ms"]["p99"] == documents.UNANSWERED
    assert read["environment"]["cores"] >= 1
    assert read["scenario"]["slo"]["p99_ms"] == 20


def test_the_picture_is_two_tables_for_the_docs() -> None:
    row = {"scenario": "small", "candidates": 100, "bytes": 14_655, "knee": "≥ 800", "rate": 400.0, "p50": 1.234}
    row |= {"p99": documents.UNANSWERED, "echo_p50": 0.5, "p99.9": None, "server_us": 901.4, "beyond_echo_us": 700.0}
    row |= {"doubts": []}
    stages = {name: {"mean": 0.0 if name == "signals" else 12.3} for name in STAGES}
    first, second = markdown.picture({"picture": [{**row, "stages_us": stages}]}).split("\n\n")
    assert first.splitlines()[2] == "| `small` | 100 | 15 | ≥ 800 | 400 | 1.23 | unanswered | – | 0.50 | 901 | 700 |"
    assert [line.split(" | ")[0] for line in second.splitlines()[2:]] == [
        f"| {name}" for name in ("decode", "policy", "plan", "select", "report", "encode", "the handler, all of it")
    ]


def test_a_percentile_that_rests_on_nothing_is_left_out() -> None:
    few = documents.of_outcome(outcome(records(DUE[:300], 1.0), 3), "server")["latency_ms"]
    assert "p99" in few
    assert "p99.9" not in few


def test_the_tables_fit_a_screen_and_show_the_doubts(document: dict[str, Any]) -> None:
    stream = StringIO()
    report.show(Screen(stream), document)
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= 120
    for shown in ("unanswered", "20 UNAVAILABLE", "MISSED", "decode: bytes", "the generator was saturated", "p99.9"):
        assert shown in text


def test_the_page_opens_without_a_network(document: dict[str, Any]) -> None:
    text = page.render(document)
    assert not re.search(r"(src|href|@import|url\()\s*=?", text)
    assert "://" not in text
    assert "<script" not in text
    assert "&lt;200&gt;" in text
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    titles = {ET.fromstring(drawing).attrib["aria-label"] for drawing in drawings}
    assert "p50 by pair" in titles
    assert {"Latency against rate", "server: latency by second", "server: requests by second", "Percentiles"} <= titles


def test_a_chart_marks_what_was_never_answered_and_leaves_gaps() -> None:
    line = Line("p99", [(1.0, 2.0), (2.0, None), (3.0, float("inf")), (4.0, 5.0), (5.0, 6.0)])
    drawn = ET.fromstring(Chart("title", "x", "y", [line], log_y=True, level=("limit", 4.0)).svg())
    assert len(drawn.findall("circle")) == 3
    assert len(drawn.findall("path")) == 1
    assert "unanswered" in "".join(drawn.itertext())


@pytest.mark.parametrize("points", [[], [(1.0, None)], [(1.0, float("nan"))]])
def test_a_chart_of_nothing_is_nothing(points: list[tuple[float, float | None]]) -> None:
    assert Chart("title", "x", "y", [Line("a", points)]).svg() == ""


def test_one_point_and_a_flat_line_can_be_drawn() -> None:
    for points in ([(1.0, 1.0)], [(1.0, 0.0), (2.0, 0.0)]):
        ET.fromstring(Chart("title", "x", "y", [Line("a", points)]).svg())


def test_a_long_run_prints_some_of_its_seconds() -> None:
    stream = StringIO()
    live = Live(Screen(stream))
    live.begin("soak", 600)
    found = outcome(records(DUE, 1.0), 10)
    for second in found.series * 2:
        live.second(second, 0)
    assert len(stream.getvalue().splitlines()) == 3 + 2


def test_the_picture_says_beside_a_row_why_it_is_doubtful() -> None:
    row = {"scenario": "small", "candidates": 100, "bytes": 14_655, "knee": "≥ 800", "rate": 400.0, "p50": 1.2}
    row |= {"p99": 2.0, "echo_p50": 0.5, "p99.9": None, "server_us": None, "beyond_echo_us": None}
    row |= {"doubts": ["the generator was saturated"], "stages_us": None}
    made = markdown.picture({"picture": [row]})
    assert "| `small` † |" in made
    assert "† `small`: the generator was saturated." in made


def test_a_gate_that_is_not_decided_says_why() -> None:
    few = outcome(records(DUE[:20], 1.0), 1)
    stream = StringIO()
    tables.gates(Screen(stream), documents.of_gates(judge(scenario.load("small").slo, few)))
    assert "not known: 20 requests, it wants 100" in stream.getvalue()


def test_a_tail_that_the_generator_made_is_called_its_own() -> None:
    due = np.arange(10_000, dtype=np.int64) * (SECOND // 1000)
    late = np.where(np.arange(10_000) < 30, 80.0, 0.0)
    run = documents.of_outcome(outcome(records(due, 1.0 + late, late_ms=late), 10), "server")
    (doubt,) = (text for text in report.doubts_of([run]) if "p99.9" in text)
    assert "the generator's, not the server's" in doubt


def test_a_folder_that_cannot_be_written_is_found_out_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LoadtestError, match="--out: cannot write"):
        check_folder(tmp_path / "file" / "folder")
    check_folder(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_earlier_documents_are_kept(tmp_path: Path) -> None:
    assert keep_earlier(tmp_path, "rate-small") is None
    for number in range(3):
        for ending in (".json", ".html"):
            documents.write_text(tmp_path / f"rate-small{ending}", str(number))
        os.utime(tmp_path / "rate-small.json", (0, 0))
        os.utime(tmp_path / "rate-small.html", (0, 0))
        kept = keep_earlier(tmp_path, "rate-small")
        assert kept == "rate-small-19700101T000000Z" + ("" if number == 0 else f"-{number + 1}")
        assert (tmp_path / f"{kept}.json").read_text() == str(number)
    assert len(list(tmp_path.iterdir())) == 6
