"""Scenarios: those that are shipped, and what is said of those that are wrong."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.catalog import Corpus
from loadtest.errors import LoadtestError
from loadtest.workload import bodies, gathered, scenario
from reranker.policy import Policy
from reranker.v1.reranker_service_pb2 import RerankRequest

GROUP = {"name": "a", "corpus": "shades", "kinds": ["text_search"], "policy": "default"}


def parsed(**words: Any) -> scenario.Scenario:
    return scenario.parse({"requests": [GROUP], "run": {"rate": 10}, "slo": {"p99_ms": 9}, **words}, "mine")


def test_the_shipped_ones_are_there() -> None:
    assert {"small", "typical", "large_inline", "quotas_on_three_attributes", "mixed"} <= set(scenario.names())


@pytest.mark.parametrize("name", scenario.names())
def test_each_loads_promises_something_and_names_policies_that_parse(name: str) -> None:
    found = scenario.load(name)
    assert found.about
    assert found.slo.p99_ms
    with gathered.gathered(found) as (folder, _):
        assert sorted(path.stem for path in folder.iterdir()) == found.policies
        for path in folder.iterdir():
            assert Policy.from_toml(path).name == path.stem


@pytest.mark.parametrize("name", scenario.names())
def test_bodies_are_whole_requests_with_the_columns_that_their_policy_needs(name: str) -> None:
    found = scenario.load(name)
    workload = bodies.build(found)
    assert workload.shares.sum() == pytest.approx(1)
    for body, number in zip(workload.bodies, workload.group_of.tolist(), strict=True):
        request, group = RerankRequest.FromString(body), found.requests[number]
        count = len(request.candidates.item_ids)
        assert request.policy_name == group.policy
        assert count == len(request.candidates.scores) == (group.candidates or count)
        if group.embeddings == "catalog":
            assert request.candidates.catalog.attributes == group.attributes
            assert not request.candidates.attributes
            assert not request.candidates.embeddings
            continue
        assert [column.name for column in request.candidates.attributes] == group.attributes
        column = request.candidates.embeddings[0]
        size = 4 if group.embeddings == "float32" else 2
        assert len(column.float32 or column.float16) == count * group.dimension * size
    assert len({body[:48] for body in workload.bodies}) == len(workload.bodies)


def test_repeated_vectors_keep_every_cosine() -> None:
    group = scenario.load("large_inline").requests[0]
    request = bodies.requests_of(group, Corpus("shades"))[0]
    column = request.candidates.embeddings[0]
    sent = np.frombuffer(column.float32, "<f4").reshape(-1, 128)[:50].astype(np.float64)
    sent /= np.linalg.norm(sent, axis=1, keepdims=True)
    corpus = Corpus("shades")
    recorded = corpus.embeddings[corpus.rows(request)][:50].astype(np.float64)
    recorded /= np.linalg.norm(recorded, axis=1, keepdims=True)
    np.testing.assert_allclose(sent @ sent.T, recorded @ recorded.T, atol=1e-6)


def test_requests_are_drawn_by_their_groups_shares() -> None:
    found = scenario.load("mixed")
    workload = bodies.build(found)
    drawn = workload.group_of[workload.drawn(40_000, seed=5)]
    shares = np.bincount(drawn) / len(drawn)
    np.testing.assert_allclose(shares, [group.share for group in found.requests], atol=0.01)
    assert (workload.drawn(100, 5) == workload.drawn(100, 5)).all()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"runs": {}}, "unknown: runs"),
        ({"requests": []}, "at least one group"),
        ({"requests": [GROUP, GROUP]}, "a name of its own"),
        ({"requests": [{**GROUP, "embeddings": "int4"}]}, "embeddings must be one of"),
        ({"requests": [{**GROUP, "share": "much"}]}, r"requests\[0\].share must be of type float"),
        ({"requests": [{"name": "a"}]}, r"requests\[0\]: missing"),
        ({"run": {"rate": 0}}, "must be above 0"),
        ({"run": {"rate": True}}, "run.rate must be of type float"),
        ({"slo": {"p98_ms": 1}}, "slo: unknown: p98_ms; there are p50_ms"),
        ({"slo": {}}, "must promise something"),
        ({"requests": 5}, "must be a list of tables"),
        ({"requests": [5]}, r"requests\[0\] must be a table"),
        ({"slo": 3}, "slo must be a table"),
        ({"run": 3}, "run must be a table"),
        ({"arrivals": "poisson"}, "arrivals must be a table"),
        ({"arrivals": {"kind": 3}}, "arrivals.kind must be of type str"),
        ({"about": 3}, "about must be of type str"),
        ({"run": {"rate": math.nan}}, "run.rate must be a finite number"),
        ({"run": {"rate": math.inf}}, "run.rate must be a finite number"),
        ({"run": {"rate": 1e12}}, "run.rate must be above 0 and at most 100,000"),
        ({"run": {"rate": 10, "seconds": math.nan}}, "run.seconds must be a finite number"),
        ({"run": {"rate": 10, "warm_up": math.inf}}, "run.warm_up must be a finite number"),
        ({"run": {"rate": 10, "warm_up": 1e9}}, "run.warm_up must be from 0 to 3,600"),
        ({"run": {"rate": 10, "deadline_ms": math.nan}}, "run.deadline_ms must be a finite number"),
        ({"run": {"rate": 10, "seed": -1}}, "run.seed must be from 0 to"),
        ({"run": {"rate": 90_000, "seconds": 10_000}}, "at most 50,000,000 requests in all"),
        ({"slo": {"p99_ms": math.nan}}, "slo.p99_ms must be a finite number"),
        ({"slo": {"p99_ms": -5}}, "slo.p99_ms must be above 0"),
        ({"slo": {"errors": 1.5}}, "slo.errors must be from 0 to 1"),
        ({"requests": [{**GROUP, "share": math.inf}]}, "share must be a finite number"),
        ({"requests": [{**GROUP, "attributes": [1]}]}, "attributes must hold texts only"),
        ({"requests": [{**GROUP, "dimension": -64}]}, "dimension must be above 0"),
        ({"requests": [{**GROUP, "slate_size": 99_999_999_999}]}, "slate_size must be above 0 and at most"),
        ({"requests": [{**GROUP, "policy": "../../etc/passwd"}]}, "policy must be a plain name"),
        ({"requests": [{**GROUP, "corpus": "../shades"}]}, "corpus must be a plain name"),
        ({"requests": [{**GROUP, "name": str(n)} for n in range(300)]}, "at most 255"),
    ],
)
def test_mistakes_are_named(words: dict[str, Any], says: str) -> None:
    with pytest.raises(LoadtestError, match=says):
        parsed(**words)


def test_a_file_that_is_no_text_and_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"about = '\xff'")
    (tmp_path / "folder.toml").mkdir()
    for name in ("bytes.toml", "folder.toml"):
        with pytest.raises(LoadtestError, match=name):
            scenario.load(str(tmp_path / name))


def test_a_scenario_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(LoadtestError, match=r"large_by_reference, large_inline, mixed.*small, typical"):
        scenario.load("huge")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"corpus": "films"}, "no corpus 'films'"),
        ({"attributes": ["gender"]}, "no attribute gender"),
        ({"candidates": 5000}, "5000 candidates"),
        ({"dimension": 100}, "multiple of 64"),
    ],
)
def test_workloads_that_cannot_be_had_are_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(LoadtestError, match=says):
        bodies.build(parsed(requests=[{**GROUP, **change}]))


def test_what_a_killed_load_test_left_behind_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    orphan, living = tmp_path / f"loadtest-server-{process.pid}-x", tmp_path / f"loadtest-server-{os.getpid()}-x"
    others = tmp_path / "loadtest-server-somebody"
    for folder in (orphan, living, others):
        folder.mkdir()
    with gathered.gathered(parsed(requests=[{**GROUP, "policy": "default"}])) as (folder, _):
        assert folder.parent.parent == tmp_path
        assert not orphan.exists()
    assert {path.name for path in tmp_path.iterdir()} == {living.name, others.name}


def test_a_policy_that_nobody_has_is_named() -> None:
    nobodys = parsed(requests=[{**GROUP, "policy": "nobody"}])
    with pytest.raises(LoadtestError, match="no policy 'nobody'"), gathered.gathered(nobodys):
        pass


def test_a_catalog_has_what_the_requests_refer_to() -> None:
    with gathered.gathered(parsed(requests=[{**GROUP, "embeddings": "catalog", "dimension": 128}])) as (_, flags):
        flag, folder = flags
        said = subprocess.run(
            [sys.executable, "-m", "reranker.cli", "catalog", "inspect", folder],
            capture_output=True,
            text=True,
            check=True,
        )
    assert flag == "--catalog"
    assert "128" in said.stdout


def test_one_server_has_one_catalog() -> None:
    groups = [{**GROUP, "name": str(length), "embeddings": "catalog", "dimension": length} for length in (64, 128)]
    with pytest.raises(LoadtestError, match="one catalog"):
        parsed(requests=groups)
