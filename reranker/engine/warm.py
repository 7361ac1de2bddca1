"""Before the first request: every kernel compiled, every path walked once."""

from __future__ import annotations

import numpy as np

from reranker.candidates import Candidates
from reranker.engine.request import rerank
from reranker.kernels import jit
from reranker.policy import Policy
from reranker.strategies import STRATEGIES


def warm_up() -> None:
    """Compile all kernels or load them from the cache, and run one small request a strategy."""
    jit.warm_up()
    numbers = np.random.default_rng(0)
    candidates = Candidates(
        ids=list(range(12)),
        scores=np.linspace(1.0, 0.1, 12),
        embeddings={"image": numbers.standard_normal((12, 8)).astype(np.float32)},
        attributes={"group": ["a", "b", None] * 4, "creator": [["x"], ["x", "y"], []] * 4},
    )
    mixed = Policy.from_dict(
        {
            "name": "warm-up",
            "similarity_signals": [{"signal": "image"}, {"attribute": "creator", "kind": "jaccard"}],
            "spacings": [{"attribute": "group", "penalty": 0.1, "window": 3}],
            "decays": [{"attribute": "creator", "factor": 0.5}],
        }
    )
    rerank(candidates, mixed, 6, explain=True)
    objectives: list[dict[str, object]] = [{"strategy": strategy} for strategy in STRATEGIES]
    for objective in (*objectives, {"strategy": "dpp", "sample": True}):
        words: dict[str, object] = {
            "name": "warm-up",
            "objective": objective,
            "quotas": [
                {"attribute": "group", "at_least_one_of_each": True},
                {"attribute": "creator", "max_per_value": 1, "window": 3},
            ],
        }
        if objective["strategy"] == "calibrated":
            words["calibration"] = {"attribute": "group", "target": "pool"}
        rerank(candidates, Policy.from_dict(words), 6, explain=True).report.measure()
