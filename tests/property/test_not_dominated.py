"""Our defaults beside the peer's: seldom both less relevant and less varied."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pyversity import Strategy, diversify

from reranker import Candidates, Policy, rerank
from reranker.measures.distance import intra_list_distances

pytestmark = pytest.mark.slow

CASES, SIZE = 500, 10
PEERS = {"mmr": Strategy.MMR, "msd": Strategy.MSD, "dpp": Strategy.DPP, "ssd": Strategy.SSD, "cover": Strategy.COVER}


def distance(candidates: Candidates, picks: NDArray[np.int32]) -> float:
    """Mean pairwise distance of the slate."""
    column = candidates.embeddings[""]
    return intra_list_distances(column.matrix, column.norms, picks)[0] or 0.0


def coverage(candidates: Candidates, picks: NDArray[np.int32]) -> float:
    """How far the slate stands for the list, which is what COVER is for; items apart from all others are not."""
    column = candidates.embeddings[""]
    unit = column.matrix / column.norms[:, None]
    return float(np.sqrt(np.clip(unit @ unit[picks].T, 0.0, 1.0).sum(axis=1)).sum())


@pytest.mark.parametrize("strategy", PEERS)
def test_at_our_defaults_we_are_seldom_dominated(strategy: str) -> None:
    policy = Policy.from_dict({"name": "defaults", "objective": {"strategy": strategy}})
    dominated = 0
    for seed in range(CASES):
        rng = np.random.default_rng(seed)
        count, width = int(rng.integers(30, 200)), int(rng.choice([16, 64]))
        centres = rng.normal(size=(int(rng.integers(3, 15)), width))
        rows = centres[rng.integers(len(centres), size=count)] + float(rng.choice([0.1, 0.5, 1.0])) * rng.normal(
            size=(count, width)
        )
        scores = rng.random(count) if rng.random() < 0.5 else rng.exponential(size=count)
        candidates = Candidates(list(range(count)), scores, rows.astype(np.float32))
        own = rerank(candidates, policy, SIZE).positions
        with np.errstate(all="ignore"):
            peer = diversify(rows.astype(np.float32), scores, SIZE, PEERS[strategy], diversity=0.5).indices
        variety = coverage if strategy == "cover" else distance
        own_variety, peer_variety = (variety(candidates, picks) for picks in (own, peer))
        less_relevant = scores[own].sum() < scores[peer].sum() - 1e-9
        dominated += bool(less_relevant and own_variety < peer_variety - 1e-9)
    assert dominated <= 0.05 * CASES, f"{dominated} of {CASES}"
