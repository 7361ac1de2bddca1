"""Defaults: one table, found from any block, with its enums as the message has them."""

from __future__ import annotations

from reranker.policy import defaults, words
from reranker.policy.mistakes import Mistakes
from reranker.v1 import policy_pb2 as pb


def test_absent_means_the_default_and_present_means_itself() -> None:
    policy = pb.Policy()
    assert defaults.get(policy.objective, "strategy") == pb.STRATEGY_DPP
    assert defaults.get(policy.objective, "diversity") == 0.5
    assert defaults.get(policy.objective, "relevance_floor") is None
    assert defaults.get(pb.Quota(), "weight") == 1.0
    assert defaults.get(pb.Quota().fair_star, "pool") == pb.FAIR_STAR_POOL_INFINITE
    assert defaults.get(pb.OnInfeasible(mode=pb.INFEASIBLE_MODE_FAIL), "mode") == pb.INFEASIBLE_MODE_FAIL
    assert defaults.get(pb.Objective(diversity=0.0), "diversity") == 0.0
    assert defaults.get(pb.Objective(strategy=pb.STRATEGY_UNSPECIFIED), "strategy") == pb.STRATEGY_DPP


def test_labels_by_attribute_then_for_all_then_the_default() -> None:
    policy = pb.Policy()
    assert defaults.get_label(policy, "a", "threshold") == 0.5
    policy.labels.threshold = 0.6
    policy.labels.attributes.add(attribute="a", threshold=0.0, sensitive=True)
    assert defaults.get_label(policy, "a", "threshold") == 0.0
    assert defaults.get_label(policy, "b", "threshold") == 0.6
    assert defaults.get_label(policy, "a", "count") == pb.LABEL_COUNT_HARD
    assert defaults.get_label(policy, "a", "sensitive") is True
    assert defaults.get_label(policy, "b", "sensitive") is False


def test_every_default_is_a_sound_word() -> None:
    for key, value in defaults.DEFAULTS.items():
        *blocks, word = key.split(".")
        tree: object = {word: value}
        for block in reversed(blocks):
            is_list = block in ("quotas", "similarity_signals", "spacings", "decays", "exposure")
            tree = {"a": tree} if key == "labels.sensitive" else tree
            tree = {block: [tree] if is_list else tree}
        mistakes = Mistakes()
        words.from_tree(tree, mistakes)
        assert not mistakes.violations, key
