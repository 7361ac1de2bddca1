"""Words that this release knows and does not serve yet: a policy that uses one is refused, never half obeyed."""

from __future__ import annotations

from collections.abc import Mapping

from reranker.policy.defaults import DEFAULTS
from reranker.policy.mistakes import Mistakes
from reranker.policy.vocabulary import SetWord, set_words
from reranker.v1 import policy_pb2

_PLAIN_BOUNDS = "min_share, max_share, min_count, max_count, at_least_one_of_each and max_per_value are available now"
_HARD_LABELS = 'count = "hard" with a threshold is available now'

# By dotted key, or key = word: what is available instead. A word at its default asks for nothing and is accepted.
NOT_BUILT_YET: Mapping[str, str] = {
    "quotas.fair_star": _PLAIN_BOUNDS,
    "quotas.generator": _PLAIN_BOUNDS,
    "labels.count = expected": _HARD_LABELS,
    "labels.count = confident": _HARD_LABELS,
    "labels.confidence": _HARD_LABELS,
}


def refuse_later_words(policy: policy_pb2.Policy, mistakes: Mistakes) -> None:
    """Notes every word that a later release brings, once a block where the whole block is one."""
    refused: set[tuple[str | int, ...]] = set()
    for word in set_words(policy):
        if any(word.path[:length] in refused for length in range(1, len(word.path))):
            continue
        available = NOT_BUILT_YET.get(word.key) or NOT_BUILT_YET.get(f"{word.key} = {word.value}")
        if available is None or word.value == DEFAULTS.get(word.key):
            continue
        mistakes.add(word.path, f"{_named(word)} comes with a later release; {available}")
        refused.add(word.path)


def _named(word: SetWord) -> str:
    key = word.key.rpartition(".")[2]
    return f'{key} = "{word.value}"' if f"{word.key} = {word.value}" in NOT_BUILT_YET else key
