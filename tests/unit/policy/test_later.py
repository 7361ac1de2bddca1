"""Words of later releases: known, refused by name, accepted at their default."""

from __future__ import annotations

from typing import Any

import pytest

from reranker.errors import InvalidInput
from reranker.policy import Policy, words
from reranker.policy.defaults import DEFAULTS
from reranker.policy.later import NOT_BUILT_YET, refuse_later_words
from reranker.policy.mistakes import Mistakes

SHARES = {"x": 0.5, "y": 0.5}
# One policy, sound otherwise, for each row of the table.
LATER: dict[str, dict[str, Any]] = {
    "quotas.fair_star": {
        "quotas": [{"attribute": "a", "fair_star": {"protected": ["x"], "proportion": 0.4, "significance": 0.1}}]
    },
    "quotas.generator": {"quotas": [{"attribute": "a", "target": SHARES, "generator": "det_cons"}]},
    "labels.count = expected": {"labels": {"count": "expected"}},
    "labels.count = confident": {"labels": {"a": {"count": "confident"}}},
    "labels.confidence": {"labels": {"a": {"confidence": 0.8}}},
}


def test_every_row_has_its_case() -> None:
    assert set(LATER) == set(NOT_BUILT_YET)


@pytest.mark.parametrize("row", LATER)
def test_refused_by_name_and_read_all_the_same(row: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Policy.from_dict(LATER[row])
    key, _, word = row.rpartition(".")[2].partition(" = ")
    assert all("comes with a later release" in violation.reason for violation in caught.value.violations)
    assert any(key in v.reason and word in v.reason and "available now" in v.reason for v in caught.value.violations)
    mistakes = Mistakes()
    message = words.from_tree(LATER[row], mistakes)
    assert not mistakes.violations
    assert words.to_tree(message) == LATER[row]


def test_the_whole_of_a_block_is_refused_once() -> None:
    mistakes = Mistakes()
    tree = {
        "quotas": [
            {"attribute": "a", "fair_star": {"protected": ["x"], "rule": "closest"}},
        ],
        "labels": {"confidence": 0.8},
    }
    refuse_later_words(words.from_tree(tree, mistakes), mistakes)
    paths = [violation.path for violation in mistakes]
    assert paths == ["quotas[0].fair_star", "labels.confidence"]


def test_a_word_at_its_default_asks_for_nothing() -> None:
    tree: dict[str, Any] = {
        "similarity_signals": [{"signal": "image"}],
        "quotas": [{"attribute": "a", "max_per_value": 1}],
        "spacings": [{"attribute": "a", "penalty": 0.2, "window": 3}],
        "decays": [{"attribute": "a", "factor": 0.5}],
        "labels": {"a": {"confidence": 0.9}},
        "exposure": [{"attribute": "a", "target": "pool"}],
    }
    for key, value in DEFAULTS.items():
        block, _, word = key.rpartition(".")
        if isinstance(tree.get(block), list):
            tree[block][0][word] = value
        elif block in NOT_BUILT_YET or "." in block:
            continue  # a block that is refused as a whole
        elif key != "labels.sensitive":
            tree.setdefault(block, {})[word] = value
    assert Policy.from_dict(tree).to_dict() == tree
