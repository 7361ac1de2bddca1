"""The same request gives the same bytes: twice, in another process, in eight threads, in another input order."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker import Candidates, Policy, Slate, rerank

pytestmark = pytest.mark.slow  # under coverage: full-size lists with kernels as plain Python

STRATEGIES = ("relevance", "mmr", "msd", "dpp", "ssd", "cover", "mmr 4", "dpp 4", "ssd 4")  # 4: the window
QUOTAS: list[list[dict[str, Any]]] = [
    [],
    [{"attribute": "tone", "min_share": {"a": 0.2}}],
    [{"attribute": "tone", "max_per_value": 2, "window": 5}],
]


def policy(strategy: str, quotas: list[dict[str, Any]], diversity: float = 0.6) -> Policy:
    name, _, window = strategy.partition(" ")
    objective = {"strategy": name, "diversity": diversity, "window": int(window or 0)}
    return Policy.from_dict({"name": "x", "objective": objective, "quotas": quotas})


def columns(seed: int, count: int = 150, width: int = 33) -> tuple[NDArray[np.float64], NDArray[np.float32], list[str]]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, width)).astype(np.float32)
    rows[count // 2 :] = rows[: count - count // 2] + np.float32(0.02) * rows[count // 2 :]
    return rng.permutation(count).astype(np.float64), rows, ["abcde"[i] for i in rng.integers(0, 5, count)]


def candidates(seed: int) -> Candidates:
    scores, rows, tones = columns(seed)
    return Candidates([f"p{i}" for i in range(len(scores))], scores, rows, {"tone": tones})


def bytes_of(slate: Slate) -> bytes:
    return slate.positions.tobytes() + slate.gains.tobytes()


def everything() -> str:
    """A digest of many answers; also what a second process prints."""
    answers = [
        bytes_of(rerank(candidates(seed), policy(strategy, quotas), 40))
        for seed in range(3)
        for strategy in STRATEGIES
        for quotas in QUOTAS
    ]
    return b"".join(answers).hex()


def test_the_same_request_gives_the_same_bytes() -> None:
    assert everything() == everything()


def test_another_process_gives_the_same_bytes() -> None:
    code = "from tests.unit.engine.test_determinism import everything; print(everything())"
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == everything()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_threads_do_not_disturb_each_other(strategy: str) -> None:
    lists = [candidates(seed) for seed in range(4)]
    rules = policy(strategy, QUOTAS[1])
    expected = [bytes_of(rerank(each, rules, 40)) for each in lists]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: bytes_of(rerank(lists[n % 4], rules, 40)), range(64)))
    assert answers == [expected[n % 4] for n in range(64)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_input_order_does_not_matter_when_scores_differ(strategy: str) -> None:
    scores, rows, tones = columns(5)
    shuffled = np.random.default_rng(0).permutation(len(scores))
    one = Candidates(range(len(scores)), scores, rows, {"tone": tones})
    other = Candidates(shuffled, scores[shuffled], rows[shuffled], {"tone": [tones[i] for i in shuffled]})
    for quotas in QUOTAS:
        rules = policy(strategy, quotas)
        assert rerank(one, rules, 40).ids == rerank(other, rules, 40).ids


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_scores_may_be_shifted_and_scaled(strategy: str) -> None:
    scores, rows, _ = columns(6)
    rules = policy(strategy, [])
    expected = rerank(Candidates(range(150), scores, rows), rules, 40)
    for moved in (scores * 4.0, scores + 1024.0, scores * 1e-30, scores * 1e30 - 1e31):
        slate = rerank(Candidates(range(150), moved, rows), rules, 40)
        assert slate.ids == expected.ids
        assert slate.gains == pytest.approx(expected.gains, abs=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_lengths_of_embeddings_do_not_matter(strategy: str) -> None:
    scores, rows, _ = columns(7)
    rules = policy(strategy, [])
    scaled = rows * (2.0 ** np.random.default_rng(1).integers(-40, 40, len(rows)))[:, None].astype(np.float32)
    assert rerank(Candidates(range(150), scores, rows), rules, 40).ids == (
        rerank(Candidates(range(150), scores, scaled), rules, 40).ids
    )


@pytest.mark.parametrize("diversity", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_items_alike_in_everything_come_in_input_order(strategy: str, diversity: float) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        kinds = rng.integers(0, 30, 120)
        rows, scores = rng.normal(size=(30, int(rng.choice([8, 24, 48])))), rng.random(30)
        slate = rerank(Candidates(range(120), scores[kinds], rows[kinds]), policy(strategy, [], diversity), 60)
        last: dict[int, int] = {}
        for position in slate.positions.tolist():
            assert last.get(kinds[position], -1) < position, seed
            last[kinds[position]] = position


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("strategy", ["relevance", "mmr", "dpp", "ssd", "cover"])
def test_gains_never_rise_without_quotas(strategy: str, diversity: float) -> None:
    for seed in range(10):
        gains = rerank(candidates(seed), policy(strategy, [], diversity), 150).gains
        assert (np.diff(gains) <= 0).all(), seed


def test_the_request_is_not_written_to() -> None:
    scores, rows, tones = columns(8)
    kept = scores.copy(), rows.copy(), list(tones)
    given = Candidates(range(150), scores, rows, {"tone": tones})
    for strategy in STRATEGIES:
        for explain in (False, True):
            assert rerank(given, policy(strategy, QUOTAS[1]), 40, explain=explain).report.measures
    assert (scores == kept[0]).all()
    assert (rows == kept[1]).all()
    assert tones == kept[2]
    assert (given.scores == kept[0]).all()
    assert (given.embeddings[""].matrix == kept[1]).all()
