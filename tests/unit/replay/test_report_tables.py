"""The report's numbers as Parquet: read back, and counted once more."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reranker.replay.browser import browse
from reranker.replay.comparison import compare
from reranker.replay.frontier import frontier
from reranker.replay.measured import Yardstick
from reranker.replay.plan import Plan, entries_of, upstream
from reranker.replay.report import Report
from reranker.replay.report.parquet import SCHEMAS, write_tables
from reranker.replay.results import Results
from reranker.replay.survey import Traffic
from reranker.replay.words import MEANINGS
from reranker.requestlog import write
from reranker.v1.request_log_pb2 import RequestLog
from tests.unit.replay.runs import TONES, made_up, policy, run

REQUESTS = 20
DOCS = Path(__file__).resolve().parents[3] / "docs" / "replay.md"
Tables = dict[str, pa.Table]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Results]:
    records = list(made_up(33, requests=REQUESTS))
    refined = RequestLog.FromString(records[4])
    refined.request.context.refinement.add(attribute="tone", values=["dark"])
    records[4] = refined.SerializeToString()
    bound = [{"attribute": "tone", "min_share": {"dark": 0.3}}]
    own = policy("own", objective={"strategy": "mmr", "diversity": 0.6}, quotas=bound, labels=TONES)
    entries = entries_of([upstream(), own], {"objective.diversity": [0.0, 0.9]}, parts=True)
    results = run(records, entries, more=["form"])
    path = tmp_path_factory.mktemp("traffic") / "traffic.rlog"
    write(path, map(RequestLog.FromString, records))
    plan = Plan(entries, Yardstick.of([own], ["form"]))
    changed = browse(results, plan, Traffic((path,)), "upstream", "own")
    return Report(compare(results, "upstream", "own"), frontier(results, plan.entries, "own"), changed), results


@pytest.fixture(scope="module")
def tables(compared: tuple[Report, Results], tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("tables") / "of" / "report"
    written = write_tables(folder, *compared)
    assert sorted(folder.iterdir()) == sorted(written)
    return {path.stem: pq.read_table(path) for path in written}


def test_every_file_has_its_columns_rows_and_what_it_is_about(tables: Tables) -> None:
    assert tables.keys() == SCHEMAS.keys()
    for name, table in tables.items():
        assert table.schema.equals(SCHEMAS[name]), name
        assert table.num_rows > 0 or name == "providers", name
        assert table.schema.metadata[b"reranker.candidate"] == b"own"
        assert table.schema.metadata[b"reranker.level"] == b"0.95"


def test_the_documentation_names_every_file_and_column() -> None:
    rows = dict(re.findall(r"^\| `(\w+)\.parquet` \| (.*) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE))
    assert rows.keys() == SCHEMAS.keys()
    for name, schema in SCHEMAS.items():
        assert set(schema.names) <= set(re.findall(r"`(\w+)`", rows[name])), name


def test_a_row_a_request_and_its_slates(compared: tuple[Report, Results], tables: Tables) -> None:
    _, results = compared
    rows = tables["requests"].to_pylist()
    assert [row["ordinal"] for row in rows] == list(range(REQUESTS))
    assert [row["request"] for row in rows] == list(results.traffic.names)
    assert {row["kind"] for row in rows} == {"even", "odd"}
    for place, row in enumerate(rows):
        for side, label in (("baseline", "upstream"), ("candidate", "own")):
            assert row[f"{side}_slate"] == results.answers[label].positions[place].tolist()
        if place == 4:
            assert row["changed"] is row["overlap"] is None
            assert "refined" in row["candidate_error"]
        else:
            assert row["changed"] == (row["baseline_slate"] != row["candidate_slate"])
            assert row["overlap"] == len({*row["baseline_slate"]} & {*row["candidate_slate"]}) / 5
            assert row["candidate_error"] is None
            assert row["candidate_microseconds"] > 0


def test_the_means_of_all_requests_are_those_of_the_aggregate(tables: Tables) -> None:
    numbers, counted = tables["request_measures"].to_pandas(), 0
    means = numbers.groupby(["measure", "attribute", "value"])["change"].agg(["mean", "count"])
    for row in tables["measures"].to_pylist():
        if row["dimension"]:
            continue
        mean, count = means.loc[row["measure"], row["attribute"], row["value"]]
        assert count == row["requests"]
        assert mean == pytest.approx(row["change_mean"], nan_ok=True)
        assert row["change_mean"] is None or row["change_low"] <= row["change_mean"] <= row["change_high"]
        counted += 1
    assert counted == len(means) > 30
    assert set(numbers["measure"]) <= set(MEANINGS)


def test_other_tables_say_what_the_report_says(compared: tuple[Report, Results], tables: Tables) -> None:
    report, _ = compared
    found = report.found
    assert [row["outcome"] for row in tables["checks"].to_pylist()] == [check.outcome.value for check in found.checks]
    shares = tables["slots"].to_pandas().groupby(["policy", "attribute", "slot"])["share"].sum()
    assert np.allclose(shares, 1.0)
    bounds = tables["bounds"].to_pandas()
    assert (bounds[bounds["policy"] == "own"].groupby(["attribute", "value"])["requests"].sum() == REQUESTS - 1).all()
    points = {row["policy"]: dict(row["setting"]) for row in tables["frontier"].to_pylist()}
    assert {"objective.diversity": 0.9} in points.values()
    assert points["upstream"] == {}
    items = tables["changed_items"].to_pandas()
    assert len(items) == 2 * 5 * len(report.changed)
    assert items["reason"].str.len().min() > 0
    assert dict(items["values"][0]).keys() == {"tone", "form"}


def test_equal_reports_are_equal_bytes(compared: tuple[Report, Results], tmp_path: Path) -> None:
    one, other = (write_tables(tmp_path / name, *compared) for name in "ab")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
