"""By relevance alone no slate has more of a group than its share and the band make, unless upstream's slate has."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reranker import Candidates, Policy
from reranker.engine import Outlook, rerank_traced
from reranker.exposure.tally import GroupTally, Tally, TallyKey

SHARES = {"a": 0.5, "b": 0.3, "c": 0.2}


@dataclass
class Shown:
    shown: Tally
    age: float = 0.0

    def tally(self, key: TallyKey, half_life: float) -> Tally | None:
        return self.shown


@st.composite
def boards(draw: st.DrawFn) -> Shown:
    """Any history of a thousand requests and more."""
    requests = draw(st.floats(1e3, 1e6))
    parts = [draw(st.floats(0.05, 1.0)) for _ in SHARES]
    groups = {
        value: GroupTally(
            4.5 * requests * part / sum(parts), 0.0, 4.5 * requests * share, 10.0 * requests * part / sum(parts),
            requests * draw(st.floats(-2.0, 2.0)),
        )
        for (value, share), part in zip(SHARES.items(), parts, strict=True)
    }  # fmt: skip
    return Shown(Tally(0.0, requests, groups))


@given(boards(), st.integers(0, 10**6), st.floats(0.01, 0.5), st.integers(1, 12))
def test_band(board: Shown, seed: int, band: float, slots: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(slots, 60))
    tones = [None if tone == "" else str(tone) for tone in random.choice(["a", "b", "c", ""], count)]
    scores = np.round(random.uniform(0.0, 1.0, count), 2)
    candidates = Candidates(list(range(count)), scores, None, {"tone": tones})
    block = {"attribute": "tone", "target": SHARES, "band": band}
    policy = Policy.from_dict({"objective": {"strategy": "relevance"}, "exposure": [block]})
    slate, _ = rerank_traced(candidates, policy, slots, outlook=Outlook(board))
    assert len(slate) == slots
    assert len(set(slate.positions.tolist())) == slots
    upstream = np.argsort(-scores, kind="stable")[:slots]
    for value, share in SHARES.items():
        most = math.ceil(slots * min(1.0, share + band) - 1e-9)
        before = sum(tones[position] == value for position in upstream)
        assert sum(tones[position] == value for position in slate.positions) <= max(most, before)
