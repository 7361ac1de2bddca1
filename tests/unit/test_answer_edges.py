"""What leaves the house: copies that cannot change a policy, and answers that cross processes whole."""

from __future__ import annotations

import pickle

import numpy as np

from reranker import Candidates, Policy, rerank

POLICY = Policy.from_toml("")


def test_a_policys_message_is_a_copy() -> None:
    policy = Policy.from_toml("name = 'mine'\n[objective]\ndiversity = 0.25")
    policy.message.objective.diversity = 0.75
    policy.message.name = "theirs"
    assert policy.name == "mine"
    assert policy.message.objective.diversity == 0.25
    assert Policy.from_proto(policy.message) == policy


def test_a_slate_survives_pickling_with_its_measures() -> None:
    candidates = Candidates(range(50), np.arange(50.0), np.eye(50), {"tone": ["x", None] * 25})
    slate = rerank(candidates, POLICY, 10, explain=True)
    data = pickle.dumps(slate)
    again = pickle.loads(data)
    assert again == slate
    assert again.ids == slate.ids
    assert again.report.measures == slate.report.measures
    assert again.report.measure() == slate.report.measures
    assert pickle.loads(pickle.dumps(again)).report.measures == slate.report.measures
    assert len(data) < candidates.embeddings[""].matrix.nbytes  # the answer travels, not what it was made of


def test_slates_are_equal_by_value() -> None:
    candidates = Candidates(["a", "b"], [2.0, 1.0], None, {"tone": ["x", "y"]})
    one, other = (rerank(candidates, POLICY, size) for size in (2, 1))
    assert one == rerank(candidates, POLICY, 2)
    assert one != other
    assert one != "slate"
