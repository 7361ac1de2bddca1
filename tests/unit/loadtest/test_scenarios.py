"""Scenarios: those that are shipped, and what is said of those that are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from examples.catalog import Corpus
from loadtest.errors import LoadtestError
from loadtest.workload import bodies, policies, scenario
from reranker.policy import Policy
from reranker.v1.reranker_service_pb2 import RerankRequest

GROUP = {"name": "a", "corpus": "shades", "kinds": ["text_search"], "policy": "default"}


def parsed(**words: Any) -> scenario.Scenario:
    return scenario.parse({"requests": [GROUP], "run": {"rate": 10}, **words}, "mine")


def test_the_shipped_ones_are_there() -> None:
    assert {"small", "typical", "large_inline", "quotas_on_three_attributes", "mixed"} <= set(scenario.names())


@pytest.mark.parametrize("name", scenario.names())
def test_each_loads_promises_something_and_names_policies_that_parse(name: str) -> None:
    found = scenario.load(name)
    assert found.about
    assert found.slo.p99_ms
    with policies.gathered(found.policies) as folder:
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
    ],
)
def test_mistakes_are_named(words: dict[str, Any], says: str) -> None:
    with pytest.raises(LoadtestError, match=says):
        parsed(**words)


def test_a_scenario_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(LoadtestError, match=r"large_inline, mixed.*small, typical"):
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


def test_a_policy_that_nobody_has_is_named() -> None:
    with pytest.raises(LoadtestError, match="no policy 'nobody'"), policies.gathered(["nobody"]):
        pass
