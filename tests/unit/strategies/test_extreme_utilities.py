"""Scores that fill the whole range of numbers, under rules that multiply them: nobody behind the list is looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reranker import Candidates, Policy, rerank

ROOT = Path(__file__).resolve().parents[3]
STRATEGIES = ("dpp", "mmr", "msd", "ssd", "cover")


def slates() -> None:
    """Many such lists in one process, which a write behind an array would end."""
    for strategy in STRATEGIES:
        for count in (5, 17, 33):
            for seed in range(20):
                rng = np.random.default_rng(seed)
                scores = rng.choice([1.7e308, -1.7e308, 1e308, 0.0], count)
                scores[0], scores[-1] = 1.7e308, -1.7e308
                objective = {"strategy": strategy, "diversity": 0.1, "score_normalisation": "none"}
                decays = [{"attribute": "creator", "factor": 0.5, "floor": 0.25}]
                spacings = [{"attribute": "creator", "penalty": 1000.0, "window": 3}]
                creators = [str(creator) for creator in rng.integers(0, 1 + seed % 2, count)]
                rows = rng.standard_normal((count, 8)).astype(np.float32)
                words = {"objective": objective, "decays": decays, "spacings": spacings}
                candidates = Candidates(range(count), scores, rows, {"creator": creators})
                picks = rerank(candidates, Policy.from_dict(words), min(count, 12)).positions
                assert len(set(picks.tolist())) == min(count, 12)
                assert 0 <= picks.min() <= picks.max() < count


@pytest.mark.parametrize("flag", ["-W error"])
def test_extreme_scores_under_decays_make_whole_slates(flag: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import {Path(__file__).stem} as t; t.slates()"
    )
    command = [sys.executable, *flag.split(), "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, f"ended by {done.returncode}: {done.stderr[-2000:]}"
