"""The requests that are sent, and what the engine itself makes of each: of the whole policy and of every rung below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reranker import Policy
from reranker.codec.answer import encode_slate
from reranker.codec.limits import Limits
from reranker.codec.request import decode_request
from reranker.engine import Outlook, rerank_traced
from reranker.errors import Violation
from reranker.exposure.memory import MemoryBoard
from reranker.v1 import policy_pb2
from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.context_pb2 import Context
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse

SIZES = ((60, 16, 10), (200, 32, 20), (600, 64, 30))  # candidates, dimensions, slots
_EACH = 3  # requests of a size and a policy
NEAR = 4  # candidates a slot that the rungs look at: docs/operations.md
HURRIED = "hurried"
RUNGS = {
    "whole": "",
    HURRIED: "the search for the best picks under the quotas was cut short",
    "window": "most relevant alone",
    "mmr": "this is MMR over",
    "quotas": "this is the order of relevance under the quotas",
    "upstream": "this is the upstream order",
}
"""The rungs, and the words by which an answer's note names each; what is `hurried` may also be a lower one."""

POLICIES = {
    "shares": """
name = "shares"
objective = { strategy = "dpp", diversity = 0.5 }
[[quotas]]
attribute = "tone"
min_share = { dark = 0.3, light = 0.2 }
""",
    "creators": """
name = "creators"
objective = { strategy = "mmr", diversity = 0.7 }
[[quotas]]
attribute = "creator"
max_per_value = 2
window = 10
""",
    "broad": """
name = "broad"
objective = { strategy = "cover", diversity = 0.5 }
[[quotas]]
attribute = "tone"
min_share = { dark = 0.3, light = 0.2 }
""",
    # Far fewer slates than `min_count` are sent, so the ledger has every one of them and steers none.
    "seen": """
name = "seen"
objective = { strategy = "ssd", diversity = 0.5 }
[[quotas]]
attribute = "tone"
at_least_one_of_each = true
values = ["dark", "middle", "light"]
within = 10
[[exposure]]
attribute = "tone"
target = { dark = 0.4, middle = 0.2, light = 0.4 }
half_life = "24h"
min_count = 1000000
""",
}


@dataclass(frozen=True)
class Case:
    """A request, the engine's answers to it by rung, and the two columns that quotas look at."""

    request: RerankRequest
    right: Mapping[str, RerankResponse]
    tones: Sequence[str]
    creators: Sequence[str]

    @property
    def is_seen(self) -> bool:
        """Whether its slates go to the ledger, so that what was seen of them can be reported."""
        return self.request.policy_name == "seen"

    def keeps_quotas(self, positions: Sequence[int]) -> bool:
        """Whether a slate keeps its policy's quotas, counted here by hand."""
        return _KEEPS[self.request.policy_name](
            [self.tones[position] for position in positions], [self.creators[position] for position in positions]
        )


def make_cases(seed: int = 11) -> list[Case]:
    """Requests of every size under every policy; the first three sizes come once before any comes again."""
    rng = np.random.default_rng(seed)
    policies = {name: Policy.from_toml(text) for name, text in POLICIES.items()}
    return [_case(rng, policies[name], *size) for _ in range(_EACH) for size in SIZES for name in policies]


def _case(rng: np.random.Generator, policy: Policy, count: int, dimension: int, slots: int) -> Case:
    tones = rng.choice(["dark", "middle", "light"], count, p=[0.2, 0.2, 0.6]).tolist()
    creators = [f"c{number}" for number in rng.integers(0, count // 4, count)]
    items = CandidateList(item_ids=[f"i{n}" for n in range(count)], scores=rng.gamma(2.0, size=count).tolist())
    vectors = rng.standard_normal((count, dimension)).astype("<f4")
    items.embeddings.add(dimension=dimension, float32=vectors.tobytes())
    for name, column in (("tone", tones), ("creator", creators)):
        values = sorted(set(column))
        items.attributes.add(name=name, dictionary=values, codes=[values.index(value) + 1 for value in column])
    request = RerankRequest(
        candidates=items,
        slate_size=slots,
        policy_name=policy.name,
        return_ids=True,
        omit_cursor=True,
        context=Context(surface="search"),
    )
    return Case(
        request,
        {rung: _answer(request, _on(rung, policy, slots)) for rung in RUNGS if rung != HURRIED},
        tones,
        creators,
    )


def _on(rung: str, policy: Policy, slots: int) -> Policy:
    """The policy with another objective, as docs/operations.md says of the rungs."""
    message = policy.to_proto()
    if rung in ("window", "mmr"):
        message.objective.candidate_window = NEAR * slots
    if rung in ("mmr", "quotas"):
        message.objective.strategy = policy_pb2.STRATEGY_MMR if rung == "mmr" else policy_pb2.STRATEGY_RELEVANCE
    return Policy.upstream() if rung == "upstream" else Policy.from_proto(message)


def _answer(request: RerankRequest, policy: Policy) -> RerankResponse:
    """What the engine makes of it in this process."""
    found: list[Violation] = []
    decoded = decode_request(request, Limits(), found)
    assert not found, found
    outlook = Outlook(MemoryBoard())  # of a server whose ledger steers nothing yet
    slate, _ = rerank_traced(decoded.candidates, policy, decoded.slate_size, context=decoded.context, outlook=outlook)
    return encode_slate(slate, request)


def _shares(tones: Sequence[str], _: Sequence[str]) -> bool:
    """At every prefix."""
    prefixes = range(1, len(tones) + 1)
    return all(tones[:j].count("dark") >= 3 * j // 10 and tones[:j].count("light") >= 2 * j // 10 for j in prefixes)


def _creators(_: Sequence[str], creators: Sequence[str]) -> bool:
    """In any ten consecutive slots."""
    windows = [creators[first : first + 10] for first in range(max(1, len(creators) - 9))]
    return all(window.count(creator) <= 2 for window in windows for creator in window)


def _seen(tones: Sequence[str], _: Sequence[str]) -> bool:
    """Within the first ten."""
    return {"dark", "middle", "light"} <= set(tones[:10])


_KEEPS: Mapping[str, Callable[[Sequence[str], Sequence[str]], bool]] = {
    "shares": _shares,
    "broad": _shares,
    "creators": _creators,
    "seen": _seen,
}
